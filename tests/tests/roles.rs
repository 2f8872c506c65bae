//! The replication role on real servers: made once, its password compared and never told.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use tests::{Outcome, Sandbox, TestCluster, ToolCommand, on_each_major, on_the_machines_own};

on_each_major!(
    a_password_stored_as_scram_is_set_once,
    the_same_password_stored_as_md5_stays_with_a_warning,
    another_password_than_the_md5_one_is_stored_as_scram,
    no_password_and_no_verifier_gets_into_the_log_or_into_what_is_said,
    a_statement_that_fails_is_not_written_down_either,
    a_password_beyond_ascii_logs_in,
    options_are_set_once_and_what_is_not_named_stays,
    drop_refuses_a_role_that_is_still_bound,
    drop_refuses_a_role_that_a_standby_replicates_by,
    ensure_on_a_standby_is_refused,
);
on_the_machines_own!(
    of_four_ensures_at_the_same_time_one_changes_the_role,
    drop_refuses_the_role_that_it_connects_as,
    check_makes_no_role,
    show_tells_how_the_password_is_stored,
    drop_of_a_role_that_is_not_there_changes_nothing,
    names_that_can_be_no_role_are_refused,
    who_is_no_superuser_is_told_so,
    a_role_without_a_password_is_warned_of,
);

const PASSWORD: &str = "correct horse battery";

fn ensure<'a>(cluster: &'a TestCluster, password: &str) -> ToolCommand<'a> {
    let file = cluster.sandbox.file("secret", &format!("{password}\n"));
    cluster.other_tool("pg-role", "ensure").arg("replicator").arg("--password-file").arg(file)
}

fn stored(cluster: &TestCluster) -> String {
    cluster.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'replicator'")
}

/// A role as an older administrator left it.
fn make_md5_role(cluster: &TestCluster, password: &str) {
    cluster.sql("CREATE ROLE replicator LOGIN REPLICATION");
    let hash = cluster.sql(&format!("SELECT 'md5' || md5('{password}replicator')"));
    cluster.sql(&format!("ALTER ROLE replicator PASSWORD '{hash}'"));
    assert_eq!(stored(cluster), hash);
}

fn let_in_by(cluster: &TestCluster, method: &str) {
    cluster.write(
        "pg_hba.conf",
        &format!(
            "local all all peer\nhost replication all 127.0.0.1/32 {method}\nhost all all 127.0.0.1/32 {method}\n"
        ),
    );
    cluster.tool("reload").run().success();
}

fn a_password_stored_as_scram_is_set_once(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    ensure(&cluster, PASSWORD).run().success().expect_changed(true);
    let verifier = stored(&cluster);
    assert!(verifier.starts_with("SCRAM-SHA-256$"), "{verifier}");
    assert_eq!(
        cluster.sql("SELECT rolcanlogin, rolreplication, rolsuper FROM pg_roles WHERE rolname = 'replicator'"),
        "t|t|f"
    );
    let again = ensure(&cluster, PASSWORD).run().success().expect_changed(false);
    assert!(again.typed().warnings.is_empty(), "{again}");
    assert_eq!(stored(&cluster), verifier, "the very same verifier");
    assert!(cluster.login("127.0.0.1", "replicator").with_password(PASSWORD).is_ok());

    ensure(&cluster, "another").run().success().expect_changed(true);
    assert_ne!(stored(&cluster), verifier);
    let refused = cluster.login("127.0.0.1", "replicator").with_password(PASSWORD);
    assert!(refused.clone().is_err_and(|said| said.contains("password authentication failed")), "{refused:?}");
    assert!(cluster.login("127.0.0.1", "replicator").with_password("another").is_ok());
}

fn the_same_password_stored_as_md5_stays_with_a_warning(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    make_md5_role(&cluster, PASSWORD);
    let before = stored(&cluster);
    ensure(&cluster, PASSWORD).run().success().expect_changed(false).expect_warning("stored as md5");
    assert_eq!(stored(&cluster), before);
    let_in_by(&cluster, "md5");
    assert!(cluster.login("127.0.0.1", "replicator").with_password(PASSWORD).is_ok(), "the server says it is right");
}

