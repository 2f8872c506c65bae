//! `examples/systemd`: a timer that watches a standby in silence.

use std::time::Duration;
use tests::hosts::{Host, Hosts, Pair};
use tests::{on_the_newest_suite, wait_for};

on_the_newest_suite!(a_timer_is_silent_while_the_standby_follows_and_tells_when_it_does_not);

const CHECK: &str = include_str!("../../../examples/systemd/pg-standby-check@.service");
const TIMER: &str = include_str!("../../../examples/systemd/pg-standby-check@.timer");

/// Puts a unit there.
#[track_caller]
pub fn install(hosts: &Hosts, host: &Host, name: &str, text: &str) {
    hosts.file(name, text);
    host.says(&format!("cp /exchange/{name} /etc/systemd/system/ && systemctl daemon-reload"));
}

/// What a run of the unit left in the journal, systemd's own lines aside; and whether it went well.
fn run(host: &Host, unit: &str) -> (bool, String) {
    host.says("journalctl --rotate --quiet; journalctl --vacuum-time=1s --quiet");
    let ended = host.run(&format!("systemctl start {unit}"));
    let said = host.says(&format!("journalctl --no-pager --output=cat --unit {unit} --identifier pg-cluster"));
    (ended.code() == 0, said)
}

fn a_timer_is_silent_while_the_standby_follows_and_tells_when_it_does_not(hosts: &Hosts) {
    let pair = Pair::boot(hosts);
    let (db1, db2) = (&pair.db1, &pair.db2);
    let instance = pair.standby.replace('/', "-");
    let unit = format!("pg-standby-check@{instance}.service");
    install(hosts, db2, "pg-standby-check@.service", CHECK);
    install(hosts, db2, "pg-standby-check@.timer", TIMER);
    assert_eq!(run(db2, &unit), (true, String::new()));
    db2.says(&format!("systemctl enable --now pg-standby-check@{instance}.timer"));
    assert!(db2.says("systemctl list-timers").contains(&format!("pg-standby-check@{instance}.timer")));

    db1.says("pg-cluster stop --no-input");
    wait_for("the standby to lose its primary", Duration::from_secs(30), || {
        db2.try_sql(5434, "SELECT count(*) FROM pg_stat_wal_receiver").as_deref() == Some("0")
    });
    let (well, said) = run(db2, &unit);
    assert!(!well && said.contains("does not stream") && said.contains("hint: "), "{said}");
}
