//! README.md is run as it stands: every command is one that the tools take, and the pipelines do what they are said to.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

mod typed;

use clap::error::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tests::{Sandbox, is_root, on_the_machines_own, skip, wait_for};
use typed::parse;

on_the_machines_own!(the_pipeline_across_two_hosts_ends_in_a_standby_that_streams);

const README: &str = include_str!("../../README.md");
const PAGES: [&str; 10] = [
    README,
    include_str!("../../docs/terminal.md"),
    include_str!("../../docs/jobs/README.md"),
    include_str!("../../docs/jobs/first-standby.md"),
    include_str!("../../docs/jobs/who-gets-in.md"),
    include_str!("../../docs/jobs/rotate-the-password.md"),
    include_str!("../../docs/jobs/where-passwords-live.md"),
    include_str!("../../docs/jobs/fell-behind.md"),
    include_str!("../../docs/jobs/replace-the-primary.md"),
    include_str!("../../docs/jobs/wiki.md"),
];
const SHORT: &str = "pgrunbookreadme";

/// The text of README's code blocks that a shell is given.
fn blocks() -> Vec<String> {
    blocks_of(README)
}

fn blocks_of(page: &str) -> Vec<String> {
    let after_fences = page.split("```sh\n").skip(1);
    after_fences.map(|text| text.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// The block with these words in it.
fn block(words: &str) -> String {
    let found: Vec<String> = blocks().into_iter().filter(|block| block.contains(words)).collect();
    assert_eq!(found.len(), 1, "one block says {words:?}");
    found[0].clone()
}

/// The commands of a script of pipelines, some of them in quotes for another host.
fn commands(script: &str) -> Vec<String> {
    let one_line = script.replace("\\\n", " ");
    let bare = one_line.lines().flat_map(|line| line.split('|').map(|part| part.trim().to_owned()).collect::<Vec<_>>());
    let local = bare.map(|part| match part.split_once('\'') {
        Some((start, rest)) if start.starts_with("ssh ") => rest.to_owned(),
        _ => part,
    });
    local
        .map(|part| part.strip_suffix('\'').map(str::to_owned).filter(|rest| !rest.contains('\'')).unwrap_or(part))
        .collect()
}

/// Everything in a page that is a command of ours, without where its output goes.
fn commands_of(page: &str) -> Vec<String> {
    let outside: String = page.split("```").step_by(2).collect();
    let quoted = outside.split('`').skip(1).step_by(2).map(str::to_owned);
    let in_blocks = blocks_of(page);
    let all = quoted.flat_map(|text| commands(&text)).chain(in_blocks.iter().flat_map(|block| commands(block)));
    let ours = all.filter(|text| text.starts_with("pg-") && text.contains(' '));
    ours.map(|text| text.split(" > ").next().unwrap_or_default().to_owned()).collect()
}

/// The words of a command as the shell makes them.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut quoted) = (vec![String::new()], false);
    for character in command.chars() {
        match character {
            '\'' => quoted = !quoted,
            '\\' if !quoted => {}
            blank if blank.is_whitespace() && !quoted => words.push(String::new()),
            other => words.last_mut().expect("a word").push(other),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn every_command_is_one_that_its_tool_takes() {
    let commands: Vec<String> = PAGES.into_iter().flat_map(commands_of).collect();
    for command in &commands {
        match parse(&words(command)) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::DisplayHelp => {}
            Err(error) => panic!("a page has a command that does not parse: {command}\n{error}"),
        }
    }
    for tool in ["pg-role", "pg-conf", "pg-cluster", "pg-pass", "pg-basebackup-swap"] {
        assert!(commands.iter().any(|command| command.starts_with(&format!("{tool} "))), "{tool} is shown");
    }
    // Each stage of the table, and each tool of both pipelines.
    assert!(commands_of(README).len() >= 30 && commands.len() > 100, "{commands:#?}");
    assert!(parse(&words("pg-conf sett wal_level=replica")).is_err(), "what is no command would be found");
}

#[test]
fn the_picture_is_of_the_pipeline_as_it_stands_here() {
    let picture = include_str!("../../docs/session.svg");
    let texts = picture.split('<').filter_map(|tag| tag.split_once('>')).map(|(_, text)| text);
    let shown = texts.collect::<String>().replace("&gt;", ">").replace("&amp;", "&").replace("&#39;", "'");
    // The address is another one there, and the last tool is told to write for people.
    let pipeline = block("ssh db1").replace(" --from 192.0.2.7", "").replace("--for streaming'", "--for streaming");
    for line in pipeline.lines().map(|line| line.trim_end_matches('\\').trim()) {
        assert!(shown.contains(line), "the picture doesn't show {line:?}: cargo xtask picture");
    }
}

/// Gone when the test ends, with all that was kept beside it.
struct DebianCluster {
    major: u32,
    short: String,
}

impl DebianCluster {
    fn new(major: u32) -> Self {
        Self::sweep(major);
        Self { major, short: format!("{SHORT}{}", std::process::id()) }
    }

    fn name(&self) -> String {
        format!("{}/{}", self.major, self.short)
    }

    fn data(&self) -> PathBuf {
        Path::new("/var/lib/postgresql").join(self.name())
    }

    /// Those of tests that were killed.
    fn sweep(major: u32) {
        let Ok(entries) = std::fs::read_dir(format!("/etc/postgresql/{major}")) else { return };
        for name in entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()) {
            let pid = name.strip_prefix(SHORT).and_then(|pid| pid.parse::<u32>().ok());
            if pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
                drop(Self { major, short: name });
            }
        }
    }

    fn beside(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(format!("/var/lib/postgresql/{}", self.major)).into_iter().flatten().flatten();
        let start = format!("{}.", self.short);
        let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&start));
        ours.map(|entry| entry.path()).collect()
    }
}

