//! Servers that come packed, unpacked once for all tests of this machine.
//!
//! What must always hold: tests that run at the same time see a server whole or not at all; nobody else's files are run.

use super::Server;
use crate::account::is_root;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the servers' owner can read them, whoever runs the tests, and where they outlive a boot.
const FOLDER: &str = "/var/tmp";

/// The place of what these bytes name.
pub fn place(of: impl Hash) -> PathBuf {
    let mut hash = DefaultHasher::new();
    of.hash(&mut hash);
    let name = format!("pg-runbook-test-servers-{}-{:016x}", nix::unistd::getuid(), hash.finish());
    Path::new(FOLDER).join(name)
}

/// The server below it, where it has one.
pub(super) fn server(major: u32, place: &Path, bin: &str) -> Option<Server> {
    let owner = place.metadata().ok()?.uid();
    assert_eq!(owner, nix::unistd::getuid().as_raw(), "{place:?} is somebody else's");
    let bin = place.join(bin);
    bin.join("postgres").exists().then_some(Server { major, bin, needs_telling: true })
}

/// Fills it beside its place first. What is filled by two at once is the same.
pub fn fill(place: &Path, with: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
    let trouble = |error: std::io::Error| format!("make {}: {error}", place.display());
    let beside = tempfile::Builder::new()
        .prefix(".pg-runbook-test-servers-")
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir_in(FOLDER)
        .map_err(trouble)?;
    with(beside.path())?;
    let path = beside.keep();
    let renamed = std::fs::rename(&path, place);
    if renamed.is_err() {
        let _ = std::fs::remove_dir_all(&path);
    }
    if place.exists() { Ok(()) } else { renamed.map_err(trouble) }
}

/// Runs a command; what it said on stderr, where it fails.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let shown = format!("{command:?}").replace('"', "");
    let output = command.output().map_err(|error| format!("{shown}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{shown}: {}", said.trim_end())) }
}

/// `../shared/postgres/pg10-server-linux-x64.tar.xz` and its like.
pub(super) fn archive(major: u32) -> Option<Server> {
    let name = format!("../../shared/postgres/pg{major}-server-linux-x64.tar.xz");
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let metadata = archive.metadata().ok().filter(|_| cfg!(all(target_os = "linux", target_arch = "x86_64")))?;
    let place = place((major, metadata.len(), metadata.mtime()));
    if !place.exists() {
        fill(&place, |folder| untar(&archive, folder)).unwrap_or_else(|trouble| panic!("{trouble}"));
    }
    server(major, &place, &format!("{major}/bin"))
}

fn untar(archive: &Path, folder: &Path) -> Result<(), String> {
    let mut tar = Command::new("tar");
    if is_root() {
        tar.arg("--no-same-owner");
    }
    run(tar.arg("-xJf").arg(archive).arg("-C").arg(folder))
}
