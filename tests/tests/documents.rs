//! What every tool does the same: documents in and out, exit codes, `--check`, Ansible; shown on `pg-cluster`.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use serde_json::{Value, json};
use std::fs::File;
use std::time::{Duration, Instant};
use tests::{Outcome, Sandbox, Stdin, TestCluster, names_below, on_each_major, on_the_machines_own, wait_for};

on_each_major!(check_changes_nothing_and_is_contagious, runs_as_an_ansible_module_with_check_mode_and_diff);
on_the_machines_own!(
    a_planned_cluster_is_reported_down_the_pipeline,
    a_document_of_another_host_is_refused,
    a_failed_upstream_is_passed_on_and_nothing_is_done,
    what_is_no_document_is_refused_as_such,
    unknown_fields_of_a_newer_minor_are_passed_on,
    an_empty_pipe_is_refused_where_a_server_would_be_disturbed,
    input_comes_from_pipes_and_files_and_nowhere_else,
    says_what_it_waits_for_when_a_pipe_stays_silent,
    of_a_pipeline_only_the_first_tool_says_what_it_waits_for,
    input_options_have_the_last_word,
    several_clusters_and_none_named_lists_the_choices,
    a_named_cluster_that_does_not_exist_is_told_from_those_that_do,
    a_folder_that_is_no_data_directory_is_told_so,
    environment_and_document_that_mean_different_clusters_are_refused,
    detailed_exit_codes_tell_a_change,
    a_document_that_can_not_be_written_is_a_failure,
    usage_errors_give_a_document_too,
    verbose_shows_commands_and_quiet_shows_none,
    an_ansible_module_writes_one_object_also_on_a_terminal,
    an_ansible_module_that_fails_says_so_in_its_object,
);

fn failed_with(code: u8) -> Value {
    json!({"schema": "pg-runbook/1", "tool": "pg-conf", "action": "set", "failed": true, "msg": "it broke",
        "error": {"tool": "pg-conf", "code": code, "message": "it broke", "causes": ["disk full"], "hint": null}})
}

/// Everything that must not change where nothing is to be done.
fn watched(cluster: &TestCluster) -> impl PartialEq + std::fmt::Debug + use<> {
    let running = cluster.pid().map(|pid| (pid, cluster.started(), cluster.loaded()));
    (running, cluster.fingerprint())
}

fn check_changes_nothing_and_is_contagious(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let before = watched(&cluster);
    for verb in ["stop", "restart", "reload"] {
        let planned = cluster.tool(verb).arg("--check").run().success().expect_changed(true);
        let planned = planned.expect_stderr(&format!("would {verb}"));
        assert!(planned.typed().check, "{planned}");
        assert_eq!(watched(&cluster), before, "{verb}");
        let next = sandbox.tool("pg-cluster").arg("stop").after(&planned).run().success();
        assert!(next.typed().check, "{next}");
        assert_eq!(watched(&cluster), before, "stop after {verb} --check");
    }
    cluster.tool("stop").run().success();
    let names = names_below(&cluster.data);
    cluster.tool("start").arg("--check").run().success().expect_changed(true).expect_stderr("would start");
    assert_eq!((cluster.pid(), names_below(&cluster.data)), (None, names));
}

fn a_planned_cluster_is_reported_down_the_pipeline(sandbox: &Sandbox) {
    let data = sandbox.path().join("planned");
    let port = sandbox.port().to_string();
    let create = sandbox.tool("pg-cluster").args(["create", "--check", "--layout", "plain", "-p", &port, "-D"]);
    let created = create.arg(&data).run().success().expect_changed(true);
    assert_eq!(created.typed().cluster.expect("a cluster").state, "absent");
    assert_eq!(created.typed().needs.level, "start");
    let mut upstream = created;
    for words in [&["start"][..], &["restart"], &["wait", "--for", "streaming"], &["status"], &["stop"]] {
        let reported = sandbox.tool("pg-cluster").args(words).after(&upstream).run().success();
        assert!(reported.typed().check, "{reported}");
        assert!(reported.typed().msg.contains("does not exist yet"), "{reported}");
        upstream = reported;
    }
    assert_eq!(upstream.typed().steps.len(), 6, "{upstream}");
    assert!(!data.exists());
}

fn a_document_of_another_host_is_refused(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let mut document = cluster.tool("status").run().success().document;
    document["cluster"]["host_id"] = json!("0123456789abcdef0123456789abcdef");
    let before = watched(&cluster);
    for verb in ["status", "stop", "reload"] {
        let refused = sandbox.tool("pg-cluster").arg(verb).document(&document).run().expect_code(3);
        refused.expect_error("another host").expect_hint("pg-cluster advertise --host");
    }
    assert_eq!(watched(&cluster), before);
}