impl Drop for DebianCluster {
    fn drop(&mut self) {
        if Path::new("/etc/postgresql").join(self.name()).exists() {
            let major = self.major.to_string();
            let _ = Command::new("/usr/bin/pg_dropcluster").args(["--stop", &major, &self.short]).status();
            // The wrapper leaves what pg-conf kept.
            let _ = std::fs::remove_dir_all(Path::new("/etc/postgresql").join(self.name()));
        }
        for path in self.beside() {
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

/// README's own text with the places of this test in it; each must be there to be replaced.
fn at_home(text: &str, places: &[(&str, String)]) -> String {
    places.iter().fold(text.to_owned(), |text, (there, here)| {
        assert!(text.contains(there), "README does not say {there:?} any more");
        text.replace(there, here)
    })
}

fn the_pipeline_across_two_hosts_ends_in_a_standby_that_streams(sandbox: &Sandbox) {
    if !is_root() || !Path::new("/usr/bin/pg_createcluster").exists() {
        return skip("only root can make Debian clusters, and only with postgresql-common");
    }
    let standby = DebianCluster::new(sandbox.server.major);
    let primary = sandbox.cluster("primary").start();
    primary.write("pg_hba.conf", "local all all peer\n");
    primary.tool("reload").run().success();
    let (secret, passwords) = (sandbox.file("secret", "correct horse\n"), sandbox.path().join("passwords"));
    let port = sandbox.port();
    let places = [
        ("/root/s", secret.display().to_string()),
        ("192.0.2.7", "127.0.0.1".to_owned()),
        ("--host db1", "--host 127.0.0.1".to_owned()),
        ("17/replica -p 5434", format!("{} -p {port}", standby.name())),
    ];
    let pipeline = at_home(&block("ssh db1"), &places);
    // One host plays both: each has its own environment.
    let hosts = format!(
        "ssh() {{ case $1 in\n db1) PGDATA='{}' bash -c \"$2\" ;;\n db2) PGPASSFILE='{}' bash -c \"$2\" ;;\n esac; }}\n",
        primary.data.display(),
        passwords.display()
    );
    let run = || sandbox.pipeline(&format!("{hosts}{pipeline}")).run().success();

    let first = run();
    assert!(first.typed().changed, "{first}");
    let streaming = || primary.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1";
    assert!(streaming(), "{first}");
    let ask = |statement: &str| {
        let mut psql = sandbox.account.command(&sandbox.server.bin.join("psql"));
        psql.args(["-X", "-A", "-t", "-q", "-d", "postgres", "-h", "/var/run/postgresql", "-p", &port.to_string()]);
        let said = psql.arg("-c").arg(statement).output().expect("run psql");
        String::from_utf8_lossy(&said.stdout).trim().to_owned()
    };
    primary.sql("CREATE TABLE proof AS SELECT 42 AS answer");
    wait_for("a row arrives", Duration::from_secs(20), || ask("SELECT answer FROM proof") == "42");
    assert_eq!(ask("SELECT pg_is_in_recovery()"), "t");
    assert!(!first.to_string().contains("correct horse"));

    let watched =
        || (primary.fingerprint(), primary.started(), primary.loaded(), ask("SELECT pg_postmaster_start_time()"));
    let before = (watched(), standby.beside());
    let second = run();
    assert!(!second.typed().changed, "{second}");
    assert_eq!((watched(), standby.beside()), before, "it restarts nothing and copies nothing");

    // The README's new clone, of the primary that the first half advertises.
    let advertised = primary.tool("advertise").args(["--host", "127.0.0.1", "--role", "replicator"]).run().success();
    let document = sandbox.file("primary.json", &advertised.stdout);
    let places =
        [("/srv/pg/standby", standby.data().display().to_string()), ("primary.json", document.display().to_string())];
    let again = at_home(&block("--force"), &places);
    let cloned = sandbox.pipeline(&again).env("PGPASSFILE", &passwords).run().success().expect_changed(true);
    assert_eq!(ask("SELECT answer FROM proof"), "42", "{cloned}");
    assert_eq!(standby.beside().len(), before.1.len() + 1, "the old directory is kept: {:?}", standby.beside());
    wait_for("it streams", Duration::from_secs(20), streaming);
}
