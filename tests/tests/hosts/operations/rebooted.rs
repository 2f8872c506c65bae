//! Reboots and power cuts: replication comes back by itself, and the runbook finds nothing to do.

use super::{UP, on_the_primary, on_the_standby, told_of};
use std::time::Duration;
use tests::hosts::{Host, Hosts};
use tests::{on_the_newest_suite, wait_for};

on_the_newest_suite!(a_standby_streams_again_after_each_host_was_rebooted_and_lost_its_power);

fn a_standby_streams_again_after_each_host_was_rebooted_and_lost_its_power(hosts: &Hosts) {
    hosts.file("secret", "correct horse battery staple\n");
    let [db1, db2] = hosts.boot_on_disks(["db1", "db2"]);
    db1.main_cluster();
    for host in [&db1, &db2] {
        host.says("install -m 600 /exchange/secret /root/s");
    }
    on_the_primary(&db1, &db2.address);
    on_the_standby(&db2);
    db1.sql(5432, "CREATE TABLE proof (happened text)");
    let happen: [(&str, &dyn Fn()); 4] = [
        ("the primary was rebooted", &|| db1.reboot()),
        ("the standby was rebooted", &|| db2.reboot()),
        ("the primary lost its power", &|| db1.lose_power()),
        ("the standby lost its power", &|| db2.lose_power()),
    ];
    for (what, happens) in happen {
        happens();
        streams_by_itself(&db1, &db2, what);
    }
    assert_eq!(db2.sql(5434, "SELECT count(*) FROM proof"), "4", "none was lost on the way");
    nothing_is_left_to_do(&db1, &db2);
}

fn streams_by_itself(db1: &Host, db2: &Host, what: &str) {
    assert_eq!(told_of(db1, "main"), UP, "{what}");
    assert_eq!(told_of(db2, "replica"), format!("{UP},recovery"), "{what}");
    db1.sql(5432, &format!("INSERT INTO proof VALUES ('{what}')"));
    // A walreceiver tries again every wal_retrieve_retry_interval, five seconds.
    wait_for(&format!("the row that came after {what}"), Duration::from_secs(30), || {
        db2.try_sql(5434, &format!("SELECT 1 FROM proof WHERE happened = '{what}'")).as_deref() == Some("1")
    });
    let attached = "SELECT state FROM pg_stat_replication";
    wait_for("the standby to be attached", Duration::from_secs(30), || {
        db1.try_sql(5432, attached).as_deref() == Some("streaming")
    });
}

fn nothing_is_left_to_do(db1: &Host, db2: &Host) {
    let starts = || [(db1, 5432), (db2, 5434)].map(|(host, port)| host.sql(port, "SELECT pg_postmaster_start_time()"));
    let before = (db1.files(), db2.files(), starts());
    for again in [on_the_primary(db1, &db2.address), on_the_standby(db2)] {
        assert!(!again.typed().changed, "{again}");
    }
    db1.expect_same_files(&before.0);
    db2.expect_same_files(&before.1);
    assert_eq!(before.2, starts());
}
