//! What a person sees on a terminal: colour, tables that fit, and a status that is watched.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use nix::sys::signal::Signal;
use std::fs::File;
use std::time::Duration;
use tests::{Sandbox, TestCluster, ToolCommand, on_the_machines_own, pair, wait_for};

on_the_machines_own!(
    a_terminal_gets_colour_and_a_pipe_or_a_document_none,
    pg_color_no_color_and_a_dumb_terminal_decide_on_colour,
    each_stream_is_judged_by_itself,
    what_a_value_becomes_is_bold_on_a_terminal,
    tables_fit_the_terminal_and_are_whole_elsewhere,
    a_watched_server_may_go_and_come_back,
    a_watch_elsewhere_is_one_block_after_the_other,
    a_watch_with_a_limit_ends_where_it_fails,
    a_watched_standby_shows_how_fast_it_replays,
);

const DOWN: &str = "\x1b[01;31mdown\x1b[0m";
const ERROR: &str = "\x1b[01;31merror:\x1b[0m";

/// Runs it to its end on a terminal of 100 columns; what it wrote.
fn seen(command: ToolCommand<'_>) -> String {
    command.on_terminal(100).end().1
}

fn a_terminal_gets_colour_and_a_pipe_or_a_document_none(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("main").create();
    let on_terminal = seen(cluster.tool("status"));
    assert!(on_terminal.contains(DOWN), "{on_terminal}");
    let failure = seen(cluster.tool("promote"));
    assert!(failure.contains(&format!("\x1b[01mpg-cluster:\x1b[0m {ERROR}")), "{failure}");
    assert!(failure.contains("\x1b[01;36mhint:\x1b[0m"), "{failure}");
    let document = seen(cluster.tool("status").args(["--output", "json"]));
    assert!(document.starts_with('{') && !document.contains('\x1b'), "{document}");
    assert!(seen(sandbox.tool("pg-cluster").arg("--help")).contains('\x1b'));

    let text = cluster.tool("status").args(["--output", "text"]).run();
    assert!(text.stdout.contains("state:          down\n"), "{text}");
    let refused = cluster.tool("promote").run();
    let help = sandbox.tool("pg-cluster").arg("--help").run();
    for outcome in [text, refused, help] {
        assert!(!outcome.to_string().contains('\x1b'), "{outcome}");
    }
}

fn pg_color_no_color_and_a_dumb_terminal_decide_on_colour(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("main").create();
    let status = || cluster.tool("status");
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb"), ("PG_COLOR", "never")] {
        let text = seen(status().env(name, value));
        assert!(text.contains("down") && !text.contains('\x1b'), "{name}={value}: {text}");
    }
    assert!(seen(status().env("NO_COLOR", "")).contains(DOWN), "empty is not set");
    assert!(seen(status().env("PG_COLOR", "always").env("NO_COLOR", "1")).contains(DOWN));

    let always = |command: ToolCommand<'_>| command.env("PG_COLOR", "always").run();
    let text = always(status().args(["--output", "text"]));
    assert!(text.stdout.contains(DOWN), "{text}");
    let document = always(status());
    assert!(!document.success().stdout.contains('\x1b'), "a document never has any");
    let refused = always(cluster.tool("promote"));
    assert!(refused.stderr.contains(ERROR), "{refused}");
    let own = status().args(["--output", "text"]).env("PG_COLORS", "error=33");
    assert!(always(own).stdout.contains("\x1b[33mdown\x1b[0m"));
}

fn each_stream_is_judged_by_itself(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("main").create();
    let path = sandbox.file("stdout", "");
    let file = File::create(&path).expect("make a file");
    let (status, text) = cluster.tool("promote").args(["--output", "text"]).stdout(file).on_terminal(100).end();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains(ERROR), "{text}");

    let file = File::create(&path).expect("make a file");
    cluster.tool("status").args(["--output", "text"]).stdout(file).on_terminal(100).end();
    let written = std::fs::read_to_string(&path).expect("read a file");
    assert!(written.contains("down") && !written.contains('\x1b'), "{written}");
}

fn what_a_value_becomes_is_bold_on_a_terminal(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("main").create();
    let text = seen(cluster.other_tool("pg-conf", "set").args(["work_mem=7MB", "--check"]));
    assert!(text.contains("would change work_mem: ") && text.contains(" → \x1b[01m7MB\x1b[0m"), "{text}");
}

/// Lines that are wider than the terminal although they have a blank to be broken at.
fn too_wide(text: &str, columns: usize) -> Vec<&str> {
    let broken = |line: &&str| line.chars().count() > columns && !line.split(": ").last().is_some_and(is_one_word);
    text.lines().filter(broken).collect()
}

fn is_one_word(text: &str) -> bool {
    !text.trim().contains(' ')
}

