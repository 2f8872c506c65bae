//! The two halves of the runbook, each on its host: a primary is prepared and advertised, a standby follows what was
//! advertised. The document goes from one to the other as `/exchange/NAME.json`.

use std::time::Duration;
use tests::hosts::{Host, Hosts};
use tests::{Outcome, wait_for};

/// Where standbys listen: Debian's own first cluster may have 5432.
pub const STANDBY: u16 = 5434;

/// Each of these hosts keeps the role's password, as root's own file.
#[track_caller]
pub fn with_password(hosts: &Hosts, among: &[&Host]) {
    hosts.file("password", "correct horse battery staple\n");
    for host in among {
        host.says("install -m 600 /exchange/password /root/s");
    }
}

/// What a primary is told besides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// For `pg-conf set`.
    pub settings: &'a str,
    /// For `pg-conf allow`.
    pub allow: &'a str,
    /// For `pg-cluster advertise`.
    pub advertise: &'a str,
}

/// The primary's half, for standbys from these addresses; its name is the document's.
#[track_caller]
pub fn prepare(primary: &Host, standbys: &[&str], terms: Terms) -> Outcome {
    let (name, from) = (&primary.name, from(standbys));
    let Terms { settings, allow, advertise } = terms;
    primary
        .run(&format!(
            "set -o pipefail
             pg-role ensure replicator --password-file /root/s \
               | pg-conf set wal_level=replica wal_keep_size=1GB 'listen_addresses=*' {settings} \
               | pg-conf allow replicator {from} {allow} | pg-cluster restart \
               | pg-cluster advertise --host {name} {advertise} | tee /exchange/{name}.json"
        ))
        .success()
}

/// Addresses as `pg-conf allow` takes them.
pub fn from(addresses: &[&str]) -> String {
    addresses.iter().map(|address| ["--from", address].join(" ")).collect::<Vec<_>>().join(" ")
}

/// The standby's half, with options for the copy.
#[track_caller]
pub fn follow(standby: &Host, primary: &str, run: &str) -> Outcome {
    standby.run(&format!(
        "set -o pipefail
         pg-pass set --input /exchange/{primary}.json --password-file /root/s | pg-pass check \
           | pg-cluster create {}/replica -p {STANDBY} | pg-conf match \
           | pg-basebackup-swap run {run} | pg-cluster start | pg-cluster wait --for streaming",
        standby.suite.major
    ))
}

/// What is written on one arrives on the other.
#[track_caller]
pub fn expect_to_arrive(table: &str, from: (&Host, u16), on: (&Host, u16)) {
    from.0.sql(from.1, &format!("CREATE TABLE {table} AS SELECT 42 AS answer"));
    wait_for(&format!("the row of {table} to arrive on {}", on.0.name), Duration::from_secs(20), || {
        on.0.try_sql(on.1, &format!("SELECT answer FROM {table}")).as_deref() == Some("42")
    });
}

/// The command that a hint says to type on this host (`on db1: …`, `on the primary: …`).
#[track_caller]
pub fn command_of(hint: &str) -> &str {
    hint.find("pg-").map_or_else(|| panic!("no command in {hint:?}"), |start| &hint[start..])
}
