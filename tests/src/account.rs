//! Who the servers belong to: postgres where root runs the tests, else whoever runs them.

use nix::unistd::{User, getuid};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A user of this host.
#[derive(Clone, Debug)]
pub struct Account {
    /// The login name, which is the superuser's name too.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The main group's number.
    pub gid: u32,
    home: PathBuf,
}

impl Account {
    /// The servers' owner; `None` where root runs the tests and there is no user postgres yet.
    pub fn of_servers() -> Option<Self> {
        let user = if is_root() { User::from_name("postgres") } else { User::from_uid(getuid()) };
        user.ok().flatten().map(Self::of)
    }

    /// Somebody who owns nothing.
    pub(crate) fn of_a_stranger() -> Option<Self> {
        User::from_name("nobody").ok().flatten().map(Self::of)
    }

    fn of(user: User) -> Self {
        Self { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw(), home: user.dir }
    }

    /// A command with the owner's rights.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = if is_root() {
            let mut command = Command::new("/usr/bin/setpriv");
            command.args([&format!("--reuid={}", self.uid), &format!("--regid={}", self.gid)]);
            command.args(["--init-groups", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/").env("HOME", &self.home).env("USER", &self.name);
        command
    }

    /// Gives a file or folder to the owner.
    pub fn give(&self, path: &Path) {
        if is_root() {
            chown(path, Some(self.uid), Some(self.gid)).unwrap_or_else(|error| panic!("chown {path:?}: {error}"));
        }
    }
}

/// Whether root runs the tests.
pub fn is_root() -> bool {
    getuid().is_root()
}
