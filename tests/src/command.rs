//! A run of one of the binaries: its arguments, its environment (a clean one), its standard streams.

use crate::account::{Account, is_root};
use crate::outcome::Outcome;
use crate::patience::wait_for;
use crate::sandbox::Sandbox;
use crate::schema::expect_described;
use crate::terminal::terminal;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// No run takes this long.
const LIMIT: Duration = Duration::from_secs(120);

/// What a tool finds on its standard input.
#[derive(Debug)]
pub enum Stdin {
    /// /dev/null.
    Null,
    /// A pipe at end of file.
    EmptyPipe,
    /// A pipe with this text.
    Text(String),
    /// A regular file.
    File(PathBuf),
    /// A socket that stays open and silent.
    Socket,
    /// A pipe that stays open and silent.
    SilentPipe,
    /// A terminal where nobody types.
    Terminal,
}

/// A command line in the making.
#[derive(Debug)]
pub struct ToolCommand<'a> {
    sandbox: &'a Sandbox,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(String, Option<OsString>)>,
    stdin: Stdin,
    stdout: Option<Stdio>,
    account: Option<Account>,
    stderr: Option<Stdio>,
}

impl<'a> ToolCommand<'a> {
    pub(crate) fn new(sandbox: &'a Sandbox, name: &str) -> Self {
        Self {
            sandbox,
            program: binary(name),
            arguments: Vec::new(),
            environment: Vec::new(),
            stdin: Stdin::Null,
            stdout: None,
            account: None,
            stderr: None,
        }
    }

    pub(crate) fn shell(sandbox: &'a Sandbox, script: &str) -> Self {
        let folder = binary("pg-cluster").parent().map(|folder| folder.display().to_string()).unwrap_or_default();
        let shell = Self { program: "/bin/bash".into(), ..Self::new(sandbox, "pg-cluster") };
        shell.args(["-c", script]).env("PATH", format!("{folder}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"))
    }

    /// The command as it can be part of a script.
    pub fn shown(&self) -> String {
        let name = self.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let words = self.arguments.iter().map(|word| format!("'{}'", word.to_string_lossy()));
        std::iter::once(name).chain(words).collect::<Vec<_>>().join(" ")
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), Some(value.as_ref().to_owned())));
        self
    }

    /// Takes a variable away.
    #[must_use]
    pub fn env_remove(mut self, name: &str) -> Self {
        self.environment.push((name.into(), None));
        self
    }

    /// Says what standard input is (otherwise /dev/null).
    #[must_use]
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// Pipes a document in, as the tool before would.
    #[must_use]
    pub fn document(self, document: &serde_json::Value) -> Self {
        self.stdin(Stdin::Text(document.to_string()))
    }

    /// Pipes in what a run before this one wrote.
    #[must_use]
    pub fn after(self, upstream: &Outcome) -> Self {
        self.stdin(Stdin::Text(upstream.stdout.clone()))
    }

    /// Puts something else in place of stdout; the outcome has none of it then.
    #[must_use]
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout = Some(stdout.into());
        self
    }

    /// Runs it under strace, which sees the tool's own calls and not those of its children. A second time, the
    /// options are added.
    #[must_use]
    pub(crate) fn traced(mut self, options: &[&str]) -> Self {
        let strace = PathBuf::from(crate::calls::STRACE);
        if self.program != strace {
            let program = std::mem::replace(&mut self.program, strace).into_os_string();
            let first = ["-qqq".into(), "-o".into(), "/dev/null".into(), "--".into(), program];
            self.arguments.splice(0..0, first);
        }
        // The last one of an option counts.
        let end = self.arguments.iter().position(|word| word == "--").unwrap_or_default();
        self.arguments.splice(end..end, options.iter().map(Into::into));
        self
    }

    /// Runs it by another program, which becomes it.
    #[must_use]
    pub(crate) fn behind(mut self, program: &str, words: &[&str]) -> Self {
        let own = std::mem::replace(&mut self.program, program.into()).into_os_string();
        self.arguments.splice(0..0, words.iter().map(Into::into).chain([own]));
        self
    }

    /// Starts it as the servers' owner, also where root runs the tests.
    #[must_use]
    pub fn as_owner(self) -> Self {
        self.run_by(Account::of_servers())
    }

    /// Starts it as a user who owns nothing; only root can.
    #[must_use]
    pub fn as_a_stranger(self) -> Self {
        self.run_by(Account::of_a_stranger())
    }

    fn run_by(mut self, account: Option<Account>) -> Self {
        self.account = account;
        self.program = self.sandbox.reachable_copy(&self.program);
        self
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(self) -> Outcome {
        self.start().end()
    }

    /// Runs it with stdout on a terminal, and reads the JSON that it writes there.
    #[track_caller]
    pub fn run_on_terminal(self) -> serde_json::Value {
        let pair = terminal(None);
        let mut running = self.stdout(pair.slave).start();
        let mut child = running.child.take().expect("a process that runs");
        let mut text = Vec::new();
        // A terminal without a writer left gives an error (EIO), not an end of file.
        let _ = std::io::Read::read_to_end(&mut File::from(pair.master), &mut text);
        child.wait().expect("wait for a process");
        let text = String::from_utf8_lossy(&text).into_owned();
        let document =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}\n{}", running.stderr()));
        expect_described(&document, &running.shown);
        document
    }

    /// Starts it with a terminal for standard error, and for standard output unless that was put elsewhere.
    #[track_caller]
    pub(crate) fn start_on(mut self, terminal: OwnedFd) -> Running {
        self.environment.insert(0, ("TERM".into(), Some("xterm-256color".into())));
        self.stdout.get_or_insert_with(|| terminal.try_clone().expect("a terminal").into());
        self.stderr = Some(terminal.into());
        self.start()
    }

    /// Starts it.
    #[track_caller]
    pub fn start(mut self) -> Running {
        let name = self.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let files = self.sandbox.capture(&name);
        let open = |path: &Path| File::create(path).unwrap_or_else(|error| panic!("make {path:?}: {error}"));
        let (stdin, kept) = self.open_stdin();
        let stdout = self.stdout.take().unwrap_or_else(|| open(&files.0).into());
        let stderr = self.stderr.take().unwrap_or_else(|| open(&files.1).into());
        let words: Vec<_> = self.arguments.iter().map(|word| word.to_string_lossy()).collect();
        let shown = format!("{name} {}", words.join(" "));
        let child = self
            .command()
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap_or_else(|error| panic!("start {shown}: {error}"));
        Running { child: Some(child), shown, stdout: files.0, stderr: files.1, _kept: kept }
    }

    fn command(&self) -> Command {
        let mut command = match self.account.as_ref().filter(|_| is_root()) {
            Some(account) => account.command(&self.program),
            None => Command::new(&self.program),
        };
        command.env_clear().env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("LANG", "C.UTF-8");
        command.env("HOME", self.sandbox.path().join("home")).current_dir(self.sandbox.path());
        if self.sandbox.server.needs_telling {
            command.env("PG_RUNBOOK_BINDIRS", &self.sandbox.server.bin);
        }
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.args(&self.arguments);
        command
    }

    fn open_stdin(&self) -> (Stdio, Option<OwnedFd>) {
        match &self.stdin {
            Stdin::Null => (Stdio::null(), None),
            Stdin::EmptyPipe => (std::io::pipe().expect("a pipe").0.into(), None),
            Stdin::Text(text) => {
                assert!(text.len() < 65536, "more than a pipe holds");
                let (reader, mut writer) = std::io::pipe().expect("a pipe");
                writer.write_all(text.as_bytes()).expect("fill a pipe");
                (reader.into(), None)
            }
            Stdin::File(path) => {
                (File::open(path).unwrap_or_else(|error| panic!("open {path:?}: {error}")).into(), None)
            }
            Stdin::Socket => {
                let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
                (OwnedFd::from(theirs).into(), Some(ours.into()))
            }
            Stdin::SilentPipe => {
                let (reader, writer) = std::io::pipe().expect("a pipe");
                (reader.into(), Some(writer.into()))
            }
            Stdin::Terminal => {
                let pair = terminal(None);
                (pair.slave.into(), Some(pair.master))
            }
        }
    }
}

