//! What a standby's host meets sooner or later: a network that is gone, a password that is wrong, a disk that is full.
//! Each stage ends within a bounded time and says what to do, the old standby serves on, and once the cause is mended the
//! same command goes through.

use std::time::{Duration, Instant};
use tests::hosts::{Hosts, Pair, Watcher};
use tests::{Outcome, on_the_newest_suite, wait_for};

on_the_newest_suite!(
    a_network_that_is_cut_at_any_stage_ends_it_in_time_and_once_healed_the_same_goes_through,
    a_password_that_is_wrong_at_any_stage_is_told_with_the_way_out_and_seen_nowhere,
    a_disk_that_is_too_small_or_fills_up_leaves_the_old_standby_and_the_next_run_goes_through,
);

const PATIENCE: Duration = Duration::from_secs(60);

fn a_network_that_is_cut_at_any_stage_ends_it_in_time_and_once_healed_the_same_goes_through(hosts: &Hosts) {
    let pair = Pair::boot(hosts);
    cut_before_a_login(&pair);
    cut_mid_copy(&pair);
    cut_while_catching_up(&pair);
    cut_after_the_exchange(&pair);
    cut_while_waiting(&pair);
    pair.expect_next_run_ends_well();
}

/// What each stage has a person ask.
const ASKS: &str = "pg_isready -h db1 -p 5432";

/// What was done without the network, and that it took no longer than this.
#[track_caller]
fn within(seconds: u64, act: impl FnOnce() -> Outcome) -> Outcome {
    let begun = Instant::now();
    let outcome = act();
    eprintln!("{:.1} s: {}", begun.elapsed().as_secs_f32(), outcome.shown);
    assert!(begun.elapsed() < Duration::from_secs(seconds), "it took {:?}\n{outcome}", begun.elapsed());
    outcome
}

fn cut_before_a_login(pair: &Pair) {
    let before = pair.serving();
    pair.db2.cut();
    let failed = within(20, || pair.swap("run --force"));
    pair.db2.heal();
    let failed = failed.expect_code(5).expect_error("db1:5432").expect_hint(ASKS);
    pair.expect_untouched(&before, &failed);
}

fn cut_mid_copy(pair: &Pair) {
    let before = pair.serving();
    let check = || pair.db2.run("pg-pass check --input /exchange/primary.json");
    let failed = within(100, || {
        pair.while_copying(|| {
            pair.db2.cut();
            within(20, check).expect_code(5).expect_error("db1:5432").expect_hint(ASKS);
        })
    });
    let failed = failed.expect_code(5).expect_error("the copy from db1:5432 failed").expect_error("is untouched");
    let failed = failed.expect_hint(ASKS);
    pair.expect_untouched(&before, &failed);
    pair.db2.heal();
    check().success();
}

/// So much is to be caught up, so slowly, that it can be seen.
fn cut_while_catching_up(pair: &Pair) {
    pair.swap("fetch --force").success();
    pair.db1.sql(5432, "CREATE TABLE late AS SELECT repeat(md5(i::text), 30) FROM generate_series(1, 30000) i");
    pair.expect_streaming();
    let before = pair.serving();
    pair.db1.limit_bandwidth("20mbit");
    let catches_up = "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'pg-basebackup-swap'";
    let failed = within(100, || {
        pair.meanwhile("swap --timeout 5", || {
            wait_for("the copy to catch up", PATIENCE, || pair.db1.sql(5432, catches_up) == "1");
            pair.db2.cut();
        })
    });
    let failed = failed.expect_code(5).expect_error("does not catch up").expect_hint(ASKS);
    assert_eq!(pair.serving(), before, "{failed}");
    pair.db2.heal();
    pair.db1.unlimit_bandwidth();
    pair.swap("swap").success();
    pair.expect_streaming();
    pair.swap("commit").success();
}

fn cut_after_the_exchange(pair: &Pair) {
    let before = pair.serving();
    // It cuts by itself, as soon as another folder is in place.
    pair.db2.cut_when(&format!("[ $(stat -c %i {}) != {} ]", pair.folder(), before.folder));
    let failed = within(60, || pair.swap("run --force --timeout 5"));
    let failed = failed.expect_code(1).expect_error("went back to its old directory, which serves again");
    let failed = failed.expect_error(ASKS);
    assert_eq!(pair.serving().folder, before.folder, "{failed}");
    pair.db2.heal();
    pair.expect_streaming();
    pair.swap("swap").success();
    pair.expect_streaming();
    pair.swap("commit").success();
}

fn cut_while_waiting(pair: &Pair) {
    pair.db2.cut();
    pair.cluster("restart --no-input").success();
    let failed = within(20, || pair.cluster("wait --for streaming --timeout 3"));
    failed.expect_code(5).expect_error("does not stream").expect_hint(ASKS);
    within(20, || pair.cluster("status")).success().expect_warning(ASKS);
    pair.db2.heal();
    pair.expect_streaming();
}

