//! More than one standby, standbys of standbys, and what a promotion makes of all of them.

use crate::two_halves::{STANDBY, Terms, expect_to_arrive, follow, from, prepare, with_password};
use std::time::Duration;
use tests::hosts::{Host, Hosts};
use tests::{on_the_newest_suite, wait_for};

on_the_newest_suite!(
    a_standby_of_a_standby_streams_and_is_cloned_anew_from_it,
    two_standbys_made_at_once_outlive_their_primary,
);

fn a_standby_of_a_standby_streams_and_is_cloned_anew_from_it(hosts: &Hosts) {
    let [db1, db2, db3] = hosts.boot(["db1", "db2", "db3"]);
    with_password(hosts, &[&db1, &db2, &db3]);
    db1.main_cluster();
    who_listens_on_localhost_only_is_told_so_and_so_is_the_standby(&db1, &db2);
    prepare(&db1, &[&db2.address], Terms::default());
    follow(&db2, "db1", "").success();
    roles_come_from_the_primary(&db2);
    // Its rules are in files of its own, so they don't.
    let between = format!(
        "set -o pipefail
         pg-conf set 'listen_addresses=*' | pg-conf allow replicator --from {} | pg-cluster restart \
           | pg-cluster advertise --host db2 --role replicator | tee /exchange/db2.json",
        db3.address
    );
    db2.run(&between).success().expect_warning("17/replica is a standby itself");
    follow(&db3, "db2", "").success();
    expect_to_arrive("first", (&db1, 5432), (&db3, STANDBY));
    let again = db3.run("pg-basebackup-swap run --force --input /exchange/db2.json").success().expect_changed(true);
    assert_eq!(again.document["replication"]["sender_host"], "db2", "{again}");
    expect_to_arrive("second", (&db1, 5432), (&db3, STANDBY));
    another_server_of_the_same_system_is_told_apart(&db1, &db3);
    // The chain holds where its middle becomes the primary.
    db2.run("pg-cluster promote").success();
    expect_to_arrive("third", (&db2, STANDBY), (&db3, STANDBY));
    assert_eq!(db3.sql(STANDBY, "SELECT received_tli FROM pg_stat_wal_receiver"), "2");
}

fn who_listens_on_localhost_only_is_told_so_and_so_is_the_standby(db1: &Host, db2: &Host) {
    let advertised = db1.run(
        "set -o pipefail
         pg-role ensure replicator --password-file /root/s | pg-cluster advertise --host db1 | tee /exchange/db1.json",
    );
    advertised.success().expect_warning("the server listens on \"localhost\" only");
    let unreachable = follow(db2, "db1", "");
    assert_eq!(unreachable.code(), 4, "{unreachable}");
    let error = unreachable.typed().error.map(|error| (error.tool, error.code));
    assert_eq!(error, Some(("pg-pass".into(), 5)), "{unreachable}");
    let hint = unreachable.expect_hint("on db1: pg-cluster list").hint();
    let (_, command) = hint.split_once("localhost only: ").expect("what to type");
    db1.says(command);
}

fn roles_come_from_the_primary(standby: &Host) {
    for verb in ["ensure other", "drop replicator"] {
        let refused = standby.run(&format!("pg-role {verb}")).expect_code(3);
        let refused = refused.expect_error("17/replica is a standby, and gets its roles from its primary");
        refused.expect_hint(&format!("pg-role {verb} -h db1 -p 5432, or on the primary: pg-role {verb}"));
    }
}

/// The primary has what its standby's standby has: it is no reason to copy, nor to say that it follows the primary.
fn another_server_of_the_same_system_is_told_apart(primary: &Host, standby: &Host) {
    primary.says(&format!("pg-conf allow replicator --from {} | pg-cluster reload", standby.address));
    standby.says("pg-pass set --input /exchange/db1.json --password-file /root/s");
    let streams = standby.run("pg-basebackup-swap run --input /exchange/db1.json").success().expect_changed(false);
    let streams = streams.expect_warning("17/replica streams from db2:5434, not from db1:5432");
    assert!(streams.typed().msg.starts_with("17/replica already streams from db2:5434"), "{streams}");
}

