//! IPv6: by name, where it comes first, and by address, where colons are in the way.

use crate::two_halves::{STANDBY, Terms, command_of, expect_to_arrive, follow, prepare, with_password};
use tests::hosts::{Hosts, Protocols, SUITES, with_hosts_on};

#[test]
fn a_runbook_over_ipv6_by_name_and_by_address_on_trixie_with_17() {
    with_hosts_on(SUITES[1], Protocols::Both, over_ipv6);
}

fn over_ipv6(hosts: &Hosts) {
    let [db1, db2] = hosts.boot(["db1", "db2"]);
    with_password(hosts, &[&db1, &db2]);
    db1.main_cluster();
    // The trap: the standby's IPv4 address is let in, and its name's first address is the other one.
    prepare(&db1, &[&db2.address], Terms::default());
    let refused = follow(&db2, "db1", "");
    assert_eq!(refused.code(), 4, "{refused}");
    let refused = refused.expect_hint(&format!("pg-conf allow replicator --from {} | pg-cluster reload", db2.address6));
    let hint = refused.hint();
    db1.says(command_of(&hint));
    follow(&db2, "db1", "").success();
    let comes_from = "SELECT client_addr FROM pg_stat_replication";
    assert_eq!(db1.sql(5432, comes_from), db2.address6);
    let explained = db1.run(&format!("pg-conf explain replicator {} --output text", db2.address6));
    assert!(explained.stdout.contains(&format!("{}/128", db2.address6)), "{explained}");
    // By address: it is told as it is, and escaped where a colon separates.
    let six = &db1.address6;
    db1.run(&format!("pg-cluster advertise --host {six} --role replicator > /exchange/six.json"));
    db2.says("pg-pass set --input /exchange/six.json --password-file /root/s");
    let line = format!("{}:5432:replication:replicator:", six.replace(':', r"\:"));
    let lines = db2.says("cut -d ' ' -f 1 ~postgres/.pgpass");
    assert!(lines.lines().any(|found| found.starts_with(&line)), "{lines}");
    let cloned = db2.run(
        "set -o pipefail
         pg-pass check --input /exchange/six.json | pg-basebackup-swap run --force | pg-cluster wait --for streaming",
    );
    let cloned = cloned.success().expect_stderr(&format!("fetched a copy of [{six}]:5432"));
    assert_eq!(cloned.document["replication"]["sender_host"], six.as_str(), "{cloned}");
    expect_to_arrive("proof", (&db1, 5432), (&db2, STANDBY));
}
