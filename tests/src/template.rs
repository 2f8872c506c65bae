//! A cluster of each major that is made once for a build and copied from then on: initdb takes longer than all else in
//! many a scenario.
//!
//! What must always hold: what is copied is what `pg-cluster create` of this very build made. Whoever brings a copy sees
//! that no two clusters of a sandbox come from it, for they would have one system identifier.

use crate::cluster::TestCluster;
use crate::command::binary;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What stands for a sandbox's own words in what is kept.
const PORT: &str = "port = @PORT@";
const SOCKETS: &str = "@SOCKETS@";

/// Brings a copy, where one is kept.
pub(crate) fn bring(cluster: &TestCluster) -> bool {
    let kept = folder(cluster);
    let brought = kept.exists() && copied(&kept, &cluster.data);
    if brought {
        exchange(&cluster.data, [(PORT, &port(cluster)), (SOCKETS, &sockets(cluster))]);
    }
    brought
}

/// Keeps a copy of a cluster that was just made. Beside its place first: tests that run at the same time see it whole or
/// not at all. Where it can't be kept, each cluster is made.
pub(crate) fn keep(cluster: &TestCluster) {
    let kept = folder(cluster);
    let Some(parent) = kept.parent().filter(|_| !kept.exists()) else { return };
    forget_others(parent, cluster.major, &kept);
    let beside = parent.join(format!(".{}", std::process::id()));
    if std::fs::create_dir_all(parent).is_ok() && copied(&cluster.data, &beside) {
        exchange(&beside, [(&port(cluster), PORT), (&sockets(cluster), SOCKETS)]);
        if std::fs::rename(&beside, &kept).is_ok() {
            return;
        }
    }
    let _ = std::fs::remove_dir_all(&beside);
}

/// By what it is made of: the tool, the server, and whose it is.
fn folder(cluster: &TestCluster) -> PathBuf {
    let tool = binary("pg-cluster");
    let mut hash = DefaultHasher::new();
    for program in [&tool, &cluster.sandbox.server.bin.join("initdb")] {
        let found = program.metadata().unwrap_or_else(|error| panic!("look at {program:?}: {error}"));
        (program, found.len(), found.mtime(), found.mtime_nsec()).hash(&mut hash);
    }
    cluster.sandbox.account.uid.hash(&mut hash);
    tool.with_file_name("clusters-of-tests").join(format!("{}-{:016x}", cluster.major, hash.finish()))
}

/// Those of builds before this one.
fn forget_others(parent: &Path, major: u32, kept: &Path) {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let of_this_major = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&format!("{major}-")));
    for old in of_this_major.map(|entry| entry.path()).filter(|path| path != kept) {
        let _ = std::fs::remove_dir_all(old);
    }
}

fn port(cluster: &TestCluster) -> String {
    format!("port = {}", cluster.port)
}

fn sockets(cluster: &TestCluster) -> String {
    cluster.socket_directory().display().to_string()
}

fn copied(from: &Path, to: &Path) -> bool {
    Command::new("cp").arg("-a").args([from, to]).status().is_ok_and(|end| end.success())
}

fn exchange(data: &Path, words: [(&str, &str); 2]) {
    let path = data.join("postgresql.conf");
    let mut text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("read {path:?}: {error}"));
    for (old, new) in words {
        assert_eq!(text.matches(old).count(), 1, "{old:?} in {path:?}");
        text = text.replace(old, new);
    }
    std::fs::write(&path, text).unwrap_or_else(|error| panic!("write {path:?}: {error}"));
}
