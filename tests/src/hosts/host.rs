//! One host: it boots, runs what it is told, is cut off, limited, filled, rebooted and killed.
//!
//! What must always hold: what ran on it and what that said is told where its scenario fails; what is secret goes to it
//! through a file.

use crate::hosts::docker::Docker;
use crate::hosts::image::Suite;
use crate::hosts::network::KEEP;
use crate::outcome::Outcome;
use crate::patience::wait_for;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Mutex;
use std::time::Duration;
use testcontainers::core::{CmdWaitFor, ExecCommand};
use testcontainers::{Container, GenericImage};

/// Longer than anything that ends well.
const LIMIT: Duration = Duration::from_secs(180);

/// A host.
#[derive(Debug)]
pub struct Host {
    /// Its name, for the others too.
    pub name: String,
    /// Its IPv4 address.
    pub address: String,
    /// Its IPv6 address, where its network has such.
    pub address6: String,
    /// What it runs.
    pub suite: Suite,
    pub(super) outlives_reboots: bool,
    pub(super) container: Option<Container<GenericImage>>,
    pub(super) told: Mutex<Vec<String>>,
}

impl Host {
    /// Runs a shell's script as root, the way an administrator's session does; stdin is `/dev/null`.
    #[track_caller]
    pub fn run(&self, script: &str) -> Outcome {
        self.run_as("root", script)
    }

    /// The same as one of its users.
    #[track_caller]
    pub fn run_as(&self, user: &str, script: &str) -> Outcome {
        let limit = LIMIT.as_secs().to_string();
        let session = ["timeout", "--kill-after=5", &limit, "runuser", "--login", user, "--command", script];
        let (status, stdout, stderr) = self.exec(&session);
        let shown = format!("{user}@{}: {script}", self.name);
        self.told.lock().expect("what was told").push(format!("$ {shown}\n{status}\n{stdout}{stderr}"));
        Outcome::new(shown, status, stdout, stderr)
    }

    /// What a script prints that has to succeed.
    #[track_caller]
    pub fn says(&self, script: &str) -> String {
        let outcome = self.run(script);
        assert_eq!(outcome.code(), 0, "{outcome}");
        outcome.stdout.trim_end().to_owned()
    }

    fn exec(&self, words: &[&str]) -> (ExitStatus, String, String) {
        let container = self.container.as_ref().expect("its container");
        let command = ExecCommand::new(words.iter().copied()).with_cmd_ready_condition(CmdWaitFor::Nothing);
        let trouble = |error| panic!("run {words:?} on {}: {error}", self.name);
        let mut running = container.exec(command).unwrap_or_else(trouble);
        // Both streams end with the command, or with what it left running.
        let stdout = running.stdout_to_vec().unwrap_or_else(|error| panic!("{words:?}: {error}"));
        let stderr = running.stderr_to_vec().unwrap_or_else(|error| panic!("{words:?}: {error}"));
        let mut code = None;
        wait_for("the exit code of a command that closed its output", LIMIT, || {
            code = running.exit_code().ok().flatten();
            code.is_some()
        });
        let code = i32::try_from(code.unwrap_or_default()).unwrap_or(-1);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (ExitStatus::from_raw(code << 8), text(stdout), text(stderr))
    }

    /// All that ran on it so far, and what that said.
    pub fn told(&self) -> String {
        self.told.lock().expect("what was told").join("\n")
    }

    /// Waits until systemd has started what belongs to a boot.
    #[track_caller]
    pub fn wait_until_up(&self) {
        let mut state = String::new();
        wait_for(&format!("the host {} to be up", self.name), Duration::from_secs(60), || {
            let (_, said, trouble) = self.exec(&["systemctl", "is-system-running"]);
            state = format!("{}{}", said.trim(), trouble.trim());
            ["running", "degraded"].contains(&state.as_str())
        });
        assert_eq!(state, "running", "{}", self.says("systemctl --failed"));
    }

    /// Shuts it down in order, and boots it again.
    #[track_caller]
    pub fn reboot(&self) {
        self.run("systemctl poweroff --no-block");
        self.boot_again();
    }

