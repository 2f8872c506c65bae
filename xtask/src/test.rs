//! `cargo xtask test`: everything that can be checked, in one run with one closing line.
//!
//! What must always hold: what could not run is listed with its reason, and with `CI=true` nothing is skipped for want
//! of PostgreSQL.

use crate::ansible;
use crate::dist;
use crate::image;
use crate::selection::Selection;
use crate::servers;
use crate::shell::{self, Said, command, run_and_keep};
use crate::verdict::Verdict;
use std::process::ExitCode;
use tests::hosts::{Docker, KEEP};
use tests::{Servers, Wanted};

/// What to run.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// Only list the tests
    #[arg(long)]
    list: bool,
    /// A scenario on hosts that fails keeps its containers, to be looked at; the next run without this removes them
    #[arg(long)]
    keep: bool,
}

/// Runs it; exit 1 on any failure.
pub fn run(arguments: &Arguments) -> ExitCode {
    let done = if arguments.list { list(arguments) } else { everything(arguments) };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            eprintln!("error: {trouble}");
            ExitCode::FAILURE
        }
    }
}

fn everything(arguments: &Arguments) -> Result<bool, String> {
    let selection = &arguments.selection;
    let wanted = Servers::find().wanted(selection.pg);
    servers::set_up(&wanted)?;
    ansible::set_up()?;
    // Each scenario on hosts says for itself that it could not run; in CI it fails.
    if let Err(trouble) = image::run(&image::Arguments::default()) {
        println!("no hosts for end-to-end scenarios: {trouble}");
    }
    if selection.is_for_packages() {
        servers::need("lintian --version", "lintian", "it looks for faults in packages")?;
        if let Err(trouble) = dist::run() {
            println!("no packages to be tested: {trouble}");
        }
    }
    if !arguments.keep {
        Docker::remove_what_was_kept();
    }
    let mut verdict = Verdict::default();
    if selection.is_all() {
        check_form(&mut verdict)?;
    }
    verdict.check("cargo build --workspace", shell::run("cargo build --workspace --locked")?);
    run_tests(&mut verdict, arguments)?;
    if selection.is_all() {
        check_dependencies(&mut verdict)?;
    }
    tests::sweep();
    Docker::reap();
    Ok(close(&verdict, &wanted))
}

fn list(arguments: &Arguments) -> Result<bool, String> {
    if shell::exists("cargo nextest") {
        shell::run(&format!("cargo nextest list --workspace {}", arguments.selection.for_nextest()))
    } else {
        arguments.selection.names()?.iter().for_each(|name| println!("{name}"));
        Ok(true)
    }
}

fn check_form(verdict: &mut Verdict) -> Result<(), String> {
    verdict.check("cargo fmt --check", shell::run("cargo fmt --all --check")?);
    let schema = crate::docs::check();
    if let Err(trouble) = &schema {
        println!("{trouble}");
    }
    verdict.check("cargo xtask docs --check", schema.is_ok());
    let clippy = "cargo clippy --workspace --all-targets --locked -- -D warnings";
    verdict.check("cargo clippy", shell::run(clippy)?);
    Ok(())
}

fn run_tests(verdict: &mut Verdict, arguments: &Arguments) -> Result<(), String> {
    let selection = &arguments.selection;
    let skipped = tempfile::NamedTempFile::new().map_err(|error| format!("make a temporary file: {error}"))?;
    let threads = threads().to_string();
    let test = |words: &str| -> Result<Said, String> {
        let mut command = command(words);
        command.env(tests::SKIPPED_FILE, skipped.path());
        if arguments.keep {
            command.env(KEEP, "1");
        }
        command.env("NEXTEST_TEST_THREADS", &threads).env("RUST_TEST_THREADS", &threads);
        run_and_keep(words, command)
    };
    let said = if shell::exists("cargo nextest") {
        let none = if selection.pg.is_some() { "fail" } else { "pass" };
        let quiet = format!("--status-level slow --final-status-level fail --no-tests {none}");
        let filter = selection.for_nextest();
        test(&format!("cargo nextest run --workspace --locked --no-fail-fast {quiet} {filter}"))?
    } else {
        let filter = selection.for_cargo_test()?;
        test(&format!("cargo test --workspace --locked --no-fail-fast --lib --bins --tests {filter}"))?
    };
    verdict.add_run("tests", said.success, &said.lines);
    if selection.is_all() {
        let said = test("cargo test --workspace --locked --no-fail-fast --doc")?;
        verdict.add_run("doc tests", said.success, &said.lines);
    }
    let list = std::fs::read_to_string(skipped.path()).map_err(|error| format!("read the skipped tests: {error}"))?;
    verdict.add_skipped(&list);
    Ok(())
}

/// A test waits for its servers more than half of its time.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, |processors| processors.get() * 5 / 2)
}

/// Licences, sources and versions are judged here; known faults need a list that has to be fetched.
fn check_dependencies(verdict: &mut Verdict) -> Result<(), String> {
    let in_ci = tests::in_ci();
    if in_ci && !shell::exists("cargo deny") {
        println!("installing cargo-deny (about four minutes on two cores, once for each machine)");
        shell::run("cargo install cargo-deny --locked --quiet")?;
    }
    if !shell::exists("cargo deny") {
        verdict.skip("cargo deny check: cargo-deny is not installed (cargo install cargo-deny --locked)");
        return Ok(());
    }
    verdict.check("cargo deny", shell::run("cargo deny check --hide-inclusion-graph bans licenses sources")?);
    let words = "cargo deny check --hide-inclusion-graph advisories";
    let said = run_and_keep(words, command(words))?;
    if !said.success && said.lines.iter().any(|line| line.contains("failed to fetch advisory database")) {
        verdict.skip("cargo deny check advisories: the list of advisories can't be fetched from here");
    } else {
        verdict.check("cargo deny (advisories)", said.success);
    }
    Ok(())
}

fn close(verdict: &Verdict, wanted: &[Wanted]) -> bool {
    for missing in Servers::find().missing(wanted) {
        println!("could not run: {missing}");
    }
    for skipped in &verdict.skipped {
        println!("skipped: {skipped}");
    }
    println!("{}", verdict.closing_line());
    verdict.failed == 0
}
