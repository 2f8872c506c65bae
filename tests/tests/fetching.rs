//! A copy on its way: `pg_basebackup`'s options, its progress, its slot, and whether it is what the primary has.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use nix::sys::signal::Signal;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tests::{Network, Pair, Running, Sandbox, on_each_major, on_the_machines_own, pair, wait_for};

on_each_major!(
    the_options_reach_pg_basebackup_and_the_copy_streams,
    a_slot_is_made_for_the_copy_and_dropped_where_none_came_of_it,
    compression_is_the_primarys_or_refused,
    a_copy_is_verified_where_there_is_a_manifest,
);
on_the_machines_own!(
    a_network_that_goes_silent_is_noticed_as_soon_as_the_user_says,
    what_cannot_be_right_is_a_usage_error,
    progress_comes_as_events_for_programs,
    progress_comes_as_lines_where_no_terminal_is,
    a_copy_that_is_not_what_the_manifest_says_is_not_kept,
    a_tablespace_goes_where_it_is_mapped_and_a_copy_cut_off_leaves_nothing_there,
);

/// A copy that takes some seconds.
fn slow(pair: &Pair<'_>, options: &[&str]) -> Running {
    pair.swap("fetch").args(["--force", "--max-rate", "4M"]).args(options).start()
}

/// Waits until the copy that is on its way has a file, and returns it.
fn arrived(pair: &Pair<'_>, file: &str) -> PathBuf {
    let path = || pair.beside("partial").into_iter().map(|folder| folder.join(file)).find(|path| path.exists());
    wait_for(&format!("{file} to arrive"), Duration::from_secs(30), || path().is_some());
    path().expect("a file that has arrived")
}

fn the_options_reach_pg_basebackup_and_the_copy_streams(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let options = ["--wal-method", "fetch", "--max-rate", "100M", "--checkpoint", "fast", "--waldir", "wal", "-v"];
    let run = pair.swap("run").arg("--force").args(options).run().success().expect_changed(true);
    let keepalives = "keepalives=1 keepalives_idle=30 keepalives_interval=10 keepalives_count=3";
    for words in ["--wal-method fetch", "--max-rate 100M", "--checkpoint fast", "--waldir /", keepalives] {
        assert!(run.stderr.contains(words), "{words}: {run}");
    }
    assert_eq!(std::fs::read_link(pair.standby.data.join("pg_wal")).expect("a link"), sandbox.path().join("wal"));
    pair.streams();
}

fn a_network_that_goes_silent_is_noticed_as_soon_as_the_user_says(sandbox: &Sandbox) {
    let Some(network) = Network::make() else { return };
    let pair = pair(sandbox);
    pair.primary.append("postgresql.conf", "listen_addresses = '*'\n");
    pair.primary.append("pg_hba.conf", &format!("host replication replicator {}/32 scram-sha-256\n", network.inside));
    pair.primary.tool("restart").run().success();
    std::fs::write(&pair.passfile, "*:*:*:replicator:swordfish\n").expect("write");
    pair.streams();
    let started = pair.standby.started();
    let way = format!(
        "host={} port={} user=replicator keepalives_idle=1 keepalives_interval=1 keepalives_count=2",
        network.host, pair.primary.port
    );
    let fetch = pair.swap("fetch").args(["--force", "--max-rate", "2M", "-v", "--conninfo", &way]);
    let running = fetch.in_network(&network).start();
    arrived(&pair, "base");
    network.cut();
    let begun = Instant::now();
    let failed = running.end().expect_code(5).expect_error("is untouched");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}\n{failed}", begun.elapsed());
    let said = "keepalives_idle=1 keepalives_interval=1 keepalives_count=2 keepalives=1";
    assert!(failed.stderr.contains(said), "{failed}");
    assert!(pair.beside("partial").is_empty() && pair.standby.started() == started, "{failed}");
}

