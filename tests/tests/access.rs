//! `pg_hba.conf` on real servers: a rule that lets a role in lets it in, and no other rule moves.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

#[path = "access/scene.rs"]
mod scene;

use scene::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use tests::{Sandbox, on_each_major, on_the_machines_own};

on_each_major!(
    an_allowed_role_logs_in_and_a_second_allow_changes_nothing,
    allow_and_disallow_leave_the_file_as_it_was,
    an_earlier_reject_is_respected_and_named,
    a_rule_that_would_win_with_another_method_is_gone_before,
    addresses_that_are_none_are_refused,
    rules_lists_what_the_server_lists,
    a_broken_file_is_not_added_to,
);
on_the_machines_own!(
    host_names_and_ipv6_let_in,
    a_rule_that_already_lets_in_is_enough,
    names_that_need_quotes_log_in,
    a_line_without_an_ending_stays_one,
    the_files_owner_and_mode_stay,
    check_mode_adds_no_rule,
    the_rule_waits_for_a_reload_and_says_so_again,
    disallow_takes_only_what_allow_puts_in,
    local_rules_have_no_address,
    trust_and_the_whole_world_are_warned_of,
    included_rules_are_seen_from_16_on,
    the_readers_of_a_document_learn_who_replicates,
);

fn an_allowed_role_logs_in_and_a_second_allow_changes_nothing(sandbox: &Sandbox) {
    let cluster = scene(sandbox, CLOSED);
    assert!(!logs_in(&cluster, "127.0.0.1"));
    let words = ["replicator", "--from", "127.0.0.1"];
    let allowed = allow(&cluster, &words).run().success().expect_changed(true);
    assert_eq!(allowed.typed().needs.level, "reload");
    assert_eq!(errors(&cluster), "0");
    reload(sandbox, &allowed).expect_changed(true);
    assert!(logs_in(&cluster, "127.0.0.1"));
    let before = (cluster.fingerprint(), cluster.loaded());
    let again = allow(&cluster, &words).run().success().expect_changed(false);
    assert_eq!(again.typed().needs.level, "none");
    reload(sandbox, &again).expect_changed(false);
    assert_eq!((cluster.fingerprint(), cluster.loaded()), before);
    // As narrow as it was asked for.
    let rule = "SELECT type, database, user_name, address, netmask, auth_method FROM pg_hba_file_rules
        ORDER BY line_number DESC LIMIT 1";
    assert_eq!(cluster.sql(rule), "host|{replication}|{replicator}|127.0.0.1|255.255.255.255|scram-sha-256");
}

fn allow_and_disallow_leave_the_file_as_it_was(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    for rules in [CLOSED, "local all all peer", "local all all peer\r\n# the end \\", "local all all peer\n\n\n"] {
        cluster.write("pg_hba.conf", rules);
        let words = ["replicator", "--from", "192.0.2.7,2001:db8::/64,standby.example.com"];
        let allowed = allow(&cluster, &words).run().success().expect_changed(true);
        assert_eq!(allowed.typed().changes.len(), 3, "{allowed}");
        assert_ne!(cluster.read("pg_hba.conf"), rules);
        disallow(&cluster, &words).run().success().expect_changed(true);
        assert_eq!(cluster.read("pg_hba.conf"), rules);
        let before = cluster.fingerprint();
        disallow(&cluster, &words).run().success().expect_changed(false);
        assert_eq!(cluster.fingerprint(), before);
    }
}

fn an_earlier_reject_is_respected_and_named(sandbox: &Sandbox) {
    let rules = format!("{CLOSED}host replication all 127.0.0.0/8 reject\n");
    let cluster = scene(sandbox, &rules);
    let before = (cluster.fingerprint(), cluster.loaded());
    let refused = allow(&cluster, &["replicator", "--from", "127.0.0.1"]).run().expect_code(3);
    let file = cluster.data.join("pg_hba.conf");
    let refused = refused.expect_error(&format!("{}:3", file.display())).expect_error("reject");
    let command = format!("pg-conf allow replicator -D {} --from 127.0.0.1/32 --before 3", cluster.data.display());
    assert_eq!(refused.hint(), command);
    assert!(!refused.changed());
    assert_eq!((cluster.fingerprint(), cluster.loaded()), before);
    // One that is for others is no obstacle.
    let nowhere = allow(&cluster, &["replicator", "--from", "db2.invalid"]).run().success().expect_changed(true);
    nowhere.expect_warning("db2.invalid has no address");
    disallow(&cluster, &["replicator", "--from", "db2.invalid"]).run().success().expect_changed(true);
    let allowed = allow(&cluster, &["replicator", "--from", "::1"]).run().success().expect_changed(true);
    reload(sandbox, &allowed);
    assert!(!logs_in(&cluster, "127.0.0.1"));
    // One of several that is rejected holds up all.
    let before = cluster.fingerprint();
    allow(&cluster, &["replicator", "--from", "192.0.2.7,127.0.0.1"]).run().expect_code(3);
    assert_eq!(cluster.fingerprint(), before);
}