fn a_failed_upstream_is_passed_on_and_nothing_is_done(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let before = watched(&cluster);
    for verb in ["stop", "restart", "status", "wait"] {
        let passed = cluster.tool(verb).document(&failed_with(1)).run().expect_code(4).expect_stderr("pg-conf failed");
        let error = passed.typed().error.expect("an error");
        assert_eq!((error.tool.as_str(), error.code, error.message.as_str()), ("pg-conf", 1, "it broke"));
        // And so on down the pipeline.
        let passed = cluster.tool("stop").after(&passed).run().expect_code(4);
        assert_eq!(passed.error(), "it broke\ndisk full");
    }
    assert_eq!(watched(&cluster), before);
}

fn what_is_no_document_is_refused_as_such(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let good = cluster.tool("status").run().success().stdout;
    let before = watched(&cluster);
    let newer = good.replace("pg-runbook/1", "pg-runbook/2");
    let texts = [&good[..good.len() / 2], &format!("{good}{good}"), &newer, "[]", "{}", "null", "hello"];
    for text in texts {
        for verb in ["stop", "status"] {
            let stopped = cluster.tool(verb).stdin(Stdin::Text(text.into())).run().expect_code(2);
            stopped.expect_error("standard input is not a pg-runbook/1 document");
        }
    }
    assert_eq!(watched(&cluster), before);
}

fn unknown_fields_of_a_newer_minor_are_passed_on(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let mut document = cluster.tool("status").run().success().document;
    document["schema"] = json!("pg-runbook/1.7");
    document["weather"] = json!({"sky": "grey"});
    document["needs"] = json!({"level": "none", "restart": [], "reload": []});
    let next = sandbox.tool("pg-cluster").arg("restart").document(&document);
    let outcome = next.start().end_untyped();
    assert_eq!(outcome["weather"]["sky"], "grey");
    assert_eq!(outcome["schema"], "pg-runbook/1.7");
    assert_eq!(outcome["steps"].as_array().map(Vec::len), Some(2));
}

fn an_empty_pipe_is_refused_where_a_server_would_be_disturbed(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let before = watched(&cluster);
    for verb in ["stop", "restart", "drop", "promote"] {
        let refused = cluster.tool(verb).stdin(Stdin::EmptyPipe).run().expect_code(3).expect_hint("--no-input");
        assert!(!refused.changed(), "{refused}");
        let empty = sandbox.path().join("empty");
        File::create(&empty).expect("an empty file");
        cluster.tool(verb).stdin(Stdin::File(empty)).run().expect_code(3);
    }
    assert_eq!(watched(&cluster), before);
    for verb in ["status", "start", "reload", "wait"] {
        cluster.tool(verb).stdin(Stdin::EmptyPipe).run().success();
    }
    cluster.tool("stop").arg("--no-input").stdin(Stdin::EmptyPipe).run().success().expect_changed(true);
}

fn input_comes_from_pipes_and_files_and_nowhere_else(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let file = sandbox.file("failed.json", &failed_with(1).to_string());
    let status = |stdin: Stdin| cluster.tool("status").stdin(stdin).run();
    for unread in [Stdin::Null, Stdin::Socket, Stdin::Terminal] {
        let told = format!("{unread:?}");
        assert_eq!(status(unread).code(), 0, "{told} is not read");
    }
    status(Stdin::Text(failed_with(1).to_string())).expect_code(4);
    status(Stdin::File(file)).expect_code(4);
    cluster.tool("restart").stdin(Stdin::Socket).run().success().expect_changed(true);
}

fn says_what_it_waits_for_when_a_pipe_stays_silent(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    let waiting = cluster.tool("status").stdin(Stdin::SilentPipe).start();
    waiting.wait_until_it_says("waiting for a document on standard input");
    assert_eq!(waiting.stderr().lines().count(), 1);
    waiting.signal(nix::sys::signal::Signal::SIGTERM);
    waiting.end().expect_code(1).expect_error("SIGTERM");
}

fn of_a_pipeline_only_the_first_tool_says_what_it_waits_for(sandbox: &Sandbox) {
    let waiting =
        sandbox.pipeline("pg-cluster list | pg-cluster list | pg-cluster list").stdin(Stdin::SilentPipe).start();
    waiting.wait_until_it_says("waiting for a document on standard input");
    let said = Instant::now();
    wait_for("the others to have had as long", Duration::from_secs(10), || said.elapsed() > Duration::from_secs(3));
    assert_eq!(waiting.stderr().lines().count(), 1, "{}", waiting.stderr());
    waiting.kill();
}

