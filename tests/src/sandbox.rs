//! A folder with servers in it, both gone at the end.
//!
//! What must always hold: a process that works in the folder doesn't outlive the sandbox; a sandbox whose test was
//! killed is cleared away by the next one.

use crate::account::{Account, is_root};
use crate::cluster::ClusterBuilder;
use crate::command::ToolCommand;
use crate::disk;
use crate::ground::{self, Ground};
use crate::ports::{self, Port};
use crate::servers::Server;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::cell::{Cell, RefCell};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PREFIX: &str = "pg-runbook-test-";

/// One scenario's place.
#[derive(Debug)]
pub struct Sandbox {
    /// The server that the scenario runs on.
    pub server: Server,
    /// Who the servers belong to.
    pub account: Account,
    folder: tempfile::TempDir,
    ports: RefCell<Vec<Port>>,
    captured: RefCell<usize>,
    has_a_copy: Cell<bool>,
}

impl Sandbox {
    /// A new one.
    pub fn new(server: Server, ground: Ground) -> Self {
        sweep();
        let account = Account::of_servers().expect("a user who owns servers");
        let folder = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", std::process::id()))
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir_in(ground.folder())
            .expect("a folder for a sandbox");
        account.give(folder.path());
        let (ports, captured, has_a_copy) = (RefCell::new(Vec::new()), RefCell::new(0), Cell::new(false));
        let sandbox = Self { server, account, folder, ports, captured, has_a_copy };
        for name in ["sockets", "home"] {
            sandbox.folder(name);
        }
        std::fs::create_dir(sandbox.path().join("captured")).expect("a folder for what tools say");
        sandbox
    }

    /// Its folder, the servers' owner's.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A new folder of the servers' owner.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir(&path).unwrap_or_else(|error| panic!("make {path:?}: {error}"));
        self.account.give(&path);
        path
    }

    /// A new file of the servers' owner.
    pub fn file(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, contents).unwrap_or_else(|error| panic!("write {path:?}: {error}"));
        self.account.give(&path);
        path
    }

    /// A port that nobody else has while the sandbox lives.
    pub fn port(&self) -> u16 {
        let port = ports::free();
        let number = port.number;
        self.ports.borrow_mut().push(port);
        number
    }

    /// A run of one of the binaries.
    pub fn tool(&self, name: &str) -> ToolCommand<'_> {
        ToolCommand::new(self, name)
    }

    /// A shell pipeline of our tools, in the sandbox's folder; it fails where its last command fails.
    pub fn pipeline(&self, script: &str) -> ToolCommand<'_> {
        ToolCommand::shell(self, script)
    }

    /// Makes a file or folder the servers' owner's, and nobody else's to read.
    pub fn give_to_owner(&self, path: &Path) {
        let mode = if path.is_dir() { 0o700 } else { 0o600 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
            .unwrap_or_else(|error| panic!("set the mode of {path:?}: {error}"));
        self.account.give(path);
    }

    /// A plain cluster to be made.
    pub fn cluster(&self, name: &str) -> ClusterBuilder<'_> {
        ClusterBuilder::new(self, name)
    }

    /// Whether this is the one cluster that may have the system identifier of a copy.
    pub(crate) fn may_have_a_copy(&self, major: u32) -> bool {
        major == self.server.major && !self.has_a_copy.replace(true)
    }

    /// Where the next run's stdout and stderr go.
    pub(crate) fn capture(&self, name: &str) -> (PathBuf, PathBuf) {
        let mut number = self.captured.borrow_mut();
        *number += 1;
        let file = |kind: &str| self.path().join("captured").join(format!("{number}-{name}.{kind}"));
        (file("stdout"), file("stderr"))
    }

    /// A binary where the servers' owner can run it, wherever the target folder lies.
    pub(crate) fn reachable_copy(&self, program: &Path) -> PathBuf {
        let copy = self.path().join(program.file_name().unwrap_or_default());
        if is_root() && !copy.exists() {
            std::fs::copy(program, &copy).unwrap_or_else(|error| panic!("copy {program:?}: {error}"));
            std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).expect("make it executable");
        }
        if is_root() { copy } else { program.to_owned() }
    }

    /// The processes of this name that were told of something in the sandbox.
    pub fn processes_of(&self, name: &str) -> Vec<i32> {
        let folder = self.path().display().to_string();
        let is_one = |pid: &i32| {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).into_owned();
            words.contains(&folder) && words.split('\0').any(|word| word.ends_with(&format!("/{name}")))
        };
        processes().filter(is_one).collect()
    }

    fn print_logs(&self) {
        for path in files_below(self.path(), 3).iter().filter(|path| path.extension().is_some_and(|end| end == "log")) {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            eprintln!("--- the end of {}\n{}", path.display(), lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_logs();
        }
        end_processes_in(self.path());
    }
}

/// Clears away what killed tests left: servers and folders.
pub fn sweep() {
    for entry in ground::ALL.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        let Some(pid) = pid else { continue };
        let ours = entry.metadata().is_ok_and(|metadata| {
            use std::os::unix::fs::MetadataExt;
            is_root() || metadata.uid() == nix::unistd::getuid().as_raw()
        });
        if ours && !Path::new("/proc").join(pid.to_string()).exists() {
            end_processes_in(&entry.path());
            disk::unmount_below(&entry.path());
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Servers at once (they need no clean stop any more); whoever is still there after that, for good.
pub(crate) fn end_processes_in(folder: &Path) {
    let rounds = [(Signal::SIGQUIT, Duration::from_secs(10)), (Signal::SIGKILL, Duration::from_secs(10))];
    for (signal, patience) in rounds {
        let deadline = Instant::now() + patience;
        for pid in processes_in(folder) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
        while !processes_in(folder).is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn processes_in(folder: &Path) -> Vec<i32> {
    let is_there = |pid: &i32| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
    processes().filter(is_there).collect()
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn files_below(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && depth > 0 {
            files.extend(files_below(&path, depth - 1));
        } else {
            files.push(path);
        }
    }
    files
}