/// A run that has not ended yet; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Option<Child>,
    shown: String,
    stdout: PathBuf,
    stderr: PathBuf,
    _kept: Option<OwnedFd>,
}

impl Running {
    /// Its process number.
    pub fn pid(&self) -> i32 {
        self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok()).expect("a process that runs")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("send a signal");
    }

    /// What it has written on stderr so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Its descendants: those that it started and that still run.
    pub fn children(&self) -> Vec<i32> {
        let path = format!("/proc/{0}/task/{0}/children", self.pid());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    }

    /// Waits for its end, and reads a document that the tests' own types need not know.
    #[track_caller]
    pub fn end_untyped(mut self) -> serde_json::Value {
        let status = self.wait();
        let text = read(&self.stdout);
        assert!(status.success(), "{}: {status}\n{text}\n{}", self.shown, self.stderr());
        let document = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        expect_described(&document, &self.shown);
        document
    }

    /// Waits for its end, also one by a signal.
    #[track_caller]
    pub fn ended(mut self) -> std::process::ExitStatus {
        self.wait()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(mut self) -> Outcome {
        let status = self.wait();
        Outcome::new(self.shown.clone(), status, read(&self.stdout), read(&self.stderr))
    }

    #[track_caller]
    fn wait(&mut self) -> std::process::ExitStatus {
        let mut child = self.child.take().expect("a process that runs");
        let limit = std::time::Instant::now() + LIMIT;
        loop {
            if let Some(status) = child.try_wait().expect("wait for a process") {
                return status;
            }
            if std::time::Instant::now() > limit {
                let _ = child.kill();
                panic!("no end after {LIMIT:?}: {}\n{}", self.shown, self.stderr());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Kills it as the kernel would where memory runs out.
    pub fn kill(mut self) {
        let mut child = self.child.take().expect("a process that runs");
        child.kill().expect("kill a process");
        child.wait().expect("wait for a process");
    }

    /// Waits until stderr says something.
    #[track_caller]
    pub fn wait_until_it_says(&self, words: &str) {
        wait_for(&format!("{} says {words:?}", self.shown), Duration::from_secs(30), || self.stderr().contains(words));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn read(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// Cargo puts the tests into `deps`, beside which the binaries stand, and xtask beside them.
pub(crate) fn binary(name: &str) -> PathBuf {
    let program = std::env::current_exe().expect("the path of this program");
    let mut folders = program.ancestors().skip(1).take(2);
    let path = folders.find_map(|folder| Some(folder.join(name)).filter(|path| path.exists()));
    path.unwrap_or_else(|| panic!("there is no {name} for {program:?}: cargo build --workspace"))
}
