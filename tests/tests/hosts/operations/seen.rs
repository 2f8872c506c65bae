//! What a restart and a reload leave where an administrator looks: in the unit's journal, and in the server's log.

use super::{UP, told_of};
use tests::hosts::{Host, Hosts};
use tests::on_the_newest_suite;

on_the_newest_suite!(restart_and_reload_are_seen_in_the_journal_and_the_servers_log);

fn restart_and_reload_are_seen_in_the_journal_and_the_servers_log(hosts: &Hosts) {
    let [db] = hosts.boot(["db"]);
    db.main_cluster();
    let (unit, log) = (unit(&db), log(&db));

    let mark = Mark::of(&db);
    db.run("pg-cluster restart").success().expect_changed(true);
    assert_eq!(told_of(&db, "main"), UP);
    let journal = mark.journal(&db, &unit);
    for line in ["Stopped postgresql@", "Starting postgresql@", "Started postgresql@"] {
        assert_eq!(journal.matches(line).count(), 1, "{line:?} in {journal}");
    }
    let told = mark.log(&db, &log);
    let order = ["received fast shutdown request", "database system is shut down", "ready to accept connections"];
    let places: Vec<_> = order.iter().map(|line| told.find(line)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} in {told}");

    let mark = Mark::of(&db);
    db.run("pg-conf set work_mem=7MB | pg-cluster reload").success().expect_changed(true);
    assert_eq!(told_of(&db, "main"), UP);
    let told = mark.log(&db, &log);
    for line in ["received SIGHUP, reloading", "parameter \"work_mem\" changed to \"7MB\""] {
        assert_eq!(told.matches(line).count(), 1, "{line:?} in {told}");
    }
    assert!(!told.contains("shut down"), "{told}");
    nothing_to_do_leaves_no_trace(&db);
}

fn nothing_to_do_leaves_no_trace(db: &Host) {
    let mark = Mark::of(db);
    db.run("pg-conf set work_mem=7MB | pg-cluster reload").success().expect_changed(false);
    db.run("pg-conf set work_mem=7MB | pg-cluster restart").success().expect_changed(false);
    db.run("pg-cluster start").success().expect_changed(false);
    assert_eq!(mark.log(db, &log(db)), "");
    assert_eq!(mark.journal(db, &unit(db)), "");
}

fn unit(db: &Host) -> String {
    format!("postgresql@{}-main", db.suite.major)
}

fn log(db: &Host) -> String {
    format!("/var/log/postgresql/postgresql-{}-main.log", db.suite.major)
}

/// A place in the journal and one in the log: what is told from there on came later.
struct Mark {
    cursor: String,
    length: String,
}

impl Mark {
    fn of(db: &Host) -> Self {
        let cursor = db.says("journalctl --sync; journalctl --lines 0 --show-cursor | sed -n 's/^-- cursor: //p'");
        Self { cursor, length: db.says(&format!("stat -c %s {}", log(db))) }
    }

    fn journal(&self, db: &Host, unit: &str) -> String {
        let after = format!("--after-cursor '{}'", self.cursor);
        db.says(&format!("journalctl --sync; journalctl --quiet --no-pager --unit {unit} {after}"))
    }

    fn log(&self, db: &Host, log: &str) -> String {
        db.says(&format!("tail -c +$(({} + 1)) {log}", self.length))
    }
}