fn another_password_than_the_md5_one_is_stored_as_scram(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").setting("password_encryption = md5").start();
    make_md5_role(&cluster, "old");
    ensure(&cluster, PASSWORD).run().success().expect_changed(true);
    assert!(stored(&cluster).starts_with("SCRAM-SHA-256$"), "also where the server itself would make md5 of it");
    ensure(&cluster, PASSWORD).run().success().expect_changed(false);
    for method in ["scram-sha-256", "md5"] {
        let_in_by(&cluster, method);
        assert!(cluster.login("127.0.0.1", "replicator").with_password(PASSWORD).is_ok(), "{method}");
    }
}

fn no_password_and_no_verifier_gets_into_the_log_or_into_what_is_said(sandbox: &Sandbox) {
    let all = "log_statement = all\nlog_min_duration_statement = 0\nlog_min_error_statement = debug5\n\
        log_min_messages = debug1\ndebug_print_parse = on\nlog_duration = on";
    let sampled = if sandbox.server.major < 12 { "" } else { "log_transaction_sample_rate = 1" };
    let cluster = sandbox.cluster("primary").setting(all).setting(sampled).start();
    let mut verifiers = Vec::new();
    let mut runs: Vec<Outcome> = Vec::new();
    for password in ["first-Passwort-ä", "second-password"] {
        for _ in 0..2 {
            runs.push(ensure(&cluster, password).args(["-v", "--diff"]).run().success());
        }
        verifiers.push(stored(&cluster));
    }
    let by_command = cluster.other_tool("pg-role", "ensure").args(["replicator", "-v", "--password-command"]);
    runs.push(by_command.arg("printf third-password").run().success().expect_changed(true));
    verifiers.push(stored(&cluster));
    assert_eq!(runs.iter().map(Outcome::changed).collect::<Vec<_>>(), [true, false, true, false, true]);

    // The log does take in what other clients do.
    cluster.sql("CREATE ROLE canary PASSWORD 'canary-password'");
    let log = cluster.log();
    assert!(log.contains("canary-password"), "this log would have shown it: {log}");
    let keys = verifiers.iter().flat_map(|verifier| verifier.split(['$', ':']).filter(|part| part.len() > 13));
    let secrets = ["first-Passwort", "second-password", "third-password", "SCRAM-SHA-256$4096"].into_iter().chain(keys);
    for secret in secrets.map(|secret| secret.trim_end_matches('=')) {
        // Its own command line, once: `-v` does not show it again.
        let typed = "printf third-password";
        assert!(!log.contains(secret), "{secret} is in the server's log");
        for run in &runs {
            let said = run.to_string().replacen(typed, "", 1);
            assert!(!said.contains(secret), "{secret} is in what was said: {run}");
        }
    }
}