fn input_options_have_the_last_word(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").start();
    let failed = failed_with(1);
    let file = sandbox.file("failed.json", &failed.to_string());
    let status = || cluster.tool("status");
    status().arg("--input").arg(&file).run().expect_code(4);
    status().args(["--input", "-"]).stdin(Stdin::File(file)).run().expect_code(4);
    status().arg("--no-input").document(&failed).run().success();
    status().env("PG_RUNBOOK_INPUT", "none").document(&failed).run().success();
    status().arg("--require-input").run().expect_code(3).expect_error("--require-input");
    status().arg("--require-input").stdin(Stdin::EmptyPipe).run().expect_code(3);
    status().args(["--input", "/nowhere.json"]).run().expect_code(2).expect_error("/nowhere.json");
}

fn several_clusters_and_none_named_lists_the_choices(sandbox: &Sandbox) {
    let (one, two) = (sandbox.cluster("one").start(), sandbox.cluster("two").start());
    let unclear = sandbox.tool("pg-cluster").arg("stop").run().expect_code(2);
    for cluster in [&one, &two] {
        let unclear = &unclear;
        assert!(unclear.error().contains(&cluster.data.display().to_string()), "{unclear}");
        assert!(cluster.pid().is_some());
    }
    unclear.expect_error("none was named").expect_hint("name one: ");
    // Each of the ways to name one.
    let stop = || sandbox.tool("pg-cluster").arg("stop");
    stop().env("PGDATA", &one.data).run().success().expect_changed(true);
    assert_eq!((one.pid().is_some(), two.pid().is_some()), (false, true));
    let document = two.tool("status").run().success();
    stop().after(&document).run().success().expect_changed(true);
    assert_eq!(two.pid(), None);
}

fn a_named_cluster_that_does_not_exist_is_told_from_those_that_do(sandbox: &Sandbox) {
    for variable in [false, true] {
        let status = sandbox.tool("pg-cluster").arg("status");
        let status =
            if variable { status.env("PGCLUSTER", "9/nothing") } else { status.args(["--cluster", "9/nothing"]) };
        status.run().expect_code(2).expect_error("there is no cluster 9/nothing").expect_hint("pg-cluster list");
    }
    let unclear = sandbox.tool("pg-cluster").args(["status", "--cluster", "main"]).run().expect_code(2);
    unclear.expect_error("VERSION/NAME");
}

fn a_folder_that_is_no_data_directory_is_told_so(sandbox: &Sandbox) {
    let (folder, file) = (sandbox.folder("photos"), sandbox.file("a-file", ""));
    for path in [folder, file, sandbox.path().join("missing")] {
        for verb in ["status", "start", "stop", "advertise"] {
            let host = if verb == "advertise" { &["--host", "db1"][..] } else { &[] };
            let told = sandbox.tool("pg-cluster").arg(verb).args(host).arg("-D").arg(&path).run().expect_code(2);
            told.expect_error("is not a data directory").expect_hint("pg-cluster");
        }
    }
}

fn environment_and_document_that_mean_different_clusters_are_refused(sandbox: &Sandbox) {
    let (one, two) = (sandbox.cluster("one").start(), sandbox.cluster("two").start());
    let document = two.tool("status").run().success();
    let stop = sandbox.tool("pg-cluster").arg("stop").env("PGDATA", &one.data).after(&document);
    stop.run().expect_code(2).expect_error("PGDATA").expect_hint("unset PGDATA");
    assert!(one.pid().is_some() && two.pid().is_some());
}

fn detailed_exit_codes_tell_a_change(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    let start = || cluster.tool("start").arg("--detailed-exitcode");
    start().arg("--check").run().expect_code(10);
    let started = start().run().expect_code(10);
    start().run().expect_code(0);
    let further = cluster.tool("status").arg("--detailed-exitcode").after(&started).run();
    further.expect_code(10).expect_changed(false);
    cluster.tool("advertise").args(["--detailed-exitcode", "--host", "db1", "--sslmode", "maybe"]).run().expect_code(2);
}

fn a_document_that_can_not_be_written_is_a_failure(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    let closed = || std::io::pipe().expect("a pipe").1;
    let full = || File::options().write(true).open("/dev/full").expect("/dev/full");
    let told = |outcome: &Outcome| {
        assert_eq!(outcome.code(), 1, "{outcome}");
        assert_eq!(outcome.stderr.lines().filter(|line| line.contains("error: ")).count(), 1, "{outcome}");
    };
    let started = cluster.tool("start").stdout(closed()).run();
    told(&started);
    assert!(started.stderr.contains("what was asked for was done"), "{started}");
    assert_eq!(cluster.sql("SELECT 1"), "1");
    let status = cluster.tool("status").stdout(full()).run();
    told(&status);
    assert!(status.stderr.contains("nothing was changed"), "{status}");
    told(&cluster.tool("status").args(["--output", "text"]).stdout(closed()).run());
    told(&sandbox.tool("pg-cluster").arg("--help").stdout(full()).run());
    // Who leaves before the end of what is no document has read what was wanted.
    for text in ["--help", "--schema"] {
        let left = sandbox.tool("pg-cluster").arg(text).stdout(closed()).run();
        assert!(left.code() == 0 && left.stderr.is_empty(), "{left}");
    }
}