fn what_cannot_be_right_is_a_usage_error(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let before = (pair.standby.started(), pair.beside("").len());
    let wrong = [
        ["--max-rate", "31"],
        ["--max-rate", "50G"],
        ["--compress", "client-gzip"],
        ["--compress", "bzip2"],
        ["--tablespace-mapping", "/srv/a"],
        ["--tablespace-mapping", "a=/b"],
        ["--slot", "No Name"],
        ["--wal-method", "none"],
        ["--checkpoint", "never"],
        ["--verify", "perhaps"],
        ["--progress", "loud"],
    ];
    for words in wrong {
        let refused = pair.swap("run").arg("--force").args(words).run().expect_code(2);
        assert!(refused.error().contains(words[0]), "{refused}");
    }
    let told = pair.swap("run").args(["--force", "--create-slot"]).run().expect_code(2);
    told.expect_error("which replication slot").expect_hint("--slot NAME --create-slot");
    assert_eq!((pair.standby.started(), pair.beside("").len()), before);
}

fn a_slot_is_made_for_the_copy_and_dropped_where_none_came_of_it(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let slots = || pair.primary.sql("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'fresh'");
    let checked = pair.swap("fetch").args(["--force", "--slot", "fresh", "--create-slot", "--check"]).run().success();
    assert!(checked.stderr.contains("would make the replication slot fresh"), "{checked}");
    assert_eq!(slots(), "0");
    let running = slow(&pair, &["--slot", "fresh", "--create-slot"]);
    arrived(&pair, "base");
    assert_eq!(slots(), "1");
    running.signal(Signal::SIGTERM);
    running.end().expect_code(1).expect_error("SIGTERM");
    assert_eq!((slots().as_str(), pair.beside("partial").len()), ("0", 0));
    let run = || pair.swap("run").args(["--force", "--slot", "fresh", "--create-slot"]).run().success();
    let made = run().expect_changed(true);
    let changes = made.typed().changes;
    assert!(changes.iter().any(|change| change.kind == "replication_slot" && change.name == "fresh"), "{made}");
    let used = "SELECT active FROM pg_replication_slots WHERE slot_name = 'fresh'";
    wait_for("the standby to use it", Duration::from_secs(20), || pair.primary.sql(used) == "t");
    // One that is there is not made again, and not dropped with a copy that fails.
    assert!(!run().stderr.contains("replication slot"));
    let running = slow(&pair, &["--slot", "fresh", "--create-slot"]);
    arrived(&pair, "base");
    running.signal(Signal::SIGTERM);
    running.end().expect_code(1);
    assert_eq!(slots(), "1");
    pair.streams();
}

fn compression_is_the_primarys_or_refused(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let fetch = pair.swap("fetch").args(["--force", "--compress", "gzip:1", "-v"]).run();
    if pair.primary.major >= 15 {
        let fetched = fetch.success().expect_changed(true);
        assert!(fetched.stderr.contains("--compress server-gzip:1"), "{fetched}");
        pair.swap("swap").run().success();
        pair.streams();
    } else {
        let refused = fetch.expect_code(3).expect_error("can't compress what it sends");
        refused.expect_hint("leave --compress out");
        assert!(pair.beside("partial").is_empty());
    }
}