fn tables_fit_the_terminal_and_are_whole_elsewhere(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.streams();
    let status = || pair.primary.tool("status").env("NO_COLOR", "1");
    let at = |columns: u16| status().on_terminal(columns).end().1;
    let head = |text: &str| text.lines().find(|line| line.starts_with("STANDBY ")).map(str::to_owned);
    let wide = head(&at(120)).expect("a table");
    assert!(wide.contains("WRITE LAG  FLUSH LAG  REPLAY LAG  SLOT"), "{wide}");
    let narrow = at(60);
    assert!(head(&narrow).is_some_and(|head| !head.contains("WRITE LAG") && head.contains("BEHIND")), "{narrow}");
    let list = at(40);
    assert!(head(&list).is_none() && list.contains("standby:    walreceiver\n"), "{list}");
    for (text, columns) in [(&narrow, 60), (&list, 40)] {
        assert_eq!(too_wide(text, columns), Vec::<&str>::new(), "{text}");
    }
    let exported = status().env("COLUMNS", "40").on_terminal(120).end().1;
    assert!(exported.contains("standby:    walreceiver\n"), "COLUMNS, where it is exported: {exported}");
    let piped = status().args(["--output", "text"]).env("COLUMNS", "40").run();
    assert_eq!(head(&piped.stdout), Some(wide), "{piped}");

    let settings = |columns: u16| pair.primary.other_tool("pg-conf", "get").on_terminal(columns).end().1;
    assert!(settings(100).contains("/…/postgresql.conf:") || settings(100).contains("/postgresql.conf:"));
    let document = status().run().success().document;
    let standby = &document["standbys"][0];
    assert!(standby["lag_bytes"].is_i64() && standby.get("replay_lag_seconds").is_some(), "{standby}");
    assert!(standby["slot"].is_null(), "{standby}");
}

fn watched<'a>(cluster: &'a TestCluster<'_>) -> ToolCommand<'a> {
    cluster.tool("status").args(["--watch", "0.1"])
}

fn a_watched_server_may_go_and_come_back(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("main").start();
    let screen = watched(&cluster).on_terminal(100);
    screen.wait_until_it_shows("is running, a primary");
    // A smart shutdown waits for every connection.
    cluster.tool("stop").args(["-m", "smart", "--timeout", "30"]).run().success();
    screen.wait_until_it_shows("is down");
    screen.wait_until_it_shows(DOWN);
    cluster.tool("start").run().success();
    screen.wait_until_it_shows("is running, a primary");
    let rounds = screen.rounds();
    wait_for("it is drawn again", Duration::from_secs(20), || screen.rounds() > rounds);
    assert!(screen.screen().contains(", every 0.1 s\n"), "{}", screen.screen());
    screen.signal(Signal::SIGINT);
    let (status, text) = screen.end();
    assert_eq!(status.code(), Some(0), "{text}");
    assert!(text.ends_with('\n'), "the prompt has a line of its own: {text:?}");
    assert!(!text.contains("\x1b[?"), "no mode of the terminal is changed: {text:?}");
}

fn a_watch_elsewhere_is_one_block_after_the_other(sandbox: &Sandbox) {
    let cluster = sandbox.cluster("main").start();
    let many = watched(&cluster).run().expect_code(2);
    many.expect_error("would write many").expect_hint("--watch --output text");
    cluster.tool("status").args(["--watch", "0"]).run().expect_code(2).expect_error("at least 0.1 seconds");

    let path = sandbox.file("stdout", "");
    let file = File::create(&path).expect("make a file");
    let running = watched(&cluster).args(["--output", "text"]).stdout(file).start();
    let written = || std::fs::read_to_string(&path).expect("read a file");
    wait_for("two blocks", Duration::from_secs(20), || written().matches("\n\n").count() >= 2);
    running.signal(Signal::SIGTERM);
    assert_eq!(running.ended().code(), Some(0));
    let text = written();
    assert!(!text.contains('\x1b') && text.ends_with("\n\n"), "{text}");
    assert!(text.split("\n\n").filter(|block| !block.is_empty()).all(|block| block.contains(" is running")), "{text}");

    let script = format!("{} --output text | head -n 1; echo ${{PIPESTATUS[0]}}", watched(&cluster).shown());
    let left_alone = sandbox.pipeline(&script).run();
    assert!(left_alone.stdout.ends_with("\n0\n") && left_alone.stderr.is_empty(), "{left_alone}");
}

fn a_watch_with_a_limit_ends_where_it_fails(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.streams();
    let cluster = pair.primary;
    let screen = watched(&cluster).args(["--max-lag", "64MB"]).on_terminal(100);
    screen.wait_until_it_shows("is running, a primary");
    cluster.tool("stop").run().success();
    let (status, text) = screen.end();
    assert_eq!(status.code(), Some(1), "{text}");
    // The look may be cut off by the very shutdown, which is as bad.
    let told = [&format!(" {} is ", cluster.data.display()), " terminating connection", " the database system is"];
    let error = text.rsplit(ERROR).next().unwrap_or_default();
    assert!(text.contains(ERROR) && told.iter().any(|words| error.starts_with(*words)), "{text}");
}

fn a_watched_standby_shows_how_fast_it_replays(sandbox: &Sandbox) {
    let pair = pair(sandbox);
    pair.streams();
    let screen = watched(&pair.standby).on_terminal(100);
    screen.wait_until_it_shows("replay rate:    0 bytes/s");
    pair.primary.sql("CREATE TABLE filler AS SELECT generate_series(1, 100000) AS n");
    wait_for("a rate", Duration::from_secs(20), || {
        let text = screen.text();
        text.lines().any(|line| line.starts_with("replay rate:") && !line.contains(" 0 bytes/s"))
    });
    assert!(screen.screen().contains("last word:"), "{}", screen.screen());
    screen.signal(Signal::SIGTERM);
    assert_eq!(screen.end().0.code(), Some(0));
}
