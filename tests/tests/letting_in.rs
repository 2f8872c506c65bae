//! `pg-conf allow` where it has to know more than the file says: places, memberships, verifiers, and what the server would
//! not load.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

#[path = "access/scene.rs"]
mod scene;

use scene::*;
use tests::{Sandbox, names_below, on_each_major, on_the_machines_own};

on_each_major!(
    the_hint_of_a_reject_puts_the_rule_before_it_and_disallow_takes_it_out,
    memberships_and_lists_are_known_before_a_rule_is_added,
    what_the_server_would_not_load_is_never_installed,
);
on_the_machines_own!(
    a_place_where_the_rule_would_not_win_is_refused,
    verifiers_that_do_not_fit_the_method_are_warned_of,
    the_hosts_own_addresses_may_be_let_in,
    a_scratch_server_that_cannot_be_made_is_no_obstacle,
);

fn the_hint_of_a_reject_puts_the_rule_before_it_and_disallow_takes_it_out(sandbox: &Sandbox) {
    let rules = format!("{CLOSED}host replication all 127.0.0.0/8 reject\r\nhost all all all md5");
    let cluster = scene(sandbox, &rules);
    let refused = allow(&cluster, &["replicator", "--from", "127.0.0.1"]).run().expect_code(3);
    let command = refused.hint();
    let allowed = sandbox.pipeline(&command).run().success().expect_changed(true);
    assert_eq!(allowed.typed().changes[0].line, Some(3), "{allowed}");
    reload(sandbox, &allowed);
    assert!(logs_in(&cluster, "127.0.0.1"));
    let before = cluster.fingerprint();
    sandbox.pipeline(&command).run().success().expect_changed(false);
    assert_eq!(cluster.fingerprint(), before);
    disallow(&cluster, &["replicator", "--from", "127.0.0.1"]).run().success().expect_changed(true);
    assert_eq!(cluster.read("pg_hba.conf"), rules);
}

fn a_place_where_the_rule_would_not_win_is_refused(sandbox: &Sandbox) {
    let rules = format!("{CLOSED}host replication all 127.0.0.1/32 reject\nhost all all all md5\n");
    let cluster = scene(sandbox, &rules);
    let before = cluster.fingerprint();
    let words = |line: &'static str| ["replicator", "--from", "127.0.0.1", "--before", line];
    let refused = allow(&cluster, &words("4")).run().expect_code(3);
    refused.expect_error("pg_hba.conf:3 decides first").expect_hint("--before 3");
    allow(&cluster, &words("5")).run().expect_code(2).expect_error("has the lines 1 to 4").expect_hint("pg-conf rules");
    allow(&cluster, &words("0")).run().expect_code(2);
    assert_eq!(cluster.fingerprint(), before);
}

fn memberships_and_lists_are_known_before_a_rule_is_added(sandbox: &Sandbox) {
    let rules = format!("{CLOSED}host replication +staff,@kept_out all reject\nhost replication +crew all md5\n");
    let cluster = sandbox.cluster("primary").start();
    make_role(&cluster, "replicator");
    cluster.append("kept_out", "somebody\n");
    cluster.sql("CREATE ROLE staff; CREATE ROLE crew; GRANT crew TO replicator");
    cluster.write("pg_hba.conf", &rules);
    cluster.tool("reload").run().success();
    let allowed = allow(&cluster, &["replicator", "--from", "127.0.0.1"]).run().success().expect_changed(false);
    assert!(allowed.stderr.contains("pg_hba.conf:4") && !allowed.stderr.contains("depends on"), "{allowed}");
    assert!(logs_in(&cluster, "127.0.0.1"), "it works by that rule");
    cluster.sql("GRANT staff TO crew");
    allow(&cluster, &["replicator", "--from", "127.0.0.1"]).run().expect_code(3).expect_error("pg_hba.conf:3");
    assert!(!logs_in(&cluster, "127.0.0.1"), "it is rejected by that rule");
}