fn a_copy_is_verified_where_there_is_a_manifest(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let verified = |options: &[&str]| {
        let fetched = pair.swap("fetch").arg("--force").args(options).run().success();
        fetched.document["fetch"]["verified"].clone()
    };
    let told = verified(&[]);
    if pair.primary.major < 13 {
        assert_eq!((&told["how"], &told["seconds"]), (&Value::Null, &Value::Null), "nothing was compared");
        return;
    }
    assert_eq!(told["how"], "full");
    assert!(told["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{told}");
    assert_eq!(verified(&["--verify", "sizes"])["how"], "sizes");
    assert_eq!(verified(&["--verify", "none"])["how"], Value::Null);
}

/// The events that were told.
fn events(stderr: &str) -> Vec<Value> {
    let lines = stderr.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn progress_comes_as_events_for_programs(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let fetched = pair.swap("fetch").args(["--force", "--progress", "json", "--max-rate", "10M", "-q"]).run().success();
    let events = events(&fetched.stderr);
    assert_eq!(events.len(), fetched.stderr.lines().count(), "with -q nothing else: {fetched}");
    let progress: Vec<&Value> = events.iter().filter(|event| event["event"] == "progress").collect();
    let (first, last) = (progress.first().expect("a first"), progress.last().expect("a last"));
    let number = |event: &Value, name: &str| event[name].as_u64().unwrap_or_else(|| panic!("{name}: {event}"));
    assert!(number(first, "bytes") < number(last, "bytes"), "{fetched}");
    assert!(number(last, "bytes") > 10_000_000 && number(last, "bytes") <= number(last, "total"), "{last}");
    assert_eq!((number(last, "tablespaces"), number(last, "of_tablespaces")), (1, 1), "{last}");
    assert!(last["seconds"].as_f64().is_some_and(|seconds| seconds > 1.0), "{last}");
    let silent = pair.swap("fetch").args(["--force", "--progress", "none"]).run().success();
    assert!(!silent.stderr.contains("copied (") && self::events(&silent.stderr).is_empty(), "{silent}");
}

fn progress_comes_as_lines_where_no_terminal_is(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let fetched = pair.swap("fetch").args(["--force", "--max-rate", "2M"]).run().success();
    let lines: Vec<&str> = fetched.stderr.lines().filter(|line| line.contains(" MB copied (")).collect();
    assert!((1..=4).contains(&lines.len()), "seldom: {fetched}");
    assert!(lines[0].contains(" MB/s, ") && lines[0].ends_with(" left"), "{fetched}");
}

fn a_copy_that_is_not_what_the_manifest_says_is_not_kept(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    let running = slow(&pair, &[]);
    let file = arrived(&pair, "base/1/PG_VERSION");
    wait_for("all of it", Duration::from_secs(20), || std::fs::read(&file).is_ok_and(|bytes| bytes.len() == 3));
    // As a bad disk would: of the same length.
    std::fs::write(&file, "xx\n").expect("write");
    let failed = running.end().expect_code(1).expect_error("the copy is not what the primary's manifest says");
    failed.expect_error("base/1/PG_VERSION").expect_hint("fetch it again");
    assert!(pair.beside("partial").is_empty() && pair.beside("incoming").is_empty());
    pair.streams();
}

fn a_tablespace_goes_where_it_is_mapped_and_a_copy_cut_off_leaves_nothing_there(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    // A standby on the same host would make it in the same place.
    pair.standby.tool("stop").run().success();
    let (there, here) = (sandbox.folder("fast disk"), sandbox.path().join("it's here=now"));
    pair.primary.sql(&format!("CREATE TABLESPACE fast LOCATION '{}'", there.display()));
    pair.primary
        .sql("CREATE TABLE large TABLESPACE fast AS SELECT n, repeat('x', 1000) FROM generate_series(1, 9000) n");
    std::fs::write(&pair.passfile, "*:*:*:replicator:swordfish\n").expect("write");
    let unmapped = pair.swap("fetch").arg("--force").run().expect_code(3).expect_error("is not empty");
    unmapped.expect_hint("--tablespace-mapping");
    let unknown = pair.swap("fetch").args(["--force", "-T", "/nowhere=/somewhere"]).run().expect_code(3);
    unknown.expect_error("the primary has no tablespace at /nowhere").expect_error(&there.display().to_string());
    let mapping = format!("{}={}", there.display(), here.display().to_string().replace('=', "\\="));
    let running = slow(&pair, &["-T", &mapping]);
    wait_for("the tablespace", Duration::from_secs(30), || holds_something(&here));
    running.signal(Signal::SIGTERM);
    running.end().expect_code(1);
    assert!(!here.exists(), "what was cut off would stand in the way of the next");
    let killed = slow(&pair, &["-T", &mapping]);
    wait_for("the tablespace", Duration::from_secs(30), || holds_something(&here));
    killed.kill();
    pair.swap("run").args(["--force", "-T", &mapping]).run().success().expect_changed(true);
    pair.standby.tool("start").run().success();
    pair.streams();
    assert_eq!(pair.standby.sql("SELECT count(*) FROM large"), "9000");
    assert_eq!(
        pair.standby.sql("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'fast'"),
        here.display().to_string()
    );
}

fn holds_something(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}