fn a_statement_that_fails_is_not_written_down_either(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").setting("default_transaction_read_only = on").start();
    let failed = ensure(&cluster, "first-password").args(["-v", "--diff"]).run().expect_code(1);
    let failed = failed.expect_error("read-only transaction");
    let log = cluster.log();
    assert!(log.contains("read-only transaction"), "the server's log tells of the failure: {log}");
    for secret in ["first-password", "SCRAM-SHA-256$4096"] {
        assert!(!log.contains(secret), "{secret} is in the server's log: {log}");
        assert!(!failed.to_string().contains(secret), "{failed}");
    }
    assert_eq!(cluster.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'replicator'"), "0");
}

fn a_password_beyond_ascii_logs_in(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    // Some that SASLprep leaves, some that it maps (a ligature, a Roman numeral, a wide space), one of blanks and colons.
    for password in ["Grüße aus Köln", "ﬁ Ⅸ\u{3000}x", "пароль🐘", "a:b\\c 'd' \"e\" $1"] {
        ensure(&cluster, password).run().success().expect_changed(true);
        ensure(&cluster, password).run().success().expect_changed(false);
        let answered = cluster.login("127.0.0.1", "replicator").with_password(password);
        assert!(answered.is_ok(), "{password}: {answered:?}");
    }
}

fn options_are_set_once_and_what_is_not_named_stays(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    cluster.sql("CREATE ROLE \"watch \"\"men\"\"\"");
    let options = ["--connection-limit", "7", "--valid-until", "2099-12-31", "--member-of", "watch \"men\""];
    ensure(&cluster, PASSWORD).args(options).run().success().expect_changed(true);
    let look = "SELECT rolconnlimit, rolvaliduntil::date, pg_has_role(oid, 'watch \"men\"', 'MEMBER') \
        FROM pg_roles WHERE rolname = 'replicator'";
    assert_eq!(cluster.sql(look), "7|2099-12-31|t");
    ensure(&cluster, PASSWORD).args(options).run().success().expect_changed(false);
    ensure(&cluster, PASSWORD).run().success().expect_changed(false);
    assert_eq!(cluster.sql(look), "7|2099-12-31|t");
    cluster.sql("ALTER ROLE replicator NOREPLICATION");
    ensure(&cluster, PASSWORD).run().success().expect_changed(true);
    assert_eq!(cluster.sql("SELECT rolreplication FROM pg_roles WHERE rolname = 'replicator'"), "t");
}

fn drop_role(cluster: &TestCluster) -> Outcome {
    cluster.other_tool("pg-role", "drop").arg("replicator").run()
}

fn drop_refuses_a_role_that_is_still_bound(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    ensure(&cluster, PASSWORD).run().success();
    cluster.sql("CREATE TABLE mine (id int)");
    cluster.sql("ALTER TABLE mine OWNER TO replicator");
    drop_role(&cluster).expect_code(3).expect_error("owner of table mine").expect_hint("REASSIGN OWNED");
    assert_eq!(cluster.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'replicator'"), "1");
    cluster.sql("DROP TABLE mine");
    cluster.sql("CREATE DATABASE other OWNER replicator");
    drop_role(&cluster).expect_code(3).expect_error("database other");
    cluster.sql("DROP DATABASE other");
    drop_role(&cluster).success().expect_changed(true);
    assert_eq!(cluster.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'replicator'"), "0");
    drop_role(&cluster).success().expect_changed(false);
}

fn drop_refuses_a_role_that_a_standby_replicates_by(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    ensure(&cluster, PASSWORD).run().success();
    let walsender = cluster.login("127.0.0.1", "replicator").stay(PASSWORD);
    drop_role(&cluster).expect_code(3).expect_error("127.0.0.1").expect_hint("--force");
    assert_eq!(cluster.sql("SELECT count(*) FROM pg_stat_replication"), "1", "it goes on replicating");
    let forced = cluster.other_tool("pg-role", "drop").args(["replicator", "--force"]).run().success();
    forced.expect_changed(true).expect_warning("can't come back");
    drop(walsender);
}

fn ensure_on_a_standby_is_refused(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("standby").create();
    cluster.shut_gate();
    cluster.open_gate();
    cluster.tool("start").run().success();
    assert_eq!(cluster.sql("SELECT pg_is_in_recovery()"), "t");
    let refused = ensure(&cluster, PASSWORD).run().expect_code(3).expect_error("is a standby");
    assert!(!refused.changed(), "{refused}");
    refused.expect_hint("on the primary: pg-role ensure replicator");
    drop_role(&cluster).expect_code(3).expect_error("is a standby");
}

fn of_four_ensures_at_the_same_time_one_changes_the_role(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    // All are ready before the first starts: each writes the password's file anew.
    let commands: Vec<_> = (0..4).map(|_| ensure(&cluster, PASSWORD)).collect();
    let runs: Vec<_> = commands.into_iter().map(ToolCommand::start).collect();
    let changed: Vec<bool> = runs.into_iter().map(|run| run.end().success().changed()).collect();
    assert_eq!(changed.iter().filter(|changed| **changed).count(), 1, "{changed:?}");
}

fn drop_refuses_the_role_that_it_connects_as(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    cluster.sql("CREATE ROLE ops LOGIN CREATEROLE PASSWORD 'x'");
    let drop_as = |role: &str| {
        let port = cluster.port.to_string();
        sandbox.tool("pg-role").args(["drop", role, "-h", "127.0.0.1", "-p", &port, "-U", "ops"]).env("PGPASSWORD", "x")
    };
    drop_as("ops").run().expect_code(3).expect_error("this connection is made with").expect_hint("-U postgres");
    assert_eq!(cluster.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'ops'"), "1");
    let account = &sandbox.account.name;
    drop_as(account).run().expect_code(3).expect_error("superuser");
}

fn check_makes_no_role(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let planned = ensure(&cluster, PASSWORD).args(["--check", "--diff"]).run().success().expect_changed(true);
    assert!(planned.typed().check && planned.document["diff"].is_array() || planned.document["diff"].is_object());
    assert_eq!(cluster.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'replicator'"), "0");
    ensure(&cluster, PASSWORD).run().success();
    cluster.other_tool("pg-role", "drop").args(["replicator", "--check"]).run().success().expect_changed(true);
    assert_eq!(cluster.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'replicator'"), "1");
}

fn show_tells_how_the_password_is_stored(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let show = || cluster.other_tool("pg-role", "show").arg("replicator").run();
    show().expect_code(1).expect_error("has no role").expect_hint("pg-role ensure replicator");
    make_md5_role(&cluster, PASSWORD);
    assert_eq!(show().success().expect_changed(false).document["role"]["password"], "md5");
    ensure(&cluster, "new").run().success();
    let shown = show().success();
    assert_eq!(shown.document["role"]["password"], "scram-sha-256");
    assert_eq!(shown.typed().primary.expect("a primary").username.as_deref(), Some("replicator"));
}

fn drop_of_a_role_that_is_not_there_changes_nothing(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    drop_role(&cluster).success().expect_changed(false);
}

fn names_that_can_be_no_role_are_refused(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let before = cluster.sql("SELECT count(*) FROM pg_roles");
    for name in ["pg_mine", "public", "", &"x".repeat(64)] {
        cluster.other_tool("pg-role", "ensure").arg(name).run().expect_code(2).expect_error("can't be the name");
    }
    let unknown_group = ensure(&cluster, PASSWORD).args(["--member-of", "nobody"]).run().expect_code(2);
    unknown_group.expect_error("there is no role \"nobody\"");
    let no_time = ensure(&cluster, PASSWORD).args(["--valid-until", "soon"]).run().expect_code(2);
    no_time.expect_error("soon").expect_hint("2030-12-31");
    assert_eq!(cluster.sql("SELECT count(*) FROM pg_roles"), before);
}

fn who_is_no_superuser_is_told_so(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    cluster.sql("CREATE ROLE ops LOGIN CREATEROLE PASSWORD 'x'");
    let file = sandbox.file("secret", PASSWORD);
    let ensure = sandbox.tool("pg-role").args(["ensure", "replicator", "-h", "127.0.0.1", "-U", "ops", "-p"]);
    let ensure = ensure.arg(cluster.port.to_string()).arg("--password-file").arg(file).env("PGPASSWORD", "x");
    ensure.run().expect_code(1).expect_error("not a superuser").expect_hint("-U postgres");
    assert_eq!(cluster.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'replicator'"), "0");
}

fn a_role_without_a_password_is_warned_of(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let made = cluster.other_tool("pg-role", "ensure").arg("replicator").run().success().expect_changed(true);
    made.expect_warning("has no password");
    assert_eq!(stored(&cluster), "");
}