    /// All its processes are killed at once, and it boots again.
    #[track_caller]
    pub fn lose_power(&self) {
        Docker::run(&["kill", self.container.as_ref().expect("its container").id()]).expect("kill it");
        self.boot_again();
    }

    #[track_caller]
    fn boot_again(&self) {
        assert!(self.outlives_reboots, "{} forgets its clusters: boot it with on_a_disk()", self.name);
        let container = self.container.as_ref().expect("its container");
        wait_for(&format!("the host {} to be down", self.name), Duration::from_secs(60), || {
            !container.is_running().expect("ask whether it runs")
        });
        container.start().expect("start it again");
        self.wait_until_up();
    }

    /// From now on nothing comes through, and nobody is told.
    #[track_caller]
    pub fn cut(&self) {
        self.says(&cutting());
    }

    /// The same, as soon as a shell's condition holds there; that is looked at all the while.
    #[track_caller]
    pub fn cut_when(&self, condition: &str) {
        let watch = format!("until {condition}; do :; done; {}", cutting());
        self.says(&format!("setsid --fork bash -c '{watch}' > /dev/null 2>&1"));
    }

    /// The network is there again.
    #[track_caller]
    pub fn heal(&self) {
        self.says("nft delete table inet cut");
    }

    /// What it sends goes out no faster than this (`20mbit`).
    #[track_caller]
    pub fn limit_bandwidth(&self, rate: &str) {
        let device = format!("$(ip -o addr show to {} | cut -d ' ' -f 2)", self.address);
        self.says(&format!("tc qdisc replace dev {device} root tbf rate {rate} burst 64kb latency 400ms"));
    }

    /// It sends as fast as it can again.
    #[track_caller]
    pub fn unlimit_bandwidth(&self) {
        self.says(&format!("tc qdisc del dev $(ip -o addr show to {} | cut -d ' ' -f 2) root", self.address));
    }

    /// Fills the file system of a folder, but for so many bytes.
    #[track_caller]
    pub fn fill(&self, folder: &str, leave_bytes: u64) {
        // What comes in between the question and the answer makes it too much: then it is asked again.
        self.says(&format!(
            "free() {{ df --output=avail -B1 {folder} | tail -1; }}
             until fallocate -l $(($(free) - {leave_bytes})) {folder}/filler; do :; done"
        ));
    }

    /// Debian's own first cluster, as its package makes it, running; `VERSION/main`.
    #[track_caller]
    pub fn main_cluster(&self) -> String {
        self.says(&format!("pg_createcluster {} main --start >/dev/null", self.suite.major));
        format!("{}/main", self.suite.major)
    }

    /// What a cluster's superuser is told, asked over its socket.
    #[track_caller]
    pub fn sql(&self, port: u16, query: &str) -> String {
        let quoted = query.replace('\'', r"'\''");
        self.says(&format!("cd / && runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -p {port} -c '{quoted}'"))
    }

    /// The same, where it may fail: nothing then.
    pub fn try_sql(&self, port: u16, query: &str) -> Option<String> {
        let quoted = query.replace('\'', r"'\''");
        let command = format!("cd / && runuser -u postgres -- psql -XAtq -p {port} -c '{quoted}'");
        let (status, said, _) = self.exec(&["bash", "-c", &command]);
        status.success().then(|| said.trim_end().to_owned())
    }

    /// Whether a program of this name runs on it.
    pub fn has_process(&self, name: &str) -> bool {
        self.exec(&["pgrep", "--exact", name]).0.success()
    }

    pub(super) fn tells(&self, script: &str) -> String {
        let (_, stdout, stderr) = self.exec(&["bash", "-c", script]);
        format!("{stdout}{stderr}")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        self.tell_its_story();
        if std::env::var_os(KEEP).is_some() {
            std::mem::forget(self.container.take());
        }
    }
}

/// Drops whatever comes and goes, but for the host's own.
fn cutting() -> String {
    let hook =
        |name: &str, way: &str| format!("chain {name} {{ type filter hook {name} priority -300; {way} != lo drop; }};");
    format!("nft \"table inet cut {{ {} {} }}\"", hook("input", "iifname"), hook("output", "oifname"))
}
