//! `docs/jobs`: every command of these pages is typed, in the order of the pages, on the hosts that they name.

use tests::hosts::{Host, Hosts};
use tests::{Outcome, on_the_newest_suite};

on_the_newest_suite!(every_command_of_the_pages_on_jobs_does_what_it_is_there_for);

const PAGES: [(&str, &str); 6] = [
    ("first-standby", include_str!("../../../docs/jobs/first-standby.md")),
    ("who-gets-in", include_str!("../../../docs/jobs/who-gets-in.md")),
    ("rotate-the-password", include_str!("../../../docs/jobs/rotate-the-password.md")),
    ("where-passwords-live", include_str!("../../../docs/jobs/where-passwords-live.md")),
    ("fell-behind", include_str!("../../../docs/jobs/fell-behind.md")),
    ("replace-the-primary", include_str!("../../../docs/jobs/replace-the-primary.md")),
];

/// The commands of a page, each with its host (`db1`, or `db1 as admin`).
fn commands(page: &str) -> Vec<(String, String)> {
    let blocks = page.split("```sh\n").skip(1).map(|text| text.split("```").next().unwrap_or_default());
    blocks
        .flat_map(|block| {
            let (first, rest) = block.split_once('\n').expect("a block has lines");
            let host = first.strip_prefix("# on ").expect("a block says where it is typed").to_owned();
            rest.lines().map(move |line| (host.clone(), line.to_owned())).collect::<Vec<_>>()
        })
        .collect()
}

fn type_it(hosts: [&Host; 2], (host, command): &(String, String), identifier: &str) -> Outcome {
    let [db1, db2] = hosts;
    let (name, user) = host.split_once(" as ").unwrap_or((host, "root"));
    let here = if name == "db1" { db1 } else { db2 };
    let major = here.suite.major.to_string();
    let command = command
        .replace("192.0.2.6", &db1.address)
        .replace("192.0.2.7", &db2.address)
        .replace("17/", &format!("{major}/"))
        .replace("17-replica", &format!("{major}-replica"))
        .replace("7301234567890123456", identifier);
    let outcome = here.run_as(user, &command);
    assert_eq!(outcome.code(), 0, "{outcome}");
    outcome
}

/// Stores with the newer password in them, and the example of a unit.
fn has_managers(among: [&Host; 2], hosts: &Hosts) {
    hosts.file("none", "");
    for (host, users) in among.into_iter().zip([&["root", "admin"][..], &["root"]]) {
        for user in users {
            host.makes_a_store(user, "none");
            host.keeps(user, "pg/replicator", "new");
        }
    }
    hosts.file("reclone", include_str!("../../../examples/systemd/pg-standby-reclone@.service"));
    among[1].says("mkdir -p examples/systemd && cp /exchange/reclone examples/systemd/pg-standby-reclone@.service");
}

fn every_command_of_the_pages_on_jobs_does_what_it_is_there_for(hosts: &Hosts) {
    let [db1, db2] = hosts.boot(["db1", "db2"]);
    db1.main_cluster();
    hosts.file("s", "correct horse battery staple\n");
    hosts.file("new", "another horse\n");
    for host in [&db1, &db2] {
        host.says("install -m 600 /exchange/s /exchange/new /root/");
    }
    db1.lets_in(&db2, "root");
    db2.lets_in(&db1, "root");
    has_managers([&db1, &db2], hosts);
    let identifier = db1.sql(5432, "SELECT system_identifier FROM pg_control_system()");
    let mut typed = 0;
    for (name, page) in PAGES {
        for command in commands(page) {
            let outcome = type_it([&db1, &db2], &command, &identifier);
            let is_ours = command.1.starts_with("pg-") && !command.1.contains('>');
            assert!(!is_ours || !outcome.document.is_null(), "{name}: {outcome}");
            typed += 1;
        }
    }
    assert!(typed > 35, "{typed}");
    assert_eq!(db2.sql(5434, "SELECT pg_is_in_recovery()"), "f");
    assert_eq!(db1.sql(5432, "SELECT status FROM pg_stat_wal_receiver"), "streaming");
}
