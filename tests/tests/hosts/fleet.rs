//! A primary, its standbys and a standby of one of them, by Ansible: what examples/ansible/README.md says, word for word.

use std::time::Duration;
use tests::hosts::{ControlNode, Host, Hosts, Played, Watcher};
use tests::{on_each_suite, on_the_newest_suite, wait_for};

on_the_newest_suite!(a_fleet_is_set_up_checked_interrupted_and_cloned_anew_by_readmes_commands);
on_each_suite!(one_standby_by_ansible_and_a_second_run_changes_nothing);

const SECRET: &str = "correct horse battery staple";
const SSLMODE: &str = "streaming_replication_sslmode=require\n";

/// README's block that holds these words, with this scenario's addresses and version.
fn readme(hosts: &Hosts, words: &str) -> String {
    let readme = include_str!("../../../examples/ansible/README.md");
    let mut blocks = readme.split("```").skip(1).step_by(2).map(|block| block.split_once('\n').expect("a block").1);
    let block = blocks.find(|block| block.contains(words)).unwrap_or_else(|| panic!("README has no {words}"));
    block.replace("192.0.2.0/24", &hosts.subnet()).replace("17/main", &format!("{}/main", hosts.suite.major))
}

/// The line of a block that ends so.
fn command(hosts: &Hosts, end: &str) -> String {
    let block = readme(hosts, end);
    block.lines().find(|line| line.ends_with(end)).unwrap_or_else(|| panic!("{end}: {block}")).to_owned()
}

/// An administrator who did what README says before the first playbook.
fn administrator(hosts: &Hosts, fleet: &[&Host]) -> Option<ControlNode> {
    let node = ControlNode::of(hosts)?;
    node.knows(fleet, &["admin"]);
    // sudo keeps a file that says that it was used before.
    for host in fleet {
        assert_eq!(host.run_as("admin", "sudo true").code(), 0);
    }
    node.run(&readme(hosts, "ansible-galaxy")).expect_done();
    // Its last lines are for all hosts: no module may ask for their Python.
    let inventory = readme(hosts, "[cascaded]") + "ansible_python_interpreter=/nonexistent\n" + SSLMODE;
    node.file("inventory", &inventory);
    node.file("secret.yml", &format!("streaming_replication_password: {SECRET}\n"));
    node.run(&readme(hosts, "ansible-vault")).expect_done();
    hosts.file("needle", &format!("{SECRET}\n"));
    Some(node)
}

/// What a run that changes nothing must leave as it was.
fn state(fleet: &[&Host]) -> Vec<(Vec<String>, Option<String>)> {
    let started = |host: &Host| host.try_sql(5432, "SELECT pg_postmaster_start_time()");
    fleet.iter().map(|host| (host.files(), started(host))).collect()
}

#[track_caller]
fn expect_same(fleet: &[&Host], before: &[(Vec<String>, Option<String>)]) {
    for (host, (files, started)) in fleet.iter().zip(before) {
        host.expect_same_files(files);
        assert_eq!(*started, host.try_sql(5432, "SELECT pg_postmaster_start_time()"), "{} was restarted", host.name);
    }
}

#[track_caller]
fn expect_row(host: &Host, answer: u32) {
    wait_for(&format!("the row to arrive on {}", host.name), Duration::from_secs(20), || {
        host.try_sql(5432, "SELECT max(answer) FROM proof") == Some(answer.to_string())
    });
}

fn a_fleet_is_set_up_checked_interrupted_and_cloned_anew_by_readmes_commands(hosts: &Hosts) {
    let ([db1, db2, db4], [db3]) = (hosts.boot(["db1", "db2", "db4"]), hosts.boot_on_disks(["db3"]));
    let [db1, db2, db3, db4] = [&db1, &db2, &db3, &db4];
    let fleet = [db1, db2, db3, db4];
    let Some(node) = administrator(hosts, &fleet) else { return };
    db1.main_cluster();
    let [check, set_up] = ["set_up --check --diff", "set_up"].map(|end| command(hosts, end));

    let before = state(&fleet);
    let planned = node.run(&check).expect_changed(&fleet, true);
    expect_same(&fleet, &before);
    planned.expect_said("+wal_keep_size = 1GB").expect_not_said("[WARNING]");

    let watcher = Watcher::of(SECRET);
    interrupted_once_it_is_set_up(&node, &set_up, fleet);
    let watcher = watcher.expect_nothing_in_processes();
    watcher.expect_nothing_on(db1, &[]);
    for standby in [db2, db3, db4] {
        watcher.expect_nothing_on(standby, &["/var/lib/postgresql/.pgpass"]);
    }

    let before = state(&fleet);
    node.run(&set_up).expect_changed(&fleet, false);
    node.run(&check).expect_changed(&fleet, false);
    expect_same(&fleet, &before);

    own_playbook(hosts, &node, db1);
    db3_is_cloned_anew_and_put_back(hosts, &node, db1, db3);
}