fn two_standbys_made_at_once_outlive_their_primary(hosts: &Hosts) {
    let [db1, db2, db3] = hosts.boot(["db1", "db2", "db3"]);
    with_password(hosts, &[&db1, &db2, &db3]);
    db1.main_cluster();
    prepare(&db1, &[&db2.address, &db3.address], Terms::default());
    std::thread::scope(|scope| {
        for host in [&db2, &db3] {
            let slot = format!("--slot {}_slot --create-slot", host.name);
            scope.spawn(move || follow(host, "db1", &slot).success());
        }
    });
    let senders = "SELECT string_agg(slot_name || ' ' || state, ', ' ORDER BY slot_name) FROM pg_stat_replication \
        JOIN pg_replication_slots ON active_pid = pid";
    wait_for("both to stream", Duration::from_secs(20), || {
        db1.sql(5432, senders) == "db2_slot streaming, db3_slot streaming"
    });
    promote(&db2, &[&db1, &db3]);
    // The old primary goes on as if nothing had happened, and db3 with it.
    follows_the_promoted_one(&db3);
    the_old_primary_follows_only_when_it_is_named(&db1);
    expect_to_arrive("after", (&db2, STANDBY), (&db1, 5432));
    expect_to_arrive("later", (&db2, STANDBY), (&db3, STANDBY));
}

/// The document is right at once: the timeline is the new one, though no checkpoint has been made on it.
fn promote(host: &Host, others: &[&Host]) {
    let from = from(&others.iter().map(|other| other.address.as_str()).collect::<Vec<_>>());
    let promoted = host.run(&format!(
        "set -o pipefail
         pg-conf set 'listen_addresses=*' | pg-conf allow replicator {from} | pg-cluster restart \
           | pg-cluster promote | pg-cluster advertise --host db2 --role replicator | tee /exchange/db2.json"
    ));
    let promoted = promoted.success();
    assert_eq!(promoted.typed().primary.and_then(|primary| primary.timeline), Some(2), "{promoted}");
    for other in others {
        other.says("pg-pass set --input /exchange/db2.json --password-file /root/s");
    }
}

/// It streams, but what the old primary writes: it needs a copy, and its own slot isn't on the new one.
fn follows_the_promoted_one(standby: &Host) {
    let followed = standby.run(
        "set -o pipefail
         pg-basebackup-swap run --input /exchange/db2.json --slot db3_slot --create-slot | pg-cluster wait --for streaming",
    );
    let followed =
        followed.success().expect_stderr("17/replica does not stream: it streams timeline 1, and the primary wrote 2");
    assert_eq!(followed.document["replication"]["timeline"], 2, "{followed}");
    assert_eq!(followed.document["replication"]["sender_host"], "db2", "{followed}");
}

fn the_old_primary_follows_only_when_it_is_named(old: &Host) {
    let run = "pg-basebackup-swap run --input /exchange/db2.json";
    let system = old.sql(5432, "SELECT system_identifier FROM pg_control_system()");
    for named in [String::new(), format!(" --replace {system}")] {
        let refused = old.run(&format!("{run}{named}")).expect_code(3);
        refused.expect_error("17/main runs as a primary of this very system").expect_hint("pg-cluster stop");
    }
    old.says("pg-cluster stop");
    let refused = old.run(run).expect_code(3).expect_error("17/main is not a standby of this primary, and not empty");
    let hint = refused.hint();
    let named = hint.split_once("the same command with: ").map(|(_, named)| named.to_owned()).expect("what to type");
    old.run(&format!("{run} {named}")).success().expect_changed(true);
    old.run("set -o pipefail; pg-cluster start | pg-cluster wait --for streaming").success();
    assert_eq!(old.sql(5432, "SELECT received_tli, sender_host FROM pg_stat_wal_receiver"), "2|db2");
}