fn a_rule_that_would_win_with_another_method_is_gone_before(sandbox: &Sandbox) {
    let rules = format!("{CLOSED}# by hand\nhost all,replication all 127.0.0.1/32 ident\nhost all all ::1/128 md5\n");
    let cluster = scene(sandbox, &rules);
    assert!(!logs_in(&cluster, "127.0.0.1"), "ident lets nobody in here");
    let allowed = allow(&cluster, &["replicator", "--from", "127.0.0.1"]).run().success().expect_changed(true);
    assert!(allowed.stderr.contains("pg_hba.conf:4 would be tried first"), "{allowed}");
    assert_eq!(allowed.typed().changes[0].line, Some(4), "{allowed}");
    reload(sandbox, &allowed);
    assert!(logs_in(&cluster, "127.0.0.1"));
    let text = cluster.read("pg_hba.conf");
    let others: Vec<&str> = text.lines().filter(|line| !line.contains("replicator")).collect();
    assert_eq!(others, rules.lines().collect::<Vec<_>>(), "no other line moved");
    disallow(&cluster, &["replicator", "--from", "127.0.0.1"]).run().success().expect_changed(true);
    assert_eq!(cluster.read("pg_hba.conf"), rules);
}

fn addresses_that_are_none_are_refused(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let before = cluster.fingerprint();
    let bad = ["192.0.2.0/40", "192.0.2.7/", "192.0.2", "2001:db8::/129", "db1.example.com/24", "", "a b", "::g"];
    for address in bad {
        let refused = allow(&cluster, &["replicator", "--from", address]).run().expect_code(2);
        refused.expect_error("is not an address, a network or a host name");
        disallow(&cluster, &["replicator", "--from", address]).run().expect_code(2);
    }
    allow(&cluster, &["replicator"]).run().expect_code(2).expect_hint("--from ADDRESS");
    allow(&cluster, &["replicator", "--from", "192.0.2.7", "--method", "secret"]).run().expect_code(2);
    allow(&cluster, &["replicator", "--from", "192.0.2.7", "--method", "reject"]).run().expect_code(2);
    allow(&cluster, &["replicator", "--from", "192.0.2.7", "--type", "tcp"]).run().expect_code(2);
    allow(&cluster, &["replicator\nhost all all all trust", "--from", "192.0.2.7"]).run().expect_code(2);
    assert_eq!(cluster.fingerprint(), before);
}

fn rules_lists_what_the_server_lists(sandbox: &Sandbox) {
    let rules = "local all all peer\nhost \"all\",replication +\"a b\",c 192.0.2.0 255.255.255.0 md5 # why\n\
        hostssl all all .example.com cert clientcert=1 map=x\nhost db1 all samehost password\n\
        hostnossl sameuser \\\n    all ::1/128 scram-sha-256\n\nhost all all all reject\nhost all all 10.0.0.0/8 \
        ident map=\"a, b\"\n";
    // Lines are continued from 14 on.
    let rules = if sandbox.server.major < 14 { rules.replace("\\\n", "") } else { rules.to_owned() };
    let rules = rules
        .replace("clientcert=1", if sandbox.server.major < 12 { "clientcert=1" } else { "clientcert=verify-full" });
    let cluster = sandbox.cluster("primary").start();
    cluster.write("pg_hba.conf", &rules);
    let listed = cluster.other_tool("pg-conf", "rules").run().success().expect_changed(false);
    let ours: Vec<String> = listed.document["rules"].as_array().expect("rules").iter().map(row).collect();
    let theirs = cluster.sql(
        "SELECT line_number, type, array_to_string(database, ','), array_to_string(user_name, ','), auth_method
         FROM pg_hba_file_rules ORDER BY line_number",
    );
    let ours: Vec<String> = ours.iter().map(|line| line.replace('"', "")).collect();
    let theirs: Vec<String> = theirs.lines().map(|line| line.replace('"', "")).collect();
    assert_eq!(ours, theirs, "{listed}");
    assert_eq!(ours.len(), 7);
}

fn row(rule: &serde_json::Value) -> String {
    let text = |name: &str| rule[name].as_str().unwrap_or_default().to_owned();
    let list = |name: &str| {
        let words = rule[name].as_array().expect("a list").iter().map(|word| word.as_str().unwrap_or_default());
        words.collect::<Vec<_>>().join(",")
    };
    format!("{}|{}|{}|{}|{}", rule["line"], text("type"), list("databases"), list("users"), text("method"))
}

