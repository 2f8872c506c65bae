//! The password file on real servers: which line wins, whether libpq reads it, and a login that was really made.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use tests::{Outcome, Sandbox, TestCluster, ToolCommand, on_each_major, on_the_machines_own};

on_each_major!(
    a_right_password_logs_in_and_a_second_set_changes_nothing,
    a_wrong_password_says_how_to_set_it,
    a_login_without_a_rule_says_which_rule_to_add,
);
on_the_machines_own!(
    a_file_that_others_can_read_is_told_and_mended,
    a_line_for_all_that_would_win_is_told_and_passed,
    an_answer_of_another_system_fails,
    an_address_without_an_answer_is_worth_a_retry,
    a_reject_rule_is_told_from_a_missing_one,
    a_role_that_may_not_replicate_says_how_it_may,
    a_server_that_asks_for_no_password_is_warned_of,
    a_missing_file_and_a_missing_line_say_how_to_set_it,
    passwords_of_any_characters_log_in,
    a_linked_password_file_stays_a_link,
    remove_takes_one_line_and_list_masks_them,
    check_mode_writes_nothing,
    the_environments_file_is_used_where_none_is_named,
    no_password_is_shown,
);

const PASSWORD: &str = "correct horse battery";

/// A primary with the role, and its password file's place.
fn scene(sandbox: &Sandbox) -> (TestCluster<'_>, PathBuf) {
    let cluster = sandbox.cluster("primary").start();
    let secret = sandbox.file("secret", PASSWORD);
    let ensure = cluster.other_tool("pg-role", "ensure").arg("replicator").arg("--password-file").arg(secret);
    ensure.run().success().expect_changed(true);
    (cluster, sandbox.path().join("passwords"))
}

fn on<'a>(cluster: &'a TestCluster, verb: &str, file: &Path) -> ToolCommand<'a> {
    let port = cluster.port.to_string();
    let command = cluster.sandbox.tool("pg-pass").args([verb, "-h", "127.0.0.1", "-p", &port, "-U", "replicator"]);
    command.arg("--passfile").arg(file)
}

fn set<'a>(cluster: &'a TestCluster, file: &Path, password: &str) -> ToolCommand<'a> {
    on(cluster, "set", file).env("PGPASSWORD", password)
}

fn check(cluster: &TestCluster, file: &Path) -> Outcome {
    on(cluster, "check", file).run()
}

