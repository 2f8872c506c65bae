//! Ports that no other test has, in this process or another.
//!
//! What must always hold: a port's lock is the kernel's and lives as long as the sandbox; the range lies below the
//! ephemeral ports, so that no client's connection takes one by chance.

use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// One port, kept until dropped.
#[derive(Debug)]
pub struct Port {
    /// Its number.
    pub number: u16,
    _lock: Flock<File>,
}

/// A port on which nothing listens.
pub fn free() -> Port {
    let folder = folder();
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap_or(0);
    (first..=u16::MAX)
        .chain(20_000..first)
        .filter(|number| *number < 32_000)
        .find_map(|number| {
            let file = File::options().create(true).append(true).open(folder.join(number.to_string())).ok()?;
            let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()?;
            TcpListener::bind(("127.0.0.1", number)).ok()?;
            Some(Port { number, _lock: lock })
        })
        .expect("a free port between 20000 and 31999")
}

fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("pg-runbook-test-ports-{}", nix::unistd::getuid()));
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("make {folder:?}: {error}"));
    let _ = std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700));
    folder
}