fn interrupted_once_it_is_set_up(node: &ControlNode, set_up: &str, fleet: [&Host; 4]) {
    let [db1, db2, db3, db4] = fleet;
    let interrupted = db3_dies_while_its_copy_comes(node, set_up, db3).expect_failed();
    assert!(interrupted.recap(db1).is_some_and(|recap| recap.failed == 0 && recap.changed > 0), "{interrupted}");
    assert!(interrupted.recap(db3).is_some_and(|recap| recap.failed + recap.unreachable > 0), "{interrupted}");
    assert_eq!(interrupted.recap(db4), None, "the run ends where a host is lost\n{interrupted}");
    node.run(set_up).expect_changed(&[db1, db2], false).expect_changed(&[db3, db4], true);
    db1.sql(5432, "CREATE TABLE proof AS SELECT 42 AS answer");
    for host in fleet {
        expect_row(host, 42);
    }
    let streams = "SELECT count(*) FROM pg_stat_replication";
    assert_eq!([db1.sql(5432, streams), db2.sql(5432, streams)], ["2", "1"], "db4 follows db2");
}

/// One host down in the middle: it loses power, and comes back by itself.
fn db3_dies_while_its_copy_comes(node: &ControlNode, set_up: &str, db3: &Host) -> Played {
    std::thread::scope(|scope| {
        let playing = scope.spawn(|| node.run(set_up));
        wait_for("the copy to begin", Duration::from_secs(120), || db3.has_process("pg_basebackup"));
        db3.lose_power();
        playing.join().expect("the playbook's end")
    })
}

/// README's last playbook.
fn own_playbook(hosts: &Hosts, node: &ControlNode, db1: &Host) {
    node.file("own.yml", &readme(hosts, "- hosts: primary"));
    let play = "ansible-playbook -i inventory own.yml";
    node.run(play).expect_changed(&[db1], true);
    assert_eq!(db1.sql(5432, "SHOW shared_buffers"), "192MB");
    node.run(play).expect_changed(&[db1], false);
}

fn db3_is_cloned_anew_and_put_back(hosts: &Hosts, node: &ControlNode, db1: &Host, db3: &Host) {
    let reclone = command(hosts, "reclone -e standby=db3");
    let directory = "stat -c %i /var/lib/postgresql/*/main";
    let before = db3.says(directory);
    node.run(&format!("{reclone} --check")).expect_changed(&[db3], true);
    assert_eq!(db3.says(directory), before);
    node.run(&reclone).expect_changed(&[db3], true);
    assert_ne!(db3.says(directory), before, "it is another directory");
    assert!(db3.sql(5432, "SHOW primary_conninfo").contains("sslmode=require"), "it trusts db1 as it did before");
    db1.sql(5432, "INSERT INTO proof VALUES (43)");
    expect_row(db3, 43);
    let back = command(hosts, &format!("\"action=rollback cluster={}/main\"", hosts.suite.major));
    node.run(&back).expect_done().expect_said("db3 | CHANGED");
    assert_eq!(db3.says(directory), before, "it is the old one");
    db1.sql(5432, "INSERT INTO proof VALUES (44)");
    expect_row(db3, 44);
}

fn one_standby_by_ansible_and_a_second_run_changes_nothing(hosts: &Hosts) {
    let booted = hosts.boot(["db1", "db2"]);
    let [db1, db2] = booted.each_ref();
    let Some(node) = administrator(hosts, &[db1, db2]) else { return };
    db1.main_cluster();
    let set_up = format!("{} --limit db1,db2", command(hosts, "set_up"));
    node.run(&set_up).expect_changed(&[db1, db2], true);
    db1.sql(5432, "CREATE TABLE proof AS SELECT 42 AS answer");
    expect_row(db2, 42);
    let before = state(&[db1, db2]);
    node.run(&set_up).expect_changed(&[db1, db2], false);
    expect_same(&[db1, db2], &before);
    the_time_that_it_may_take_is_also_that_of_its_start(&node, &set_up, db2);
    stopped_by_somebody_it_is_started_again(&node, &set_up, db1, db2);
}

/// A large one replays for a while before it lets anybody in.
fn the_time_that_it_may_take_is_also_that_of_its_start(node: &ControlNode, set_up: &str, db2: &Host) {
    db2.says(&format!("pg_ctlcluster {} main stop", db2.suite.major));
    let hurried = node.run(&format!("{set_up} -e streaming_replication_timeout=0.001")).expect_failed();
    let last = hurried.text.rsplit("TASK [").next().unwrap_or_default();
    assert!(last.contains(": A start, a restart, a reload or nothing"), "{hurried}");
    node.run(set_up).expect_done();
    expect_row(db2, 42);
}

fn stopped_by_somebody_it_is_started_again(node: &ControlNode, set_up: &str, db1: &Host, db2: &Host) {
    db2.says(&format!("pg_ctlcluster {} main stop", db2.suite.major));
    node.run(set_up).expect_changed(&[db1], false).expect_changed(&[db2], true);
    expect_row(db2, 42);
}
