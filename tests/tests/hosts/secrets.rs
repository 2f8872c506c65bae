//! Passwords out of real managers: `pass`, with gpg and its agent, and systemd's encrypted credentials.

use crate::timer::install;
use pg_runbook::invocation::shell_word;
use std::time::Duration;
use tests::hosts::{Host, Hosts, OLDEST, Pair, Watcher, with_hosts};
use tests::{Outcome, on_each_suite, on_the_newest_suite, wait_for};

on_the_newest_suite!(
    the_runbook_and_a_new_password_come_out_of_pass,
    what_a_password_manager_does_not_give_is_told_with_what_to_type,
    a_password_manager_is_asked_as_who_runs_the_tool_and_a_pipe_brings_what_is_somebody_elses,
);
on_each_suite!(a_unit_takes_its_password_from_an_encrypted_credential_and_makes_a_new_copy);

const OLD: &str = "correct horse battery staple";
const NEW: &str = "another horse: with \\ colon";

const ENSURE: &str = "pg-role ensure replicator --password-command 'pass show pg/replicator'";
const SET: &str = "pg-pass set --input /exchange/primary.json --password-command 'pass show pg/replicator'";

/// The whole runbook, on both of its hosts; what they said.
fn runbook(db1: &Host, db2: &Host) -> [Outcome; 2] {
    let major = db1.suite.major;
    let first = db1.run(&format!(
        "set -o pipefail
         {ENSURE} | pg-conf set wal_level=replica wal_keep_size=1GB 'listen_addresses=*' \
         | pg-conf allow replicator --from {} | pg-cluster restart \
         | pg-cluster advertise --host db1 | tee /exchange/primary.json",
        db2.address
    ));
    let second = db2.run(&format!(
        "set -o pipefail
         {SET} | pg-pass check | pg-cluster create {major}/replica -p 5434 | pg-conf match \
         | pg-basebackup-swap run | pg-cluster start | pg-cluster wait --for streaming"
    ));
    [first.success(), second.success()]
}

fn the_runbook_and_a_new_password_come_out_of_pass(hosts: &Hosts) {
    for (name, text) in [("none", ""), ("passphrase", "open sesame\n"), ("old", OLD), ("new", NEW)] {
        hosts.file(name, text);
    }
    let [db1, db2] = hosts.boot(["db1", "db2"]);
    db1.main_cluster();
    // One key has no passphrase; the other's is known to the agent.
    for (host, passphrase) in [(&db1, "none"), (&db2, "passphrase")] {
        host.makes_a_store("root", passphrase);
        host.keeps("root", "pg/replicator", "old");
    }
    db2.unlocks("root", "pg/replicator", "passphrase");
    let watchers = [OLD, NEW].map(Watcher::of);
    assert!(runbook(&db1, &db2).iter().all(|done| done.typed().changed));

    let servers = || [db1.sql(5432, STARTED), db2.sql(5434, STARTED)];
    let before = (servers(), db1.files(), db2.files());
    for again in runbook(&db1, &db2) {
        assert!(!again.typed().changed, "{again}");
    }
    db1.expect_same_files(&before.1);
    db2.expect_same_files(&before.2);

    for host in [&db1, &db2] {
        host.keeps("root", "pg/replicator", "new");
    }
    db1.run(ENSURE).success().expect_changed(true);
    db2.run(&format!("{SET} | pg-pass check")).success();
    db1.sql(5432, "SELECT pg_terminate_backend(pid) FROM pg_stat_replication");
    db2.run("pg-cluster wait --for streaming --input /exchange/primary.json").success();
    assert_eq!(servers(), before.0, "nothing was restarted");

    let [old, new] = watchers.map(Watcher::expect_nothing_in_processes);
    hosts.file("needle", OLD);
    old.expect_nothing_on(&db1, &[]);
    old.expect_nothing_on(&db2, &[]);
    // The password file has it in its own spelling.
    hosts.file("needle", NEW);
    new.expect_nothing_on(&db1, &[]);
    new.expect_nothing_on(&db2, &[]);
}

const STARTED: &str = "SELECT pg_postmaster_start_time()";