fn a_broken_file_is_not_added_to(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    cluster.append("pg_hba.conf", "host all all 192.0.2.0/99 md5\n");
    let line = cluster.read("pg_hba.conf").lines().count();
    let before = cluster.fingerprint();
    let failed = allow(&cluster, &["replicator", "--from", "192.0.2.7"]).run().expect_code(1);
    failed.expect_error(&format!(":{line}")).expect_hint("pg-conf check");
    let rules = cluster.other_tool("pg-conf", "rules").run().success();
    rules.expect_warning("wrong");
    assert_eq!(cluster.fingerprint(), before);
}

fn host_names_and_ipv6_let_in(sandbox: &Sandbox) {
    let cluster = scene(sandbox, CLOSED);
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    if has_ipv6 {
        let set = cluster.other_tool("pg-conf", "set").arg("listen_addresses=127.0.0.1,::1").run().success();
        sandbox.tool("pg-cluster").arg("restart").after(&set).run().success().expect_changed(true);
    }
    let allowed = allow(&cluster, &["replicator", "--from", "localhost"]).run().success().expect_changed(true);
    reload(sandbox, &allowed);
    assert!(logs_in(&cluster, "127.0.0.1"), "the server resolves the name both ways");
    allow(&cluster, &["replicator", "--from", "LOCALHOST"]).run().success().expect_changed(false);
    disallow(&cluster, &["replicator", "--from", "localhost"]).run().success().expect_changed(true);
    let nowhere = allow(&cluster, &["replicator", "--from", "db2.invalid"]).run().success().expect_changed(true);
    nowhere.expect_warning("db2.invalid has no address");
    disallow(&cluster, &["replicator", "--from", "db2.invalid"]).run().success().expect_changed(true);
    let allowed = allow(&cluster, &["replicator", "--from", "::1"]).run().success().expect_changed(true);
    reload(sandbox, &allowed);
    assert!(!logs_in(&cluster, "127.0.0.1"));
    assert_eq!(cluster.sql("SELECT count(*) FROM pg_hba_file_rules WHERE address = '::1'"), "1");
    assert_eq!(logs_in(&cluster, "::1"), has_ipv6);
}

fn a_rule_that_already_lets_in_is_enough(sandbox: &Sandbox) {
    let rules = format!("{CLOSED}host replication all 127.0.0.0/8 md5\n");
    let cluster = scene(sandbox, &rules);
    let before = cluster.fingerprint();
    let allowed = allow(&cluster, &["replicator", "--from", "127.0.0.1"]).run().success().expect_changed(false);
    allowed.expect_warning("md5");
    assert_eq!(cluster.fingerprint(), before);
    assert!(logs_in(&cluster, "127.0.0.1"), "and it does");
}

fn names_that_need_quotes_log_in(sandbox: &Sandbox) {
    let cluster = scene(sandbox, CLOSED);
    for name in ["all", "replication", "Größe", "a,b c", "+plus", "#hash", "samerole"] {
        make_role(&cluster, name);
        let allowed = allow(&cluster, &[name, "--from", "127.0.0.1"]).run().success().expect_changed(true);
        reload(sandbox, &allowed);
        assert_eq!(errors(&cluster), "0");
        let quoted = format!("'{name}'");
        let answered = cluster.login("127.0.0.1", &quoted).with_password(PASSWORD);
        assert!(answered.is_ok(), "{name}: {answered:?}");
        assert!(!logs_in(&cluster, "127.0.0.1"), "{name} lets nobody else in");
        allow(&cluster, &[name, "--from", "127.0.0.1"]).run().success().expect_changed(false);
        let removed = disallow(&cluster, &[name, "--from", "127.0.0.1"]).run().success().expect_changed(true);
        reload(sandbox, &removed);
        assert_eq!(cluster.read("pg_hba.conf"), CLOSED);
    }
    // From 16 on it would be a regular expression, in quotes too.
    allow(&cluster, &["/slash", "--from", "127.0.0.1"]).run().expect_code(2).expect_error("regular expression");
}

fn a_line_without_an_ending_stays_one(sandbox: &Sandbox) {
    let cluster = scene(sandbox, "local all all peer");
    let allowed = allow(&cluster, &["replicator", "--from", "127.0.0.1"]).run().success().expect_changed(true);
    reload(sandbox, &allowed);
    assert!(logs_in(&cluster, "127.0.0.1"));
    assert_eq!(cluster.sql("SELECT count(*) FROM pg_hba_file_rules"), "2");
}