/// What a second run must leave alone.
fn look(file: &Path) -> (u64, i64, i64, u32, Vec<u8>) {
    let metadata = file.metadata().expect("the password file");
    (
        metadata.ino(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.mode() & 0o7777,
        std::fs::read(file).expect("it"),
    )
}

fn a_right_password_logs_in_and_a_second_set_changes_nothing(sandbox: &Sandbox) {
    let (cluster, file) = scene(sandbox);
    set(&cluster, &file, PASSWORD).run().success().expect_changed(true);
    let before = look(&file);
    assert_eq!(before.3, 0o600);
    assert_eq!(file.metadata().expect("it").uid(), sandbox.account.uid);
    set(&cluster, &file, PASSWORD).run().success().expect_changed(false);
    assert_eq!(look(&file), before);
    let system = cluster.sql("SELECT system_identifier FROM pg_control_system()");
    let checked = check(&cluster, &file).success().expect_changed(false);
    assert_eq!(checked.document["login"]["system_identifier"], system.as_str(), "{checked}");
    assert_eq!(checked.document["login"]["major"], cluster.major, "{checked}");
    assert!(checked.typed().warnings.is_empty(), "{checked}");
    assert_eq!(cluster.login("127.0.0.1", "replicator").with_file(&file), Ok(system), "libpq itself agrees");
}

fn a_wrong_password_says_how_to_set_it(sandbox: &Sandbox) {
    let (cluster, file) = scene(sandbox);
    set(&cluster, &file, "wrong").run().success();
    let before = look(&file);
    let failed = check(&cluster, &file).expect_code(1).expect_error("password authentication failed");
    let failed = failed.expect_error("line 1");
    assert!(failed.hint().starts_with("pg-pass set "), "{failed}");
    assert_eq!(look(&file), before);
    // The hint is a command that mends it.
    let words: Vec<String> = failed.hint().split(' ').skip(1).map(str::to_owned).collect();
    sandbox.tool("pg-pass").args(words).env("PGPASSWORD", PASSWORD).run().success().expect_changed(true);
    check(&cluster, &file).success();
}

fn a_login_without_a_rule_says_which_rule_to_add(sandbox: &Sandbox) {
    let (cluster, file) = scene(sandbox);
    set(&cluster, &file, PASSWORD).run().success();
    cluster.write("pg_hba.conf", "local all all peer\n");
    cluster.tool("reload").run().success();
    let failed = check(&cluster, &file).expect_code(1).expect_error("no pg_hba.conf entry");
    let hint = "on the primary: pg-conf allow replicator --from 127.0.0.1 | pg-cluster reload";
    assert_eq!(failed.hint(), hint, "the address is the one that the server saw");
    let allowed = cluster.other_tool("pg-conf", "allow").args(["replicator", "--from", "127.0.0.1"]).run().success();
    sandbox.tool("pg-cluster").arg("reload").after(&allowed).run().success().expect_changed(true);
    check(&cluster, &file).success();
}

fn a_file_that_others_can_read_is_told_and_mended(sandbox: &Sandbox) {
    let (cluster, file) = scene(sandbox);
    set(&cluster, &file, PASSWORD).run().success();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    let before = look(&file);
    let failed = check(&cluster, &file).expect_code(1).expect_error("libpq ignores the password file");
    assert!(failed.hint().contains(&file.display().to_string()), "{failed}");
    assert_eq!(look(&file), before);
    let said = cluster.login("127.0.0.1", "replicator").with_file(&file);
    assert!(said.clone().is_err_and(|said| said.contains("group or world access")), "libpq says so too: {said:?}");
    set(&cluster, &file, PASSWORD).run().success().expect_changed(true);
    assert_eq!((look(&file).3, look(&file).4), (0o600, before.4));
    check(&cluster, &file).success();
}

fn a_line_for_all_that_would_win_is_told_and_passed(sandbox: &Sandbox) {
    let (cluster, file) = scene(sandbox);
    let others =
        format!("# ours\n127.0.0.1:*:*:*:other\n127.0.0.1:{}:replication:replicator:{PASSWORD}\n", cluster.port);
    sandbox.file("passwords", &others);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("chmod");
    let failed = check(&cluster, &file).expect_code(1).expect_error("line 2");
    failed.expect_error("127.0.0.1:*:*:*").expect_hint("pg-pass set");
    let mended = set(&cluster, &file, PASSWORD).run().success().expect_changed(true);
    assert!(mended.stderr.contains("127.0.0.1:*:*:*"), "{mended}");
    check(&cluster, &file).success();
    let text = String::from_utf8(look(&file).4).expect("text");
    assert!(text.starts_with("# ours\n") && text.contains("127.0.0.1:*:*:*:other\n"), "the others stay: {text}");
}

fn an_answer_of_another_system_fails(sandbox: &Sandbox) {
    let (cluster, file) = scene(sandbox);
    set(&cluster, &file, PASSWORD).run().success();
    let other = sandbox.cluster("other").start();
    let advertised = other.tool("advertise").args(["--host", "127.0.0.1", "--role", "replicator"]).run().success();
    let mine = cluster.sql("SELECT system_identifier FROM pg_control_system()");
    let failed = on(&cluster, "check", &file).after(&advertised).run();
    let failed = failed.expect_code(1).expect_error("another system answers").expect_error(&mine);
    failed.expect_hint("pg-cluster advertise");
}

fn an_address_without_an_answer_is_worth_a_retry(sandbox: &Sandbox) {
    let (cluster, file) = scene(sandbox);
    set(&cluster, &file, PASSWORD).run().success();
    let before = look(&file);
    cluster.tool("stop").run().success();
    check(&cluster, &file).expect_code(5).expect_hint("does it listen there?");
    let port = cluster.port.to_string();
    let nowhere = ["check", "-h", "nowhere.invalid", "-p", &port, "-U", "replicator", "--passfile"];
    let nowhere = sandbox.tool("pg-pass").args(nowhere).arg(&file).run();
    nowhere.expect_code(5).expect_error("nowhere.invalid");
    assert_eq!(look(&file), before);
    let silent = TcpListener::bind(("127.0.0.1", sandbox.port())).expect("listen");
    let address = silent.local_addr().expect("an address");
    let conninfo = format!("host=127.0.0.1 port={} user=replicator connect_timeout=2", address.port());
    let silent = sandbox.tool("pg-pass").args(["check", "--conninfo", &conninfo, "--passfile"]).arg(&file).run();
    silent.expect_code(5);
}

fn a_reject_rule_is_told_from_a_missing_one(sandbox: &Sandbox) {
    let (cluster, file) = scene(sandbox);
    set(&cluster, &file, PASSWORD).run().success();
    cluster.write("pg_hba.conf", "local all all peer\nhost replication all 127.0.0.1/32 reject\n");
    cluster.tool("reload").run().success();
    check(&cluster, &file).expect_code(1).expect_error("rejects").expect_hint("pg-conf rules");
}

fn a_role_that_may_not_replicate_says_how_it_may(sandbox: &Sandbox) {
    let (cluster, file) = scene(sandbox);
    set(&cluster, &file, PASSWORD).run().success();
    cluster.sql("ALTER ROLE replicator NOREPLICATION");
    check(&cluster, &file).expect_code(1).expect_hint("pg-role ensure replicator");
}

fn a_server_that_asks_for_no_password_is_warned_of(sandbox: &Sandbox) {
    let (cluster, file) = scene(sandbox);
    set(&cluster, &file, "wrong").run().success();
    cluster.write("pg_hba.conf", "local all all peer\nhost replication all 127.0.0.1/32 trust\n");
    cluster.tool("reload").run().success();
    check(&cluster, &file).success().expect_warning("without a password");
}

fn a_missing_file_and_a_missing_line_say_how_to_set_it(sandbox: &Sandbox) {
    let (cluster, file) = scene(sandbox);
    let failed = check(&cluster, &file).expect_code(1).expect_error("there is no password file");
    failed.expect_hint("pg-pass set");
    assert!(!file.exists());
    sandbox.file("passwords", "other:5432:replication:replicator:x\n");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("chmod");
    check(&cluster, &file).expect_code(1).expect_error("no line of").expect_hint("pg-pass set");
}

fn passwords_of_any_characters_log_in(sandbox: &Sandbox) {
    let (cluster, file) = scene(sandbox);
    for password in ["a:b\\c", "Grüße aus Köln", " blanks ", "# no comment", "\\:\\\\"] {
        let ensure = cluster.other_tool("pg-role", "ensure").arg("replicator").env("PGPASSWORD", password);
        ensure.run().success().expect_changed(true);
        set(&cluster, &file, password).run().success().expect_changed(true);
        check(&cluster, &file).success();
        set(&cluster, &file, password).run().success().expect_changed(false);
    }
}

fn a_linked_password_file_stays_a_link(sandbox: &Sandbox) {
    let (cluster, link) = scene(sandbox);
    let real = sandbox.folder("elsewhere").join("pgpass");
    std::fs::write(&real, "# mine\n").expect("write it");
    sandbox.account.give(&real);
    symlink(&real, &link).expect("a link");
    set(&cluster, &link, PASSWORD).run().success().expect_changed(true);
    assert!(link.is_symlink());
    assert!(std::fs::read_to_string(&real).expect("it").starts_with("# mine\n"));
    check(&cluster, &link).success();
}

fn remove_takes_one_line_and_list_masks_them(sandbox: &Sandbox) {
    let (cluster, file) = scene(sandbox);
    sandbox.file("passwords", "# ours\nother:5432:replication:replicator:sesame\n");
    set(&cluster, &file, PASSWORD).run().success();
    let list = || sandbox.tool("pg-pass").args(["list", "--passfile"]).arg(&file).run().success();
    let listed = list();
    assert_eq!(listed.document["lines"].as_array().map(Vec::len), Some(2), "{listed}");
    assert!(!listed.to_string().contains("sesame") && !listed.to_string().contains(PASSWORD), "{listed}");
    on(&cluster, "remove", &file).run().success().expect_changed(true);
    let before = look(&file);
    assert_eq!(before.4, b"# ours\nother:5432:replication:replicator:sesame\n");
    on(&cluster, "remove", &file).run().success().expect_changed(false);
    assert_eq!(look(&file), before);
    assert_eq!(list().document["lines"].as_array().map(Vec::len), Some(1));
}

fn check_mode_writes_nothing(sandbox: &Sandbox) {
    let (cluster, file) = scene(sandbox);
    let planned = set(&cluster, &file, PASSWORD).arg("--check").run().success().expect_changed(true);
    assert!(!file.exists());
    let next = on(&cluster, "check", &file).after(&planned).run().success();
    assert!(next.typed().check && next.typed().msg.contains("was not tried"), "{next}");
}

fn the_environments_file_is_used_where_none_is_named(sandbox: &Sandbox) {
    let (cluster, file) = scene(sandbox);
    let port = cluster.port.to_string();
    let words = |verb: &'static str| [verb, "-h", "127.0.0.1", "-p", &port, "-U", "replicator"].map(str::to_owned);
    let tool = |verb| sandbox.tool("pg-pass").args(words(verb)).env("PGPASSFILE", &file);
    tool("set").env("PGPASSWORD", PASSWORD).run().success().expect_changed(true);
    tool("check").run().success();
    let check = sandbox.tool("pg-pass").arg("check").env("PGHOST", "127.0.0.1").env("PGPORT", &port);
    check.env("PGUSER", "replicator").env("PGPASSFILE", &file).run().success();
}

fn no_password_is_shown(sandbox: &Sandbox) {
    let (cluster, file) = scene(sandbox);
    for password in ["first-secret", "second-secret"] {
        let said = set(&cluster, &file, password).args(["-v", "--diff"]).run().success().expect_changed(true);
        assert!(!said.to_string().contains("-secret"), "{said}");
    }
    let failed = on(&cluster, "check", &file).arg("-v").run().expect_code(1);
    assert!(!failed.to_string().contains("-secret"), "{failed}");
    let refused = on(&cluster, "set", &file).arg("--password=third-secret").run().expect_code(2);
    assert!(!refused.stdout.contains("third-secret") && !refused.stderr.contains("third-secret"), "{refused}");
}