fn verifiers_that_do_not_fit_the_method_are_warned_of(sandbox: &Sandbox) {
    let cluster = scene(sandbox, CLOSED);
    cluster.sql("SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD 'x'; CREATE ROLE reader LOGIN");
    let from = ["--from", "192.0.2.7", "--check"];
    let told = |words: &[&str]| allow(&cluster, words).args(from).run().success();
    told(&["replicator", "--method", "md5"]).expect_warning("stored for SCRAM: --method scram-sha-256 would do");
    let old = told(&["old", "--database", "all"]).expect_warning("stored for md5, which scram-sha-256 can't use");
    assert!(!old.stderr.contains("does not cover replication"), "it may not replicate anyway: {old}");
    told(&["replicator", "--database", "all"]).expect_warning("does not cover replication");
    told(&["reader", "--database", "shop"]).expect_warning("reader has no password");
    told(&["reader"]).expect_warning("NOREPLICATION");
    told(&["ghost"]).expect_warning("no role ghost yet: pg-role ensure ghost");
    let sound = told(&["replicator"]);
    assert!(sound.typed().warnings.is_empty(), "{sound}");
}

fn the_hosts_own_addresses_may_be_let_in(sandbox: &Sandbox) {
    let cluster = scene(sandbox, CLOSED);
    let allowed = allow(&cluster, &["replicator", "--from", "samehost"]).run().success().expect_changed(true);
    reload(sandbox, &allowed);
    assert!(logs_in(&cluster, "127.0.0.1"));
    allow(&cluster, &["replicator", "--from", "samehost"]).run().success().expect_changed(false);
    allow(&cluster, &["replicator", "--from", "127.0.0.1"]).run().success().expect_changed(false);
    let all = allow(&cluster, &["replicator", "--from", "all"]).run().success().expect_changed(true);
    all.expect_warning("every address there is");
    disallow(&cluster, &["replicator", "--from", "all,samehost"]).run().success().expect_changed(true);
    assert_eq!(cluster.read("pg_hba.conf"), CLOSED);
}

fn what_the_server_would_not_load_is_never_installed(sandbox: &Sandbox) {
    let rules = format!("{CLOSED}host replication @people 192.0.2.0/30 md5\n");
    let cluster = sandbox.cluster("primary").create();
    cluster.write("pg_hba.conf", &rules);
    cluster.append("people", "somebody\n");
    let before = (cluster.fingerprint(), names_below(&cluster.data));
    // Only the server knows what this method asks for.
    let ldap = ["replicator", "--from", "192.0.2.7", "--method", "ldap"];
    let words = format!("{}:4: ", cluster.data.join("pg_hba.conf").display());
    for started in [false, true] {
        let refused = allow(&cluster, &ldap).run().expect_code(2);
        refused.expect_error("would not load").expect_error(&words).expect_error("ldap");
        allow(&cluster, &ldap).arg("--check").run().expect_code(2);
        assert_eq!(cluster.fingerprint(), before.0);
        if !started {
            assert_eq!(names_below(&cluster.data), before.1);
            cluster.tool("start").run().success();
        }
    }
    cluster.tool("stop").run().success();
    // What was wrong before is not laid to the change.
    cluster.append("pg_hba.conf", "host all all all ldap\n");
    let failed = allow(&cluster, &["replicator", "--from", "192.0.2.7"]).run().expect_code(1);
    failed.expect_error("has errors already").expect_error(&words).expect_hint("pg-conf check");
    cluster.write("pg_hba.conf", &rules);
    let allowed = allow(&cluster, &["replicator", "--from", "192.0.2.7"]).run().success().expect_changed(true);
    assert!(!allowed.stderr.contains("scratch"), "its list of names is found: {allowed}");
    cluster.tool("start").run().success();
    assert_eq!(errors(&cluster), "0");
}

fn a_scratch_server_that_cannot_be_made_is_no_obstacle(sandbox: &Sandbox) {
    let cluster = scene(sandbox, CLOSED);
    let words = ["replicator", "--from", "192.0.2.7"];
    let command = allow(&cluster, &words).env("TMPDIR", sandbox.path().join("nowhere"));
    let allowed = command.run().success().expect_changed(true).expect_warning("could not be tried on a scratch server");
    reload(sandbox, &allowed);
    let ldap = ["replicator", "--from", "192.0.2.8", "--method", "ldap"];
    let before = cluster.fingerprint();
    let taken_back = allow(&cluster, &ldap).env("TMPDIR", sandbox.path().join("nowhere")).run().expect_code(1);
    taken_back.expect_error("the old one is back");
    let texts = |found: std::collections::BTreeMap<_, (u64, i64, i64, Vec<u8>)>| {
        found.into_values().map(|(_, _, _, bytes)| bytes).collect::<Vec<_>>()
    };
    assert_eq!(texts(cluster.fingerprint()), texts(before));
}