fn what_a_password_manager_does_not_give_is_told_with_what_to_type(hosts: &Hosts) {
    for (name, text) in [("passphrase", "open sesame\n"), ("old", OLD), ("two", &format!("{OLD}\nusername: x\n"))] {
        hosts.file(name, text);
    }
    let db1 = hosts.host("db1").boot();
    db1.main_cluster();
    db1.makes_a_store("root", "passphrase");
    db1.keeps("root", "pg/replicator", "old");
    db1.keeps("root", "pg/two", "two");
    let ensure = |command: &str| db1.run(&format!("pg-role ensure replicator --password-command '{command}'"));
    let by_itself = "type the command by itself";

    db1.locks("root");
    let locked = db1.run(ENSURE).expect_code(1).expect_error("gpg: decryption failed");
    locked.expect_hint(by_itself).expect_hint("unlocks");
    db1.unlocks("root", "pg/replicator", "passphrase");
    db1.run(ENSURE).success().expect_changed(true);
    ensure("pass show pg/two").success().expect_changed(false);

    let missing = ensure("pass show pg/nothing").expect_code(1).expect_hint(by_itself);
    missing.expect_error("pg/nothing is not in the password store");
    ensure("pas show pg/replicator").expect_code(1).expect_error("pas: not found").expect_hint(by_itself);
    let nothing = ensure("true").expect_code(2).expect_hint(by_itself);
    nothing.expect_error("--password-command printed has no password in its first line");
    ensure("timeout 0.1 sleep 100").expect_code(1).expect_error("exit status: 124");
    what_waits_for_ever_is_told_and_ended(&db1);
    assert_eq!(db1.run(ENSURE).success().typed().changes.len(), 0, "nothing of it changed the role");
}

fn what_waits_for_ever_is_told_and_ended(db1: &Host) {
    let stopped =
        "pg-role ensure replicator --password-command 'sleep 1234; true' 2> /tmp/said > /tmp/document & tool=$!
        until grep --quiet 'waiting for --password-command' /tmp/said; do :; done
        kill -TERM $tool; wait $tool; code=$?; cat /tmp/document; exit $code";
    // Without a terminal, and where one is there for it to ask on.
    for typed in
        [stopped.to_owned(), format!("script --quiet --return --command {} /dev/null", shell_word(stopped.as_ref()))]
    {
        let ended = db1.run(&typed);
        assert!(ended.code() == 1 && ended.stdout.contains("stopped by SIGTERM"), "{ended}");
        let left = db1.says("pgrep --full --list-full '^sleep 123[4]'; true");
        assert!(!left.contains("sleep"), "its own children are gone: {left}\n{ended}");
    }
}

fn a_password_manager_is_asked_as_who_runs_the_tool_and_a_pipe_brings_what_is_somebody_elses(hosts: &Hosts) {
    hosts.file("none", "");
    hosts.file("needle", OLD);
    let db1 = hosts.host("db1").boot();
    db1.main_cluster();
    for user in ["admin", "dba", "postgres"] {
        db1.makes_a_store(user, "none");
        db1.keeps(user, "pg/replicator", "needle");
    }
    let watcher = Watcher::of(OLD);
    db1.run_as("postgres", ENSURE).success().expect_changed(true);
    db1.run_as("dba", &format!("sudo -u postgres {ENSURE}")).success().expect_changed(false);

    // Root has no store: what is asked for under sudo is not the administrator's own.
    let refused = db1.run_as("admin", &format!("sudo {ENSURE}")).expect_code(1);
    let refused = refused.expect_error("is not in the password store");
    assert_eq!(refused.hint(), "it ran as root; for what admin may read: COMMAND | sudo … --password-stdin");
    for (user, sudo) in [("admin", "sudo"), ("dba", "sudo -u postgres")] {
        let piped = format!("pass show pg/replicator | {sudo} pg-role ensure replicator --password-stdin");
        db1.run_as(user, &piped).success().expect_changed(false);
        let nothing = piped.replace("pg/replicator", "pg/nothing");
        db1.run_as(user, &nothing).expect_code(2).expect_error("standard input has no password in its first line");
    }
    watcher.expect_nothing_in_processes().expect_nothing_on(&db1, &[]);
}

