//! `cargo xtask bench tools`: what the tools cost beside what they can't do without.
//!
//! What must always hold: each figure is printed as a ratio to a yardstick measured in the same run, taken in turns, so
//! that a machine's moods fall on both.

use super::figures::{median, milliseconds};
use crate::materials::{self, Profile};
use clap::Args;
use pg_runbook::cluster::programs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What can be asked.
#[derive(Args, Debug)]
#[group(skip)]
pub struct Arguments {
    /// How often each command runs
    #[arg(long, default_value_t = 41)]
    runs: usize,
    /// Measure one command and print its figures; for this program's own use
    #[arg(long, hide = true, num_args = 1.., allow_hyphen_values = true)]
    memory_of: Vec<String>,
}

/// Prints the figures.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    if !arguments.memory_of.is_empty() {
        return print_memory(&arguments.memory_of);
    }
    let binaries = materials::build(Profile::Release)?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let passfile = folder.path().join("pgpass");
    std::fs::write(&passfile, "db1:5432:replication:replicator:x\n").map_err(|error| error.to_string())?;
    std::fs::set_permissions(&passfile, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .map_err(|error| error.to_string())?;
    let list = |path: &Path| {
        words(
            &binaries.join("pg-pass"),
            &["list", "--no-input", "--owner", "root", "--passfile", &path.display().to_string()],
        )
    };
    println!("Without a server (yardstick: a program of Debian's that does nothing)");
    let nothing = vec!["/bin/true".to_owned()];
    compare("pg-pass list", &list(&passfile), "true", &nothing, arguments.runs)?;
    compare(
        "pg-cluster list",
        &words(&binaries.join("pg-cluster"), &["list", "--no-input"]),
        "true",
        &nothing,
        arguments.runs,
    )?;
    for (name, command) in [("pg-pass list", list(&passfile)), ("true", nothing)] {
        println!("  peak memory of {name}: at most {:.1} MB", memory(&command)?);
    }
    with_server(&binaries, arguments.runs)
}

/// On a throwaway server, if this machine has PostgreSQL.
fn with_server(binaries: &Path, runs: usize) -> Result<(), String> {
    let Some(major) = programs::installed_majors().first().copied() else {
        println!("With a server: no PostgreSQL is installed, so this was not measured");
        return Ok(());
    };
    let (psql, _) = programs::client("psql", major).map_err(|failure| failure.to_string())?;
    let folder = std::env::temp_dir().join(format!("pg-runbook-bench-{}", std::process::id()));
    let data = folder.join("main");
    let tool = binaries.join("pg-cluster");
    let place = data.display().to_string();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(|error| error.to_string())?
        .port()
        .to_string();
    quietly(&words(&tool, &["create", "--layout", "plain", "-D", &place, "-p", &port, "--no-input"]))?;
    let measured = (|| {
        quietly(&words(&tool, &["start", "-D", &place, "--no-input"]))?;
        let sockets = pg_runbook::cluster::at(&data)
            .ok()
            .and_then(|cluster| cluster.socket_directory)
            .unwrap_or_else(|| "/tmp".into());
        let mut ask = words(
            &psql,
            &[
                "-XAtq",
                "-h",
                &sockets.display().to_string(),
                "-p",
                &port,
                "-c",
                "SELECT pg_is_in_recovery()",
                "postgres",
            ],
        );
        if pg_runbook::owner::started_by_root() {
            let prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"].map(str::to_owned);
            ask.splice(0..0, prefix);
        }
        println!("With a server of PostgreSQL {major} (yardstick: psql asking one question)");
        compare("pg-cluster status", &words(&tool, &["status", "-D", &place, "--no-input"]), "psql", &ask, runs)
    })();
    let _ = quietly(&words(&tool, &["stop", "-D", &place, "--mode", "immediate", "--no-input"]));
    let _ = std::fs::remove_dir_all(&folder);
    measured
}

fn words(program: &Path, arguments: &[&str]) -> Vec<String> {
    std::iter::once(program.display().to_string()).chain(arguments.iter().map(|&word| word.to_owned())).collect()
}

/// Runs both in turns; prints the medians' ratio and difference.
fn compare(
    name: &str,
    command: &[String],
    yardstick_name: &str,
    yardstick: &[String],
    runs: usize,
) -> Result<(), String> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=runs {
        let (one, other) = (time(command)?, time(yardstick)?);
        // The first round only warms the caches.
        if round > 0 {
            ours.push(one);
            theirs.push(other);
        }
    }
    let (ours, theirs) = (median(&ours), median(&theirs));
    println!(
        "  {name}: {:.1} × {yardstick_name} ({:.1} ms against {:.1} ms, {:+.1} ms; medians of {runs})",
        ours.as_secs_f64() / theirs.as_secs_f64(),
        milliseconds(ours),
        milliseconds(theirs),
        milliseconds(ours) - milliseconds(theirs)
    );
    Ok(())
}

fn time(command: &[String]) -> Result<Duration, String> {
    let begun = Instant::now();
    quietly(command)?;
    Ok(begun.elapsed())
}

fn quietly(command: &[String]) -> Result<(), String> {
    let status = Command::new(&command[0])
        .args(&command[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{} ended with {status}", command.join(" "))),
        Err(error) => Err(format!("start {}: {error}", command[0])),
    }
}

/// In MB. A fresh process measures, because the kernel keeps one maximum for all of a process's children.
fn memory(command: &[String]) -> Result<f64, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let output =
        Command::new(own).args(["bench", "--memory-of"]).args(command).output().map_err(|error| error.to_string())?;
    String::from_utf8_lossy(&output.stdout).trim().parse().map_err(|_| format!("measure {}", command.join(" ")))
}

fn print_memory(command: &[String]) -> Result<(), String> {
    use nix::sys::resource::{UsageWho, getrusage};
    quietly(command)?;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| error.to_string())?;
    // getrusage(2): in kilobytes.
    #[allow(clippy::cast_precision_loss, reason = "a size in kilobytes fits")]
    let megabytes = usage.max_rss() as f64 / 1000.0;
    println!("{megabytes:.1}");
    Ok(())
}
