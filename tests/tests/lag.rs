//! `pg-cluster status --max-lag`: for whoever isn't looking.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use std::time::Duration;
use tests::{Outcome, Sandbox, TestCluster, on_each_major, pair, wait_for};

on_each_major!(a_standby_that_is_too_far_behind_or_does_not_stream_fails_the_check);

fn check(cluster: &TestCluster, limit: &str) -> Outcome {
    cluster.tool("status").args(["--max-lag", limit]).run()
}

fn a_standby_that_is_too_far_behind_or_does_not_stream_fails_the_check(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.streams();
    let told = check(&pair.standby, "64MB").success();
    let replication = &told.document["replication"];
    assert!(replication["silent_seconds"].is_number() && replication["lag_seconds"].is_number(), "{told}");
    check(&pair.primary, "64MB").success();

    pair.standby.sql("SELECT pg_wal_replay_pause()");
    pair.primary.sql("CREATE TABLE filler AS SELECT generate_series(1, 10000) AS n");
    wait_for("what is not replayed to arrive", Duration::from_secs(20), || {
        pair.standby.sql("SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) > 100000") == "t"
    });
    let behind = check(&pair.standby, "100kB").expect_code(1);
    behind.expect_error("behind its primary, more than 100.0 kB").expect_hint("pg-cluster status");
    check(&pair.primary, "100kB").expect_code(1).expect_error("its standby 127.0.0.1 is");
    check(&pair.standby, "1TB").expect_code(1).expect_error("that is paused").expect_warning("pg_wal_replay_resume()");

    pair.standby.sql("SELECT pg_wal_replay_resume()");
    wait_for("it to replay", Duration::from_secs(20), || check(&pair.standby, "1TB").code() == 0);
    pair.primary.tool("stop").run().success();
    wait_for("the standby to lose its primary", Duration::from_secs(20), || {
        pair.standby.sql("SELECT count(*) FROM pg_stat_wal_receiver") == "0"
    });
    let alone = check(&pair.standby, "1TB").expect_code(1).expect_error("does not stream: no walreceiver runs");
    // How far its primary is by now nobody tells it, and that is no nought.
    assert!(alone.document["replication"]["lag_bytes"].is_null(), "{alone}");
    let text = pair.standby.tool("status").args(["--output", "text"]).run();
    assert!(text.stdout.contains("how far its primary is, it can't tell") && !text.stdout.contains("behind"), "{text}");
    check(&pair.primary, "1TB").expect_code(1).expect_error("is down").expect_hint("pg-cluster start");
    pair.primary.tool("status").run().success();
    pair.standby.tool("promote").run().success();
    check(&pair.standby, "1TB").expect_code(1).expect_error("is a primary that no standby follows");
}
