//! An administrator's machine with Ansible on it: the one that the tests run on, with nothing of its own in the way.
//!
//! What must always hold: it reads and writes nothing of the user's; its connections end with it.

use crate::ansible_core::AnsibleCore;
use crate::hosts::host::Host;
use crate::hosts::network::Hosts;
use crate::skipped::{in_ci, skip};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// It has a home of its own, and a key that hosts let in.
#[derive(Debug)]
pub struct ControlNode {
    /// Which Ansible it has.
    pub core: AnsibleCore,
    home: tempfile::TempDir,
}

/// What a command on it said.
#[derive(Debug)]
pub struct Played {
    shown: String,
    /// Its exit code.
    pub code: Option<i32>,
    /// Its stdout and its stderr, in this order.
    pub text: String,
}

/// What a playbook came to on one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recap {
    /// Tasks that ended well, with those that changed something.
    pub ok: u32,
    /// Tasks that changed something.
    pub changed: u32,
    /// Whether it could not be reached.
    pub unreachable: u32,
    /// Tasks that failed.
    pub failed: u32,
}

impl ControlNode {
    /// With the Ansible that the hosts' release has; where it isn't there, that is said, and it is a failure in CI.
    pub fn of(hosts: &Hosts) -> Option<Self> {
        let core = AnsibleCore::of(hosts.suite.name);
        if !core.exists() {
            let missing =
                format!("ansible-core {} is not fetched from PyPI (cargo xtask test does that)", core.version);
            assert!(!in_ci(), "{missing}, and CI skips nothing for want of it");
            skip(&missing);
            return None;
        }
        let home = tempfile::Builder::new().prefix("pg-runbook-test-ansible-").tempdir().expect("a home");
        let node = Self { core, home };
        node.run("ssh-keygen -q -t ed25519 -N '' -f key").expect_done();
        node.file("ssh_config", "");
        node.file("vault-password", "open sesame");
        // README's commands name the collection as it lies in the work tree.
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the work tree").join("examples");
        std::os::unix::fs::symlink(examples, node.home.path().join("examples")).expect("link the collection");
        Some(node)
    }

    /// A host is known by its name, and lets in a key, as these users.
    #[track_caller]
    pub fn knows(&self, hosts: &[&Host], users: &[&str]) {
        let home = self.home.path().display();
        let mut config = format!(
            "Host *\n  IdentityFile {home}/key\n  UserKnownHostsFile {home}/known_hosts\n  StrictHostKeyChecking accept-new\n"
        );
        let key = std::fs::read_to_string(self.home.path().join("key.pub")).expect("its key");
        for host in hosts {
            let _ = write!(config, "Host {}\n  HostName {}\n", host.name, host.address);
            for user in users {
                host.says(&format!(
                    "cd ~{user} && install -d -m 700 -o {user} -g {user} .ssh && echo '{}' > .ssh/authorized_keys \
                     && chown {user} .ssh/authorized_keys",
                    key.trim()
                ));
            }
        }
        self.file("ssh_config", &config);
    }

    /// A file in its home, which is where commands run.
    #[track_caller]
    pub fn file(&self, name: &str, text: &str) {
        std::fs::write(self.home.path().join(name), text).expect("write a file on the control node");
    }

    /// Runs what an administrator would type.
    #[track_caller]
    pub fn run(&self, script: &str) -> Played {
        let home = self.home.path();
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", "300", "bash", "-e", "-c", script]).current_dir(home).stdin(Stdio::null());
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env_clear()
            .env("PATH", format!("{}:{path}", self.core.bin().display()))
            .env("HOME", home)
            .env("LC_ALL", "C.UTF-8")
            .env("ANSIBLE_NOCOLOR", "1")
            .env("ANSIBLE_VAULT_PASSWORD_FILE", "vault-password")
            // What Ansible puts on a host for a moment is no file of the host's.
            .env("ANSIBLE_REMOTE_TMP", "/tmp/ansible")
            .env(
                "ANSIBLE_SSH_ARGS",
                format!("-F {}/ssh_config -o ControlMaster=auto -o ControlPersist=60s", home.display()),
            );
        let said = command.output().unwrap_or_else(|error| panic!("run {script}: {error}"));
        let text = [said.stdout, said.stderr].concat();
        Played {
            shown: format!("ansible-core {}: {script}", self.core.version),
            code: said.status.code(),
            text: String::from_utf8_lossy(&text).into_owned(),
        }
    }
}

impl Drop for ControlNode {
    fn drop(&mut self) {
        let Ok(sockets) = std::fs::read_dir(self.home.path().join(".ansible/cp")) else { return };
        for socket in sockets.flatten() {
            let control = format!("ControlPath={}", socket.path().display());
            let _ = Command::new("ssh").args(["-o", &control, "-O", "exit", "host"]).output();
        }
    }
}

impl Played {
    /// Expects that all went well.
    #[track_caller]
    pub fn expect_done(self) -> Self {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// Expects that it failed.
    #[track_caller]
    pub fn expect_failed(self) -> Self {
        assert_ne!(self.code, Some(0), "{self}");
        self
    }

    /// Expects words in what it said.
    #[track_caller]
    pub fn expect_said(self, words: &str) -> Self {
        assert!(self.text.contains(words), "expected {words:?}\n{self}");
        self
    }

    /// Expects that something is in nothing that it said.
    #[track_caller]
    pub fn expect_not_said(self, words: &str) -> Self {
        assert!(!self.text.contains(words), "expected no {words:?}\n{self}");
        self
    }

    /// What it came to on a host; nothing where it didn't come that far.
    pub fn recap(&self, host: &Host) -> Option<Recap> {
        let line = self.text.lines().find(|line| line.split(" : ").next().map(str::trim) == Some(&host.name))?;
        let count = |name: &str| {
            let field = line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            field.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no {name} in {line:?}"))
        };
        let [ok, changed, unreachable, failed] = ["ok", "changed", "unreachable", "failed"].map(count);
        Some(Recap { ok, changed, unreachable, failed })
    }

    /// Expects that all went well on these hosts, and that something was changed on each, or on none.
    #[track_caller]
    pub fn expect_changed(self, hosts: &[&Host], expected: bool) -> Self {
        let played = self.expect_done();
        for host in hosts {
            let recap = played.recap(host).unwrap_or_else(|| panic!("nothing ran on {}\n{played}", host.name));
            assert_eq!(recap.changed > 0, expected, "changes on {}\n{played}", host.name);
            assert!(recap.ok > 0 && recap.failed + recap.unreachable == 0, "{played}");
        }
        played
    }
}

impl std::fmt::Display for Played {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "$ {}\nexit code {:?}\n{}", self.shown, self.code, self.text)
    }
}
