//! A standby that systemd serves is cloned anew: while clients write and read, and while the copy is cut off midway.

use std::time::Duration;
use tests::hosts::{Hosts, Pair, Readers, SLOW_COPY};
use tests::{on_the_newest_suite, wait_for};

on_the_newest_suite!(
    a_reclone_under_load_leaves_readers_without_answers_no_longer_than_a_restart_does,
    a_copy_that_is_cut_off_midway_leaves_the_old_standby_and_the_next_run_goes_through,
);

const PATIENCE: Duration = Duration::from_secs(60);

/// What a machine that is busy with other tests may take where an idle one takes a tenth of it.
const BOUND: Duration = Duration::from_secs(5);

fn a_reclone_under_load_leaves_readers_without_answers_no_longer_than_a_restart_does(hosts: &Hosts) {
    let pair = on_disks(hosts);
    let readers = let_readers_in(hosts, &pair);
    start_writing(&pair);
    readers.longest_silence();
    let restarts = [(); 3].map(|()| {
        pair.cluster("restart --no-input").success();
        pair.expect_streaming();
        readers.longest_silence()
    });
    let ran = pair.swap("run --force").success().expect_changed(true);
    pair.expect_streaming();
    let silence = readers.longest_silence();
    eprintln!("no answers: {silence:?} at run --force, {restarts:?} at restarts; the tool: {}", ran.typed().msg);
    let restart = restarts.into_iter().max().expect("three");
    assert!(silence <= BOUND && silence <= restart * 3, "{silence:?} beside {restarts:?}\n{ran}");
    its_way_back_and_its_end(&pair);
    let silence = readers.longest_silence();
    eprintln!("no answers at the rollback: {silence:?}");
    assert!(silence <= BOUND, "{silence:?}");
    stop_writing(&pair);
}

/// What a stop writes out takes its time there, and what is there outlives the loss of power.
fn on_disks(hosts: &Hosts) -> Pair {
    let [db1, db2] = hosts.boot_on_disks(["db1", "db2"]);
    Pair::on(hosts, db1, db2)
}

/// Anybody of the network may read, without a password.
fn let_readers_in(hosts: &Hosts, pair: &Pair) -> Readers {
    pair.db1.sql(5432, "CREATE ROLE reader LOGIN");
    let subnet = hosts.subnet();
    pair.db2.says(&format!(
        "pg-conf set 'listen_addresses=*' --cluster {0} \
         | pg-conf allow reader --from {subnet} --database postgres --method trust | pg-cluster restart",
        pair.standby
    ));
    pair.expect_streaming();
    Readers::of(&pair.db2.address, 5434, "reader")
}

/// Until its table is gone.
fn start_writing(pair: &Pair) {
    pair.db1.sql(5432, "CREATE TABLE load (number bigserial, text text)");
    let insert = "INSERT INTO load (text) SELECT repeat(md5(random()::text), 20) FROM generate_series(1, 200)";
    pair.db1.says(&format!(
        "systemd-run --quiet --unit writers --uid postgres bash -c \
         \"while psql -XAtqc '{insert}' -p 5432; do sleep 0.05; done\""
    ));
    wait_for("rows to be written", PATIENCE, || pair.db1.sql(5432, "SELECT count(*) > 0 FROM load") == "t");
}

fn stop_writing(pair: &Pair) {
    assert_eq!(pair.db1.says("systemctl is-active writers"), "active", "nobody wrote all the while");
    pair.db1.says("systemctl stop writers");
    let rows = pair.db1.sql(5432, "SELECT count(*) FROM load");
    wait_for("the standby to have every row", PATIENCE, || pair.db2.sql(5434, "SELECT count(*) FROM load") == rows);
}

fn its_way_back_and_its_end(pair: &Pair) {
    let second = pair.serving();
    pair.swap("run").success().expect_changed(false);
    assert_eq!(pair.serving(), second, "a second run changes nothing");
    pair.swap("rollback").success().expect_changed(true);
    pair.expect_streaming();
    assert_ne!(pair.serving(), second);
    pair.swap("rollback").success().expect_changed(false);
    pair.swap("commit").success().expect_changed(true);
    assert!(pair.beside().is_empty(), "{:?}", pair.beside());
    pair.expect_streaming();
}

fn a_copy_that_is_cut_off_midway_leaves_the_old_standby_and_the_next_run_goes_through(hosts: &Hosts) {
    let pair = on_disks(hosts);
    the_primary_restarts(&pair);
    the_tool_is_killed(&pair);
    the_host_loses_its_power(&pair);
}

fn the_primary_restarts(pair: &Pair) {
    let before = pair.serving();
    let restart = format!("pg-cluster restart --no-input --cluster {}/main", pair.db1.suite.major);
    let failed = pair.while_copying(|| {
        pair.db1.run(&restart).success();
    });
    let failed = failed.expect_code(5).expect_error("the copy from db1:5432 failed");
    let failed = failed.expect_error("is untouched").expect_hint("pg_isready -h db1 -p 5432");
    pair.expect_untouched(&before, &failed);
    pair.expect_next_run_ends_well();
}

fn the_tool_is_killed(pair: &Pair) {
    let before = pair.serving();
    let killed = pair.while_copying(|| {
        pair.db2.says("pkill -9 -x pg-basebackup-s");
    });
    assert_eq!((killed.code(), pair.serving()), (137, before), "{killed}");
    pair.expect_next_run_ends_well();
}

fn the_host_loses_its_power(pair: &Pair) {
    let before = pair.serving();
    // Nobody waits for it: whoever did would be gone with the host.
    pair.db2.says(&format!("systemd-run --quiet {}", pair.swap_command(SLOW_COPY)));
    pair.wait_for_a_copy_on_its_way();
    pair.db2.lose_power();
    pair.expect_streaming();
    assert_ne!(pair.serving(), before, "systemd started it anew");
    assert_eq!(pair.beside().len(), 1, "{:?}", pair.beside());
    pair.expect_next_run_ends_well();
}
