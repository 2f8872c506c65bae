//! `examples/Makefile`: the runbook as targets, from an administrator's own machine.

use std::time::Duration;
use tests::hosts::{Host, Hosts};
use tests::{Document, expect_described, on_the_newest_suite, wait_for};

on_the_newest_suite!(make_sets_up_two_standbys_at_once_and_all_of_it_again_changes_nothing);

const MAKEFILE: &str = include_str!("../../../examples/Makefile");

fn make(work: &Host, standbys: &[&Host], words: &str) -> String {
    let list = |of: fn(&Host) -> &str| standbys.iter().map(|host| of(host)).collect::<Vec<_>>().join(" ");
    let (names, addresses, major) = (list(|host| &host.name), list(|host| &host.address), work.suite.major);
    work.says(&format!(
        "make -f /exchange/Makefile {words} PRIMARY=db1 STANDBYS='{names}' FROM='{addresses}' SECRET=/exchange/secret \
         MAIN={major}/main REPLICA={major}/replica 2>&1"
    ))
}

#[track_caller]
fn expect_row(standby: &Host) {
    wait_for("the row to arrive", Duration::from_secs(20), || {
        standby.try_sql(5434, "SELECT answer FROM proof").as_deref() == Some("42")
    });
}

/// What each of the stages said.
fn documents(work: &Host, folder: &str) -> Vec<Document> {
    let said = work.says(&format!("cat $(find {folder} -name '*.json' -not -path 'stages/check/*' | sort)"));
    let read = |line: &str| {
        let document = serde_json::from_str(line).expect("a document");
        expect_described(&document, "make");
        Document::read(&document)
    };
    said.lines().map(read).collect()
}

fn make_sets_up_two_standbys_at_once_and_all_of_it_again_changes_nothing(hosts: &Hosts) {
    hosts.file("secret", "correct horse battery staple\n");
    hosts.file("Makefile", MAKEFILE);
    let [work, db1, db2, db3, db4] = hosts.boot(["work", "db1", "db2", "db3", "db4"]);
    db1.main_cluster();
    for host in [&db1, &db2, &db3, &db4] {
        host.lets_in(&work, "root");
    }
    let (fleet, standbys) = ([&db1, &db2, &db3], [&db2, &db3]);
    let before = fleet.map(Host::files);
    make(&work, &standbys, "-j check");
    fleet.into_iter().zip(&before).for_each(|(host, before)| host.expect_same_files(before));
    assert!(documents(&work, "stages/check/db2").iter().all(|document| document.check));

    make(&work, &standbys, "-j");
    db1.sql(5432, "CREATE TABLE proof AS SELECT 42 AS answer");
    standbys.into_iter().for_each(expect_row);
    assert!(make(&work, &standbys, "").contains("Nothing to be done"));

    let before = fleet.map(Host::files);
    make(&work, &standbys, "-j -B");
    fleet.into_iter().zip(&before).for_each(|(host, before)| host.expect_same_files(before));
    let again = documents(&work, "stages");
    let changed: Vec<&Document> = again.iter().filter(|document| document.changed).collect();
    assert!(changed.is_empty(), "{changed:#?}");
    assert_eq!(again.len(), 5 + 2 * 7, "one document a stage");
    a_further_standby_is_let_in_too(&work, [&db2, &db3, &db4]);
}

/// Its address is news to the primary, whose stages were done without it.
fn a_further_standby_is_let_in_too(work: &Host, standbys: [&Host; 3]) {
    make(work, &standbys, "-j");
    expect_row(standbys[2]);
    assert!(make(work, &standbys, "").contains("Nothing to be done"));
}