const RECLONE: &str = include_str!("../../../examples/systemd/pg-standby-reclone@.service");

fn a_unit_takes_its_password_from_an_encrypted_credential_and_makes_a_new_copy(hosts: &Hosts) {
    let pair = Pair::boot(hosts);
    let (db1, db2) = (&pair.db1, &pair.db2);
    install(hosts, db2, "pg-standby-reclone@.service", RECLONE);
    db2.says("mkdir -p /etc/pg-runbook && cp /exchange/primary.json /etc/pg-runbook/");
    let unit = format!("pg-standby-reclone@{}", pair.standby.replace('/', "-"));
    let before = pair.serving();
    let watcher = Watcher::of(NEW);
    hosts.file("needle", NEW);

    credential(db2, "secret");
    db1.run("pg-role ensure replicator --password-file /exchange/needle").success().expect_changed(true);
    assert_ne!(db2.run(&format!("systemctl start {unit}")).code(), 0, "its credential is the old password");
    let said = db2.says(&format!("journalctl --no-pager --output=cat --unit {unit}"));
    assert!(said.contains("password authentication failed") && said.contains("hint: pg-pass set"), "{said}");
    credential(db2, "needle");
    db2.says(&format!("systemctl start {unit}"));
    assert_eq!(pair.serving(), before, "it streams, so it stays as it is");

    falls_behind(&pair);
    db2.says(&format!("systemctl start {unit}"));
    pair.expect_streaming();
    assert_ne!(pair.serving().folder, before.folder);
    assert!(!pair.beside().is_empty(), "the old directory is kept");
    watcher.expect_nothing_in_processes().expect_nothing_on(db2, &[]);
}

/// Debian 11's systemd has no encrypted credentials.
#[test]
fn the_unit_takes_its_password_from_a_plain_credential_on_bullseye() {
    with_hosts(OLDEST, the_unit_takes_its_password_from_a_plain_credential);
}

/// What is said in the unit for that. The tools of a debug build don't run there: others stand in for them.
fn the_unit_takes_its_password_from_a_plain_credential(hosts: &Hosts) {
    let db2 = hosts.host("db2").without_tools().boot();
    let plain = RECLONE.lines().find_map(|line| line.strip_prefix("#   LoadCredential=")).expect("the unit says how");
    let unit = RECLONE.replace("LoadCredentialEncrypted=replication-password", &format!("LoadCredential={plain}"));
    install(hosts, &db2, "pg-standby-reclone@.service", &unit);
    let stand_in = r#"for word; do case $word in */replication-password) cat "$word" > /root/given;; esac; done"#;
    hosts.file("stand-in", &format!("#!/bin/sh\n{stand_in}\n"));
    hosts.file("needle", OLD);
    db2.says(
        "for tool in pg-pass pg-basebackup-swap; do install /exchange/stand-in /usr/local/bin/$tool; done
         install -D -m 600 /exchange/needle /etc/credstore/replication-password
         systemctl start pg-standby-reclone@13-replica",
    );
    assert_eq!(db2.says("cat /root/given").trim_end(), OLD);
}

/// It needs no more than what systemd has: the host's own key.
#[track_caller]
fn credential(db2: &Host, secret: &str) {
    db2.says(&format!(
        "mkdir -p -m 700 /etc/credstore.encrypted
         systemd-creds encrypt --name=replication-password /exchange/{secret} \
           /etc/credstore.encrypted/replication-password"
    ));
}

/// What the standby needs next is removed from the primary while it is down.
#[track_caller]
fn falls_behind(pair: &Pair) {
    pair.cluster("stop --no-input").success();
    pair.db1.run("pg-conf set wal_keep_size=0 | pg-cluster reload").success();
    for _ in 0..3 {
        pair.db1.sql(5432, "SELECT pg_logical_emit_message(false, 'a story', 'goes on')");
        pair.db1.sql(5432, "SELECT pg_switch_wal()");
        pair.db1.sql(5432, "CHECKPOINT");
    }
    pair.cluster("start --no-input").success();
    wait_for("the standby to be told that it is too late", Duration::from_secs(30), || {
        let log = pair.db2.says("cat /var/log/postgresql/*replica.log");
        log.contains("has already been removed")
    });
}
