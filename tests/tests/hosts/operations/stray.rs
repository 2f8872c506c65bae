//! A cluster that somebody started outside systemd: root's commands tell what is, and end where systemd, Debian's list
//! and the server agree.

use super::{DOWN, UP, told_of};
use tests::hosts::{Host, Hosts};
use tests::on_each_suite;

on_each_suite!(a_server_that_was_started_outside_systemd_is_told_of_and_comes_back_inside);

const STRAY: &str = "SHOW max_connections";

fn a_server_that_was_started_outside_systemd_is_told_of_and_comes_back_inside(hosts: &Hosts) {
    let [db] = hosts.boot(["db"]);
    db.main_cluster();
    go_astray(&db);
    let restarted = db.run("pg-conf set max_connections=50 | pg-cluster restart").success().expect_changed(true);
    restarted.expect_warning("comes back inside");
    assert_eq!((told_of(&db, "main").as_str(), db.sql(5432, STRAY).as_str()), (UP, "50"));

    go_astray(&db);
    let before = db.sql(5432, "SELECT pg_postmaster_start_time()");
    for command in ["pg-conf set work_mem=7MB | pg-cluster reload", "pg-cluster start", "pg-cluster status"] {
        db.run(command).success().expect_warning("outside");
    }
    assert_eq!(db.sql(5432, "SHOW work_mem"), "7MB");
    assert_eq!(db.sql(5432, "SELECT pg_postmaster_start_time()"), before, "none of these restarts");

    db.run("pg-cluster stop").success().expect_changed(true);
    assert_eq!(told_of(&db, "main"), DOWN);
    db.run("pg-cluster stop").success().expect_changed(false);
    db.run("pg-cluster start").success().expect_changed(true);
    assert_eq!(told_of(&db, "main"), UP);
    what_systemd_gave_up_on_comes_back_too(&db);
}

/// systemd was told to start a server that ran already, and calls its unit failed.
fn what_systemd_gave_up_on_comes_back_too(db: &Host) {
    go_astray(db);
    let unit = format!("postgresql@{}-main", db.suite.major);
    let refused = db.run(&format!("systemctl start {unit}"));
    assert_ne!(refused.code(), 0, "systemd knows nothing of it: {refused}");
    db.run("pg-cluster restart").success().expect_warning("comes back inside");
    assert_eq!(told_of(db, "main"), UP);
}

/// As a user who may not speak to systemd starts it.
fn go_astray(db: &Host) {
    let major = db.suite.major;
    db.says(&format!("systemctl stop postgresql@{major}-main"));
    db.says(&format!("cd / && runuser -u postgres -- pg_ctlcluster --skip-systemctl-redirect {major} main start"));
    let told = told_of(db, "main");
    assert!(told.starts_with("inactive, unit 0, server "), "{told}");
}
