//! TAB in bash, zsh and fish, on real terminals: what comes is what the cluster's files and its running server have.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pg_runbook::completion::SHELLS;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use tests::{Outcome, Sandbox, TestCluster, Typist, has_shell, in_ci, on_the_machines_own, skip};

on_the_machines_own!(
    bash_completes_words_with_signs_in_them,
    zsh_completes_words_with_signs_in_them,
    fish_completes_words_with_signs_in_them,
    what_can_follow_is_listed_with_what_it_is_for,
    the_lines_of_the_manual_make_a_shell_complete,
    a_stranger_is_told_less_and_nobody_hears_of_it,
    a_server_that_hangs_does_not_keep_anybody_waiting,
    somebody_elses_variable_does_not_matter,
);

const TOOLS: [&str; 2] = ["pg-cluster", "pg-conf"];

/// Debian's view of two clusters: `alpha` runs, `beta` is stopped.
struct Scene<'a> {
    sandbox: &'a Sandbox,
    alpha: TestCluster<'a>,
    root: String,
}

impl<'a> Scene<'a> {
    fn new(sandbox: &'a Sandbox) -> Self {
        let alpha = sandbox.cluster("alpha").start();
        let beta = sandbox.cluster("beta").create();
        let root = sandbox.folder("etc");
        for cluster in [&alpha, &beta] {
            let name = cluster.data.file_name().unwrap();
            let folder = root.join(sandbox.server.major.to_string()).join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::rename(cluster.data.join("postgresql.conf"), folder.join("postgresql.conf")).unwrap();
            std::fs::rename(cluster.data.join("pg_hba.conf"), folder.join("pg_hba.conf")).unwrap();
            let places = format!("data_directory = '{}'\nport = {}\n", cluster.data.display(), cluster.port);
            append(&folder.join("postgresql.conf"), &places);
            // As Debian has it, everybody may read what is no secret.
            std::fs::set_permissions(folder.join("postgresql.conf"), std::fs::Permissions::from_mode(0o644)).unwrap();
            sandbox.account.give(&folder.join("postgresql.conf"));
        }
        let rules = root.join(format!("{}/alpha/pg_hba.conf", sandbox.server.major));
        append(&rules, "host replication replicator 2001:db8::/32 scram-sha-256\n");
        sandbox.account.give(&rules);
        alpha.sql("CREATE ROLE replicator LOGIN REPLICATION");
        alpha.sql("CREATE ROLE \"my standby\" LOGIN REPLICATION");
        alpha.sql("SELECT pg_create_physical_replication_slot('standby_1')");
        Self { sandbox, alpha, root: root.display().to_string() }
    }

    fn name(&self, short: &str) -> String {
        format!("{}/{short}", self.sandbox.server.major)
    }

    /// A shell that found the completions where packages put them.
    fn typist(&self, shell: &str) -> Typist {
        let home = self.sandbox.path().join("home");
        let known = SHELLS.into_iter().find(|known| known.name == shell).unwrap();
        let (folder, setup) = match shell {
            "bash" => (".local/share/bash-completion/completions", "source /usr/share/bash-completion/bash_completion"),
            "zsh" => (".zfunc", "fpath+=(~/.zfunc); autoload -U compinit; compinit -D -u"),
            _ => (".config/fish/completions", ""),
        };
        std::fs::create_dir_all(home.join(folder)).unwrap();
        for tool in ["pg-role", "pg-conf", "pg-cluster"] {
            std::fs::write(home.join(folder).join(known.file(tool)), known.registration(tool)).unwrap();
        }
        Typist::at(self.sandbox, shell, setup, &self.environment())
    }

    /// Nobody's second is up while other tests run.
    fn environment(&self) -> [(&'static str, &str); 2] {
        [("PG_CLUSTER_CONF_ROOT", &self.root), ("PG_RUNBOOK_TAB_TIMEOUT", "15")]
    }

    /// What a shell is answered, line by line.
    fn asked(&self, words: &[&str]) -> Outcome {
        self.command(words).run()
    }

    fn command(&self, words: &[&str]) -> tests::ToolCommand<'_> {
        let command = self.sandbox.tool(words[0]).arg("--").args(words);
        self.environment()
            .iter()
            .fold(command.env("COMPLETE", "fish"), |command, (name, value)| command.env(name, value))
    }
}

fn append(path: &std::path::Path, lines: &str) {
    let mut text = std::fs::read_to_string(path).unwrap();
    text.push_str(lines);
    std::fs::write(path, text).unwrap();
}

fn can_run(shell: &str) -> bool {
    let can = has_shell(shell) && (shell != "bash" || std::path::Path::new("/usr/share/bash-completion").exists());
    if !can {
        assert!(!in_ci(), "there is no {shell}, and CI skips nothing for want of it");
        skip(&format!("there is no {shell} (or no bash-completion)"));
    }
    can
}

fn bash_completes_words_with_signs_in_them(sandbox: &Sandbox) {
    completes_words_with_signs_in_them(sandbox, "bash");
}

fn zsh_completes_words_with_signs_in_them(sandbox: &Sandbox) {
    completes_words_with_signs_in_them(sandbox, "zsh");
}

fn fish_completes_words_with_signs_in_them(sandbox: &Sandbox) {
    completes_words_with_signs_in_them(sandbox, "fish");
}

