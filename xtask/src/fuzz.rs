//! `cargo xtask fuzz`: files of ever new bytes, until one is lost.
//!
//! What must always hold: what it finds stays on disk, with the command that shows it again. `cargo xtask test` runs
//! the same bodies once over the examples, on the stable toolchain.

use crate::shell;
use clap::ValueEnum;
use std::path::Path;

/// What to run.
#[derive(clap::Args)]
pub struct Arguments {
    /// Which reader; all of them, one after the other, where none is named
    target: Option<Target>,
    /// For how long, each
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    seconds: u32,
}

#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Target {
    ConfFile,
    HbaFile,
    Passfile,
}

impl Target {
    /// Its name, and the files that it begins with.
    fn named(self) -> (&'static str, &'static str) {
        match self {
            Self::ConfFile => ("conf_file", "tests/files/postgresql.conf"),
            Self::HbaFile => ("hba_file", "tests/files/pg_hba.conf"),
            Self::Passfile => ("passfile", "tests/files/pg_hba.conf"),
        }
    }
}

/// Runs it; an error on the first finding.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    find_tools()?;
    let targets = arguments.target.map_or_else(|| Target::value_variants().to_vec(), |target| vec![target]);
    targets.into_iter().try_for_each(|target| fuzz(target, arguments.seconds))
}

fn find_tools() -> Result<(), String> {
    if !shell::exists("rustup run nightly cargo") {
        return Err(
            "fuzzing needs a nightly toolchain\nhint: rustup toolchain install nightly --profile minimal".into()
        );
    }
    if !shell::exists("cargo fuzz") {
        return Err("fuzzing needs cargo-fuzz\nhint: cargo install cargo-fuzz --locked".into());
    }
    Ok(())
}

fn fuzz(target: Target, seconds: u32) -> Result<(), String> {
    let (name, examples) = target.named();
    let own = format!("tests/fuzz/corpus/{name}");
    std::fs::create_dir_all(shell::workspace().join(&own)).map_err(|error| format!("make folder {own}: {error}"))?;
    // No unsafe code, so no sanitizer. What it learns goes into the first of the folders.
    let cargo = "rustup run nightly cargo fuzz run --fuzz-dir tests/fuzz --sanitizer none";
    let words = format!("{cargo} {name} {own} {examples} -- -max_total_time={seconds} -max_len=4096 -timeout=10");
    if shell::run(&words)? {
        return Ok(());
    }
    let kept = Path::new("tests/fuzz/artifacts").join(name);
    Err(format!(
        "{name} did not come through; its input is in {}\nhint: {cargo} {name} {}/crash-…",
        kept.display(),
        kept.display()
    ))
}