fn a_password_that_is_wrong_at_any_stage_is_told_with_the_way_out_and_seen_nowhere(hosts: &Hosts) {
    let pair = Pair::boot(hosts);
    // Part of each password, so that one search finds them all.
    let part = "staple";
    hosts.file("needle", &format!("{part}\n"));
    hosts.file("wrong", "another horse, the same staple\n");
    hosts.file("new", "a battery of a newer staple\n");
    let watcher = Watcher::of(part);
    wrong_in_the_password_file(&pair);
    changed_on_the_primary(&pair);
    changed_since_the_copy_came(&pair);
    watcher.expect_nothing_in_processes();
    Watcher::of(part).expect_nothing_on(&pair.db1, &[]);
    Watcher::of(part).expect_nothing_on(&pair.db2, &["/var/lib/postgresql/.pgpass"]);
}

const WRONG: &str = "password authentication failed for user \"replicator\"";
const MENDS_IT: &str = "pg-pass set -h db1 -p 5432 -U replicator";

fn set_password(pair: &Pair, file: &str) {
    let set = format!("pg-pass set --input /exchange/primary.json --password-file /exchange/{file}");
    pair.db2.run(&set).success().expect_changed(true);
}

fn change_password(pair: &Pair, file: &str) {
    let main = format!("{}/main", pair.db1.suite.major);
    pair.db1.run(&format!("pg-role ensure replicator --cluster {main} --password-file /exchange/{file}")).success();
}

fn wrong_in_the_password_file(pair: &Pair) {
    let before = pair.serving();
    set_password(pair, "wrong");
    let check = pair.db2.run("pg-pass check --input /exchange/primary.json");
    for failed in [check, pair.swap("fetch --force"), pair.swap("run --force"), pair.swap("run")] {
        let failed = failed.expect_code(1).expect_error(WRONG).expect_hint(MENDS_IT);
        pair.expect_untouched(&before, &failed);
    }
    set_password(pair, "secret");
}

fn changed_on_the_primary(pair: &Pair) {
    let before = pair.serving();
    change_password(pair, "new");
    pair.expect_streaming();
    assert_eq!(pair.serving(), before);
    pair.cluster("restart --no-input").success();
    let failed = pair.cluster("wait --for streaming --timeout 3");
    failed.expect_code(5).expect_error(WRONG).expect_hint(MENDS_IT);
    pair.cluster("status").success().expect_warning(WRONG);
    let before = pair.serving();
    let failed = pair.swap("run").expect_code(1).expect_error(WRONG).expect_hint(MENDS_IT);
    pair.expect_untouched(&before, &failed);
    set_password(pair, "new");
    pair.expect_streaming();
    pair.swap("run").success().expect_changed(false);
}

fn changed_since_the_copy_came(pair: &Pair) {
    pair.swap("fetch --force").success();
    let before = pair.serving();
    change_password(pair, "secret");
    let failed = pair.swap("swap --timeout 3").expect_code(1).expect_error("does not catch up");
    failed.expect_error(WRONG).expect_hint(MENDS_IT);
    assert_eq!(pair.serving(), before);
    set_password(pair, "secret");
    pair.swap("swap").success().expect_changed(true);
    pair.expect_streaming();
}

fn a_disk_that_is_too_small_or_fills_up_leaves_the_old_standby_and_the_next_run_goes_through(hosts: &Hosts) {
    let [db1] = hosts.boot(["db1"]);
    db1.main_cluster();
    db1.sql(5432, "CREATE TABLE bulk AS SELECT repeat(md5(i::text), 30) FROM generate_series(1, 100000) i");
    let pair = Pair::on(hosts, db1, hosts.host("db2").with_small_disk("260m").boot());
    too_small_for_two(&pair);
    pair.db1.sql(5432, "DROP TABLE bulk");
    pair.expect_streaming();
    filled_mid_copy(&pair);
}

fn too_small_for_two(pair: &Pair) {
    let before = pair.serving();
    let refused = pair.swap("run --force").expect_code(3).expect_error(" MB").expect_hint("--space replace");
    pair.expect_untouched(&before, &refused);
    pair.swap("run --force --space replace").success().expect_changed(true);
    pair.expect_streaming();
    assert_ne!(pair.serving().folder, before.folder);
    assert!(pair.beside().is_empty(), "{:?}", pair.beside());
    assert_eq!(pair.db2.sql(5434, "SELECT count(*) FROM bulk"), "100000");
}

fn filled_mid_copy(pair: &Pair) {
    let before = pair.serving();
    let failed = pair.while_copying(|| pair.db2.fill("/var/lib/postgresql", 1_000_000));
    let failed = failed.expect_code(3).expect_error(" MB");
    pair.expect_untouched(&before, &failed);
    pair.expect_streaming();
    let refused = pair.swap("run --force").expect_code(3).expect_error(" MB");
    pair.expect_untouched(&before, &refused);
    pair.db2.says("rm /var/lib/postgresql/filler");
    pair.expect_next_run_ends_well();
}