fn usage_errors_give_a_document_too(sandbox: &Sandbox) {
    for words in
        [&["fly"][..], &["start", "--timeout", "soon"], &["wait", "--for", "ever"], &[], &["status", "-q", "-v"]]
    {
        let told = sandbox.tool("pg-cluster").args(words).run().expect_code(2);
        assert_eq!(told.typed().tool, "pg-cluster");
        told.expect_hint("--help").expect_stderr("pg-cluster: error: ");
    }
    let named = sandbox.tool("pg-cluster").args(["start", "17/main"]).run().expect_code(2);
    named.expect_hint("pg-cluster start --cluster 17/main");
    let cluster = sandbox.path().join("nothing");
    let told = sandbox.tool("pg-cluster").arg("-D").arg(cluster).args(["start", "--what"]).run().expect_code(2);
    assert_eq!(told.typed().action, "start");
    let text = sandbox.tool("pg-cluster").args(["fly", "--output", "text"]).run();
    assert_eq!((text.code(), text.stdout.as_str()), (2, ""), "{text}");
    for option in ["-V", "--version", "-?", "--help"] {
        assert_eq!(sandbox.tool("pg-cluster").arg(option).run().code(), 0, "{option}");
    }
}

fn verbose_shows_commands_and_quiet_shows_none(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("primary").create();
    cluster.tool("start").arg("-v").run().success().expect_stderr("/pg_ctl start -w");
    let quiet = cluster.tool("restart").arg("-q").run().success();
    assert_eq!(quiet.stderr, "", "{quiet}");
    cluster.tool("stop").arg("-q").run().success();
    let failed = cluster.tool("reload").arg("-q").run().expect_code(1);
    failed.expect_stderr("error: ");
}

fn ansible(sandbox: &Sandbox, options: &Value) -> Outcome {
    let file = sandbox.path().join("options.json");
    std::fs::write(&file, options.to_string()).expect("write the options");
    sandbox.tool("pg-cluster").arg("--ansible").arg(file).stdin(Stdin::SilentPipe).run()
}

fn runs_as_an_ansible_module_with_check_mode_and_diff(sandbox: &Sandbox) {
    let data = sandbox.path().join("module");
    let options = json!({"action": "create", "layout": "plain", "pgdata": data, "port": sandbox.port(),
        "pg_version": sandbox.server.major.to_string(), "data_checksums": "yes", "locale": null,
        "_ansible_check_mode": true, "_ansible_diff": true, "_ansible_verbosity": 3, "_ansible_no_log": false});
    let planned = ansible(sandbox, &options).success().expect_changed(true);
    assert!(planned.typed().check && !data.exists(), "{planned}");
    let mut options = options;
    options["_ansible_check_mode"] = json!(false);
    ansible(sandbox, &options).success().expect_changed(true);
    assert!(data.join("PG_VERSION").exists());
    ansible(sandbox, &options).success().expect_changed(false);
}

fn an_ansible_module_writes_one_object_also_on_a_terminal(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("module").create();
    let file = sandbox.file("options.json", &json!({"action": "status", "pgdata": cluster.data}).to_string());
    let written = sandbox.tool("pg-cluster").arg("--ansible").arg(&file).run_on_terminal();
    assert_eq!(written["action"], "status", "{written}");
    let file = sandbox.file("bad.json", &json!({"action": "status", "colour": "blue"}).to_string());
    let written = sandbox.tool("pg-cluster").arg("--ansible").arg(&file).run_on_terminal();
    assert_eq!(written["failed"], true, "{written}");
}

fn an_ansible_module_that_fails_says_so_in_its_object(sandbox: &Sandbox) {
    for options in [
        json!({"action": "fly"}),
        json!({"action": "status", "colour": "blue"}),
        json!({"action": "status", "schema": true}),
        json!([]),
    ] {
        let failed = ansible(sandbox, &options).expect_code(2);
        assert!(failed.typed().failed, "{failed}");
        assert!(!failed.typed().action.contains('/'), "{failed}");
    }
    let missing = sandbox.tool("pg-cluster").args(["--ansible", "/nowhere"]).run();
    assert_ne!(missing.code(), 0);
    assert!(missing.typed().failed);
}
