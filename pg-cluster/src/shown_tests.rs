//! What people see of standbys, at widths that they have.

use super::*;
use pg_runbook::cli::table::{Screen, list};

fn screen(width: usize) -> Screen {
    Screen { width: Some(width), ..Screen::default() }
}

fn attached() -> Table<9> {
    let near = AttachedStandby {
        username: "replicator".into(),
        address: Some("192.0.2.7".into()),
        name: "17/replica".into(),
        state: "streaming".into(),
        lag_bytes: Some(16_432),
        write_lag_seconds: Some(0.000_4),
        flush_lag_seconds: Some(0.002_1),
        replay_lag_seconds: Some(0.012_3),
        slot: Some("db2".into()),
    };
    let far = AttachedStandby {
        username: "replicator".into(),
        address: Some("2001:db8::17".into()),
        name: "walreceiver".into(),
        state: "catchup".into(),
        lag_bytes: Some(3 << 30),
        replay_lag_seconds: Some(754.0),
        ..AttachedStandby::default()
    };
    standbys(&[near, far])
}

#[test]
fn standbys_at_120_columns() {
    insta::assert_snapshot!(attached().lines(&screen(120)).join("\n"), @r"
    STANDBY      ADDRESS       ROLE        STATE       BEHIND  WRITE LAG  FLUSH LAG  REPLAY LAG  SLOT
    17/replica   192.0.2.7     replicator  streaming  16.0 kB     0.4 ms     2.1 ms       12 ms  db2
    walreceiver  2001:db8::17  replicator  catchup     3.0 GB          -          -     12m 34s  -
    ");
}

#[test]
fn standbys_at_80_columns() {
    insta::assert_snapshot!(attached().lines(&screen(80)).join("\n"), @r"
    STANDBY      ADDRESS       ROLE        STATE       BEHIND  REPLAY LAG  SLOT
    17/replica   192.0.2.7     replicator  streaming  16.0 kB       12 ms  db2
    walreceiver  2001:db8::17  replicator  catchup     3.0 GB     12m 34s  -
    ");
}

#[test]
fn standbys_at_60_columns() {
    insta::assert_snapshot!(attached().lines(&screen(60)).join("\n"), @r"
    STANDBY      STATE       BEHIND  REPLAY LAG  SLOT
    17/replica   streaming  16.0 kB       12 ms  db2
    walreceiver  catchup     3.0 GB     12m 34s  -
    ");
}

#[test]
fn standbys_at_40_columns() {
    insta::assert_snapshot!(attached().lines(&screen(40)).join("\n"), @r"
    standby:    17/replica
    address:    192.0.2.7
    role:       replicator
    state:      streaming
    behind:     16.0 kB
    write lag:  0.4 ms
    flush lag:  2.1 ms
    replay lag: 12 ms
    slot:       db2

    standby:    walreceiver
    address:    2001:db8::17
    role:       replicator
    state:      catchup
    behind:     3.0 GB
    write lag:  -
    flush lag:  -
    replay lag: 12m 34s
    slot:       -
    ");
}

#[test]
fn a_standby_says_from_where_how_far_and_when_it_heard_of_it() {
    let told = Replication {
        status: Some("streaming".into()),
        sender_host: Some("db1".into()),
        sender_port: Some(5432),
        timeline: Some(3),
        received: Some("2/1A000148".into()),
        replayed: Some("2/19FFE0A0".into()),
        lag_bytes: Some(8360),
        lag_seconds: Some(0.2),
        silent_seconds: Some(71.0),
        ..Replication::default()
    };
    insta::assert_snapshot!(list(&replication(&told), &Screen::default()).join("\n"), @r"
    replication: streaming from db1:5432, timeline 3
    received:    2/1A000148
    replayed:    2/19FFE0A0, 8.1 kB behind (200 ms)
    last word:   1m 11s ago
    ");
    let silent = list(&replication(&Replication::default()), &Screen::default());
    assert_eq!(silent, ["replication: no walreceiver runs"]);
}

#[test]
fn a_standby_without_a_walreceiver_is_not_said_to_be_abreast() {
    let mut silent = Replication {
        replayed: Some("0/5000148".into()),
        replay_lag_bytes: Some(0),
        lag_seconds: Some(312.0),
        ..Replication::default()
    };
    let told = |silent: &Replication| list(&replication(silent), &screen(120)).join("\n");
    insta::assert_snapshot!(told(&silent), @r"
    replication: no walreceiver runs
    replayed:    0/5000148, all that came, the last change 5m 12s old; how far its primary is, it can't tell
    ");
    silent.replay_lag_bytes = Some(3 << 20);
    insta::assert_snapshot!(told(&silent), @r"
    replication: no walreceiver runs
    replayed:    0/5000148, 3.0 MB of what came are left, the last change 5m 12s old; how far its primary is, it can't tell
    ");
}
