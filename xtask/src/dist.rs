//! `cargo xtask dist`: a Debian package a tool, one that brings them all, and a tarball, with their sums.
//!
//! What must always hold: all are made of one build, which runs on Debian 11 and newer; what is in them depends on the
//! commit alone, not on the time or the folder; target/dist holds nothing else.

mod copyright;
mod tarball;
mod zig;

use crate::docs::{self, markdown};
use crate::servers::need;
use crate::shell::{self, command, run_and_keep, workspace};
use copyright::Copyright;
use std::path::{Path, PathBuf};
use std::process::Command;
use tarball::Tarball;
use zig::Zig;

/// The last brings the others.
const PACKAGES: [&str; 6] = ["pg-role", "pg-conf", "pg-cluster", "pg-pass", "pg-basebackup-swap", "pg-runbook"];

/// What of README.md is for whoever has the work tree: the others have the tools installed.
const FOR_THE_WORK_TREE: [&str; 3] = ["See it", "Install", "Before you change something"];

/// Of `cargo deb`.
const CARGO_DEB: &str = "3.8.0";

/// Makes them.
pub fn run() -> Result<(), String> {
    let zig = programs()?;
    let time = time_of_commit()?;
    build(&zig)?;
    documents(&time)?;
    let folder = workspace().join("target/dist");
    make_empty(&folder)?;
    for package in PACKAGES {
        pack(package, &time)?;
    }
    let tarball = Tarball::new(&folder, &time)?;
    for program in tarball.programs()? {
        zig::check(&program)?;
    }
    tarball.check_pages(&docs::folder().join("man"))?;
    tarball.pack()?;
    sums(&folder)
}

fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// What it takes, got where it is missing.
fn programs() -> Result<Zig, String> {
    for (program, package, why) in [
        ("dpkg-deb", "dpkg", "packages are taken apart with it"),
        ("objdump", "binutils", "it tells what a program needs"),
    ] {
        need(&format!("{program} --version"), package, why)?;
        if !shell::exists(program) {
            return Err(format!("{program} is missing ({why}): apt-get install {package}"));
        }
    }
    if !shell::exists("cargo deb") {
        println!("cargo-deb is missing; installing it (about a minute on two cores, once for each machine)");
        let install = format!("cargo install cargo-deb --locked --quiet --version {CARGO_DEB}");
        if !shell::run(&install)? {
            return Err(format!("cargo-deb could not be installed: {install}"));
        }
    }
    Zig::get()
}

/// Seconds since 1970: `$SOURCE_DATE_EPOCH`, else of the last commit.
fn time_of_commit() -> Result<String, String> {
    if let Ok(time) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok(time);
    }
    let said = shell::said("git log -1 --format=%ct");
    let said =
        said.map_err(|trouble| format!("{trouble}\nhint: where there is no git: SOURCE_DATE_EPOCH=$(date +%s)"))?;
    Ok(said.trim().to_owned())
}

/// The tools only. The folders of this machine are not to be in them.
fn build(zig: &Zig) -> Result<(), String> {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))).unwrap_or_default();
    let renamed = format!(
        "--remap-path-prefix={}=/cargo --remap-path-prefix={}=/pg-runbook",
        cargo_home.display(),
        workspace().display()
    );
    let words = "--profile distribution --locked --bins --workspace --exclude xtask --exclude tests";
    let mut command = zig.build(&target());
    command.args(words.split_whitespace()).env("RUSTFLAGS", renamed).current_dir(workspace());
    let (shown, (major, minor)) = (target(), zig::GLIBC);
    let said = run_and_keep(&format!("cargo zigbuild --target {shown}.{major}.{minor} {words}"), command)?;
    if said.success { Ok(()) } else { Err("the tools could not be built".into()) }
}

/// Man pages and completions; README for those who have the tools; what changed and the licences as Debian wants them.
fn documents(time: &str) -> Result<(), String> {
    make_empty(&docs::folder())?;
    docs::make_pages()?;
    let said = Command::new("date").args(["--utc", "--rfc-email", "--date", &format!("@{time}")]).output();
    let said = said.map_err(|error| format!("start date: {error}"))?;
    let (version, maintainer) = (env!("CARGO_PKG_VERSION"), env!("CARGO_PKG_AUTHORS"));
    let changelog = format!(
        "pg-runbook ({version}-1) unstable; urgency=medium\n\n  * What changed is told in changelog.gz.\n\n -- {maintainer}  {}",
        String::from_utf8_lossy(&said.stdout)
    );
    let readme = markdown::without(&read(&workspace().join("README.md"))?, &FOR_THE_WORK_TREE)?;
    let copyright = Copyright::of(&read(&workspace().join("LICENSE"))?, &target())?;
    for (file, text) in [
        ("README.md", readme),
        ("COPYRIGHT", copyright.in_full()),
        ("debian/changelog", changelog),
        ("debian/copyright", copyright.for_debian()),
    ] {
        docs::write(&docs::folder().join(file), text.as_bytes())?;
    }
    Ok(())
}

/// What belongs into it stands in its Cargo.toml.
fn pack(package: &str, time: &str) -> Result<(), String> {
    let target = target();
    let words = format!(
        "cargo deb --quiet --no-build --locked --package {package} --target {target} --profile distribution --output target/dist/"
    );
    let mut command = command(&words);
    command.env("SOURCE_DATE_EPOCH", time);
    let said = run_and_keep(&words, command)?;
    if said.success { Ok(()) } else { Err(format!("{package} could not be packed")) }
}

/// Writes them down, and says what was made.
fn sums(folder: &Path) -> Result<(), String> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(|error| format!("read {}: {error}", folder.display()))?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    let names = files.iter().filter_map(|file| file.file_name());
    let said = Command::new("sha256sum").args(names).current_dir(folder).output();
    let said = said.map_err(|error| format!("start sha256sum: {error}"))?.stdout;
    docs::write(&folder.join("SHA256SUMS"), &said)?;
    for (file, line) in files.iter().zip(String::from_utf8_lossy(&said).lines()) {
        let size = file.metadata().map_err(|error| format!("look at {}: {error}", file.display()))?.len();
        let sum = line.split_whitespace().next().unwrap_or_default();
        println!("{} {} kB {sum}", file.display(), size.div_ceil(1000));
    }
    println!("{}", folder.join("SHA256SUMS").display());
    Ok(())
}

fn make_empty(folder: &Path) -> Result<(), String> {
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).map_err(|error| format!("make {}: {error}", folder.display()))
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("read {}: {error}", path.display()))
}
