//! `cargo xtask test`: everything that can be checked, in one run with one closing line.
//!
//! What must always hold: what could not run is listed with its reason, and with `CI=true` nothing is skipped for want
//! of PostgreSQL.

use crate::shell::{self, command, run_and_keep};
use crate::verdict::Verdict;
use std::process::ExitCode;
use tests::hosts::{Docker, KEEP};
use tests::{Servers, Wanted};

/// What to run.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only tests whose names contain this; without the formatter, the lints and the licence check
    #[arg(long, value_name = "FILTER")]
    only: Option<String>,
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
    set_up()?;
    if !arguments.keep {
        Docker::remove_what_was_kept();
    }
    let mut verdict = Verdict::default();
    if arguments.only.is_none() {
        check_form(&mut verdict)?;
    }
    verdict.check("cargo build --workspace", shell::run("cargo build --workspace --locked")?);
    run_tests(&mut verdict, arguments)?;
    if arguments.only.is_none() {
        check_dependencies(&mut verdict)?;
    }
    tests::sweep();
    Docker::reap();
    Ok(close(&verdict))
}

fn list(arguments: &Arguments) -> Result<bool, String> {
    let filter = arguments.only.as_deref().unwrap_or_default();
    if shell::exists("cargo nextest") {
        shell::run(&format!("cargo nextest list --workspace {filter}"))
    } else {
        shell::run(&format!("cargo test --workspace --lib --bins --tests {filter} -- --list"))
    }
}

/// A server to test on: as root on Debian it is installed, and that is said first.
fn set_up() -> Result<(), String> {
    if let Err(missing) = Servers::find().get(Wanted::Local) {
        println!("{missing}");
        if tests::is_root() && shell::exists("apt-get") {
            println!("installing Debian's postgresql and postgresql-contrib");
            let done = shell::run("apt-get -qq update")?
                && shell::run(
                    "env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y postgresql postgresql-contrib",
                )?;
            if !done {
                return Err("PostgreSQL could not be installed".into());
            }
        }
    }
    if !shell::exists("strace") && tests::is_root() && shell::exists("apt-get") {
        println!("strace is missing; installing it (the tests that kill a tool at a system call need it)");
        shell::run("env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y strace")?;
    }
    println!("PostgreSQL servers: {}", Servers::find().describe());
    // Each scenario on hosts says for itself that it could not run; in CI it fails.
    if let Err(trouble) = crate::image::run(&crate::image::Arguments::default()) {
        println!("no hosts for end-to-end scenarios: {trouble}");
    }
    Ok(())
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
    let skipped = tempfile::NamedTempFile::new().map_err(|error| format!("make a temporary file: {error}"))?;
    let filter = arguments.only.as_deref().unwrap_or_default();
    let threads = threads().to_string();
    let mut test = |name: &str, words: &str| -> Result<(), String> {
        let mut command = command(words);
        command.env(tests::SKIPPED_FILE, skipped.path());
        if arguments.keep {
            command.env(KEEP, "1");
        }
        command.env("NEXTEST_TEST_THREADS", &threads).env("RUST_TEST_THREADS", &threads);
        let said = run_and_keep(words, command)?;
        verdict.add_run(name, said.success, &said.lines);
        Ok(())
    };
    if shell::exists("cargo nextest") {
        let quiet = "--status-level slow --final-status-level fail --no-tests pass";
        test("tests", &format!("cargo nextest run --workspace --locked --no-fail-fast {quiet} {filter}"))?;
    } else {
        test("tests", &format!("cargo test --workspace --locked --no-fail-fast --lib --bins --tests {filter}"))?;
    }
    if arguments.only.is_none() {
        test("doc tests", "cargo test --workspace --locked --no-fail-fast --doc")?;
    }
    let list = std::fs::read_to_string(skipped.path()).map_err(|error| format!("read the skipped tests: {error}"))?;
    verdict.add_skipped(&list);
    Ok(())
}

/// A test waits for its servers half of its time.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, |processors| processors.get() * 2)
}

/// Licences, sources and versions are judged here; known faults need a list that has to be fetched.
fn check_dependencies(verdict: &mut Verdict) -> Result<(), String> {
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
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

fn close(verdict: &Verdict) -> bool {
    for missing in Servers::find().missing() {
        println!("could not run: {missing}");
    }
    for skipped in &verdict.skipped {
        println!("skipped: {skipped}");
    }
    println!("{}", verdict.closing_line());
    verdict.failed == 0
}