fn the_files_owner_and_mode_stay(sandbox: &Sandbox) {
    let cluster = scene(sandbox, CLOSED);
    let file = cluster.data.join("pg_hba.conf");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("chmod");
    let look = || file.metadata().map(|found| (found.mode(), found.uid(), found.gid())).expect("it");
    let before = look();
    allow(&cluster, &["replicator", "--from", "127.0.0.1"]).run().success().expect_changed(true);
    assert_eq!(look(), before);
}

fn check_mode_adds_no_rule(sandbox: &Sandbox) {
    let cluster = scene(sandbox, CLOSED);
    let before = cluster.fingerprint();
    let planned = allow(&cluster, &["replicator", "--from", "127.0.0.1"]).args(["--check", "--diff"]).run().success();
    let planned = planned.expect_changed(true).expect_stderr("would");
    assert!(planned.document["diff"].to_string().contains("replicator"), "{planned}");
    let next = reload(sandbox, &planned);
    assert!(next.typed().check);
    assert_eq!(cluster.fingerprint(), before);
}

fn the_rule_waits_for_a_reload_and_says_so_again(sandbox: &Sandbox) {
    let cluster = scene(sandbox, CLOSED);
    let words = ["replicator", "--from", "127.0.0.1"];
    allow(&cluster, &words).run().success().expect_changed(true);
    let again = allow(&cluster, &words).run().success().expect_changed(false);
    assert_eq!(again.typed().needs.level, "reload", "{again}");
    reload(sandbox, &again).expect_changed(true);
    assert!(logs_in(&cluster, "127.0.0.1"));
    assert_eq!(allow(&cluster, &words).run().success().typed().needs.level, "none");
}

fn disallow_takes_only_what_allow_puts_in(sandbox: &Sandbox) {
    let others = "host replication replicator 127.0.0.0/8 md5\nhost all replicator 127.0.0.1/32 md5\n\
        host replication other 127.0.0.1/32 md5\nhost replication replicator,other 127.0.0.1/32 md5\n";
    let cluster = scene(sandbox, &format!("{CLOSED}{others}host replication replicator 127.0.0.1/32 scram-sha-256\n"));
    let removed = disallow(&cluster, &["replicator", "--from", "127.0.0.1"]).run().success().expect_changed(true);
    assert_eq!(removed.typed().changes.len(), 1, "{removed}");
    assert_eq!(cluster.read("pg_hba.conf"), format!("{CLOSED}{others}"));
}

fn local_rules_have_no_address(sandbox: &Sandbox) {
    let cluster = scene(sandbox, CLOSED);
    let words = ["replicator", "--type", "local"];
    allow(&cluster, &["replicator", "--type", "local", "--from", "127.0.0.1"]).run().expect_code(2);
    let allowed = allow(&cluster, &words).run().success().expect_changed(true);
    reload(sandbox, &allowed);
    let sockets = cluster.socket_directory().display().to_string();
    assert!(logs_in(&cluster, &sockets));
}

fn trust_and_the_whole_world_are_warned_of(sandbox: &Sandbox) {
    let cluster = scene(sandbox, CLOSED);
    let trusted = allow(&cluster, &["replicator", "--from", "192.0.2.7", "--method", "trust"]).run().success();
    trusted.expect_warning("without a password");
    let world = allow(&cluster, &["replicator", "--from", "0.0.0.0/0"]).run().success();
    world.expect_warning("every address there is");
    let all = allow(&cluster, &["replicator", "--from", "198.51.100.7", "--database", "all"]).run().success();
    all.expect_warning("does not cover replication");
}

fn included_rules_are_seen_from_16_on(sandbox: &Sandbox) {
    let cluster = scene(sandbox, CLOSED);
    cluster.append("more.conf", "host replication all 127.0.0.1/32 reject\n");
    cluster.append("pg_hba.conf", "include more.conf\n");
    let seen = allow(&cluster, &["replicator", "--from", "127.0.0.1"]).run();
    if sandbox.server.major < 16 {
        assert_ne!(errors(&cluster), "0");
        seen.expect_code(1).expect_error("pg_hba.conf:3");
    } else {
        assert_eq!(errors(&cluster), "0");
        seen.expect_code(3).expect_error("more.conf:1");
    }
}

fn the_readers_of_a_document_learn_who_replicates(sandbox: &Sandbox) {
    let cluster = scene(sandbox, CLOSED);
    let allowed = allow(&cluster, &["replicator", "--from", "127.0.0.1"]).run().success();
    assert_eq!(allowed.typed().primary.expect("a primary").username.as_deref(), Some("replicator"));
}