fn completes_words_with_signs_in_them(sandbox: &Sandbox, shell: &str) {
    if !can_run(shell) {
        return;
    }
    let scene = Scene::new(sandbox);
    let (alpha, beta, major) = (scene.name("alpha"), scene.name("beta"), sandbox.server.major);
    let in_alpha = format!("--cluster={alpha}");
    let folder = sandbox.path().display();
    let data = scene.alpha.data.display().to_string();
    for (typed, expected) in [
        (
            format!("pg-conf se\t--cl\t{major}/al\twal_le\trep\tx"),
            vec!["set", "--cluster", &alpha, "wal_level=replica", "x"],
        ),
        (format!("pg-conf get --cluster={major}/al\t"), vec!["get", &in_alpha]),
        (format!("pg-cluster drop {major}/\t"), vec!["drop", &beta]),
        (format!("pg-cluster status -D {folder}/al\t"), vec!["status", "-D", &data]),
        (format!("pg-cluster advertise {in_alpha} --slot st\t"), vec!["advertise", &in_alpha, "--slot", "standby_1"]),
        (format!("pg-role show {in_alpha} my\t"), vec!["show", &in_alpha, "my standby"]),
        (
            format!("pg-conf disallow {in_alpha} repli\t--from 2001:\t"),
            vec!["disallow", &in_alpha, "replicator", "--from", "2001:db8::/32"],
        ),
    ] {
        let mut typist = scene.typist(shell);
        let words = typist.words_of(&typed);
        assert_eq!(words[1..], expected, "{shell}: {typed:?}\n{}", typist.screen());
    }
}

fn what_can_follow_is_listed_with_what_it_is_for(sandbox: &Sandbox) {
    let scene = Scene::new(sandbox);
    let alpha = scene.name("alpha");
    for shell in ["bash", "zsh", "fish"].into_iter().filter(|shell| can_run(shell)) {
        let mut typist = scene.typist(shell);
        typist.types(&format!("pg-conf set --cluster {alpha} wal_level=\t\t"));
        for value in ["minimal", "replica", "logical"] {
            typist.sees(value);
        }
        let mut typist = scene.typist(shell);
        typist.types(&format!("pg-conf set --cluster {alpha} wal_l\t\t"));
        typist.sees("wal_level=");
        typist.sees("wal_log_hints=");
        if shell != "bash" {
            typist.sees("Sets the level of information");
        }
    }
}

fn the_lines_of_the_manual_make_a_shell_complete(sandbox: &Sandbox) {
    let scene = Scene::new(sandbox);
    let page = include_str!("../../docs/shell.md");
    for shell in ["bash", "zsh", "fish"].into_iter().filter(|shell| can_run(shell)) {
        let line = page.lines().find(|line| line.contains(&format!("COMPLETE={shell} "))).expect("a line");
        let prepare = if shell == "zsh" { "autoload -U compinit; compinit -D -u" } else { "" };
        let lines: Vec<String> = TOOLS.iter().map(|tool| line.replace("pg-cluster", tool)).collect();
        let setup = format!("{prepare}\n{}", lines.join("\n"));
        let mut typist = Typist::at(sandbox, shell, &setup, &scene.environment());
        let words = typist.words_of(&format!("pg-conf get --cluster={}/al\tport", sandbox.server.major));
        assert_eq!(words[1..], ["get", &format!("--cluster={}", scene.name("alpha")), "port"], "{shell}");
    }
}

fn a_stranger_is_told_less_and_nobody_hears_of_it(sandbox: &Sandbox) {
    let scene = Scene::new(sandbox);
    let alpha = scene.name("alpha");
    let roles = ["pg-role", "show", "--cluster", &alpha, ""];
    let told = scene.asked(&roles);
    assert!(told.stdout.contains("replicator\treplication\n") && told.stderr.is_empty(), "{told}");
    let (before, log) = (scene.alpha.fingerprint(), scene.alpha.log());
    if tests::is_root() {
        for words in [&roles[..], &["pg-conf", "allow", "--cluster", &alpha, ""]] {
            let told = scene.command(words).as_a_stranger().run();
            assert!(told.stdout.lines().all(|line| line.starts_with("--")) && told.stderr.is_empty(), "{told}");
        }
        let told = scene.command(&["pg-conf", "set", "--cluster", &alpha, "wal_lev"]).as_a_stranger().run();
        assert!(told.stdout.starts_with("wal_level=\tSets the level"), "{told}");
    }
    assert_eq!((scene.alpha.fingerprint(), scene.alpha.log()), (before, log));
}

fn a_server_that_hangs_does_not_keep_anybody_waiting(sandbox: &Sandbox) {
    let scene = Scene::new(sandbox);
    let server = Pid::from_raw(scene.alpha.pid().expect("a server"));
    kill(server, Signal::SIGSTOP).unwrap();
    let begun = Instant::now();
    let words = ["pg-conf", "allow", "--cluster", &scene.name("alpha"), ""];
    let told = scene.command(&words).env("PG_RUNBOOK_TAB_TIMEOUT", "3").run();
    let took = begun.elapsed();
    kill(server, Signal::SIGCONT).unwrap();
    assert_eq!((told.stdout.as_str(), told.stderr.as_str()), ("replicator\tin pg_hba.conf\n", ""));
    assert!(took < Duration::from_secs(6), "{took:?}");
}

fn somebody_elses_variable_does_not_matter(sandbox: &Sandbox) {
    let listed = sandbox.tool("pg-cluster").arg("list").env("COMPLETE", "1").run().success();
    assert_eq!(listed.typed().action, "list");
}
