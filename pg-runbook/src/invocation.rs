//! An external command as data; the only place that starts one.
//!
//! What must always hold: a child runs as the cluster's owner unless [`Invocation::as_started`] says otherwise, never
//! sees a password in its arguments or environment, speaks English, and never outlives the tool.

#![allow(clippy::disallowed_methods)] // The door itself.

mod background;
mod identity;
mod stream;

pub use background::Background;

use crate::failure::{Attempt, Failure};
use crate::{owner, process, signals, stderr};
use identity::{pin_environment, setpriv};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use stream::{Open, Stream};

static SHOW: AtomicBool = AtomicBool::new(false);

/// With `-v`: each command is shown on stderr before it runs.
pub fn show_commands() {
    SHOW.store(true, Ordering::Relaxed);
}

/// A command that can be shown, run, or put into an error message.
#[derive(Clone, Debug)]
pub struct Invocation {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    input: Vec<u8>,
    as_started: bool,
    secret: bool,
    group: Group,
    timeout: Option<Duration>,
}

/// Which process group a child is in, and what of it is ended with the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    /// One of its own; the child alone.
    Own,
    /// One of its own, all of it.
    WithItsChildren,
    /// The tool's, whom the terminal listens to; what it has started, one by one.
    Tools,
}

/// Told of each piece of a child's stderr; a failure ends the child.
pub type Watcher<'a> = &'a mut dyn FnMut(&str) -> Result<(), Failure>;

/// What a command that ran to its end left behind.
#[derive(Clone, Debug)]
pub struct Completed {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote on stdout.
    pub stdout: String,
    /// What it wrote on stderr.
    pub stderr: String,
}

impl Invocation {
    /// `program` is a full path: whoever found it knows its version.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            input: Vec::new(),
            as_started: false,
            secret: false,
            group: Group::Own,
            timeout: None,
        }
    }

    /// Adds an argument. Never a password.
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

    /// Sets a variable. Never a password.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Runs with the rights that the tool was started with (systemctl, apt-get, Debian's wrappers as root).
    #[must_use]
    pub fn as_started(mut self) -> Self {
        self.as_started = true;
        self
    }

    /// May ask on the terminal (a password manager), and is ended together with its own children. A word of it may be a secret: none is shown. Others get a process group of their own, so that Ctrl-C reaches the
    /// tool alone, which ends them in order.
    #[must_use]
    pub fn in_foreground(mut self) -> Self {
        self.secret = true;
        let has_terminal = std::fs::File::open("/dev/tty").is_ok();
        self.group = if has_terminal { Group::Tools } else { Group::WithItsChildren };
        self
    }

    /// Is ended together with its own children (`pg_basebackup` has one that receives WAL). Not for what starts a
    /// server, which must stay.
    #[must_use]
    pub fn with_its_children(mut self) -> Self {
        self.group = Group::WithItsChildren;
        self
    }

    /// Gives up and ends the child after this long.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// What the child reads on stdin (otherwise it reads nothing).
    #[must_use]
    pub fn input(mut self, bytes: &[u8]) -> Self {
        self.input = bytes.to_vec();
        self
    }

    /// The command as it could be typed.
    #[must_use]
    pub fn shown(&self) -> String {
        let shown = if self.secret { &[] } else { self.arguments.as_slice() };
        let words = std::iter::once(self.program.as_os_str()).chain(shown.iter().map(OsString::as_os_str));
        words.map(shell_word).collect::<Vec<_>>().join(" ")
    }

    /// Runs it; an exit status other than 0 is a failure that tells the command, the status and its last words.
    pub fn run(&self) -> Result<Completed, Failure> {
        let completed = self.outcome()?;
        if completed.status.success() { Ok(completed) } else { Err(self.failure(&completed)) }
    }

    /// Runs it; any exit status is an answer.
    pub fn outcome(&self) -> Result<Completed, Failure> {
        self.watch(&mut |_| Ok(()))
    }

    /// Runs it, and hands each piece of its stderr on as it comes (a line, or what ends with a carriage return). A
    /// failure that comes back ends the child.
    pub fn watch(&self, on_stderr: Watcher<'_>) -> Result<Completed, Failure> {
        if SHOW.load(Ordering::Relaxed) {
            stderr::plain(&format!("$ {}", self.shown()));
        }
        let mut wakeup = signals::Wakeup::new()?;
        let mut child = self.spawn()?;
        let result = self.attend(&mut child, &mut wakeup, on_stderr);
        // One that was waited for has no number any more.
        if result.is_err() && !matches!(child.try_wait(), Ok(Some(_))) {
            self.terminate(&child);
            let _ = child.wait();
        }
        result
    }

    /// Starts it and goes on: what it says goes into a file. It ends with the tool, at the latest.
    pub fn start(&self, output: &std::fs::File) -> Result<Background, Failure> {
        if SHOW.load(Ordering::Relaxed) {
            stderr::plain(&format!("$ {} &", self.shown()));
        }
        let doing = || format!("start {}", self.program.display());
        let copy = || output.try_clone().attempt(doing);
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(copy()?).stderr(copy()?);
        let child = owner::as_started(|| command.spawn().attempt(doing))?;
        Ok(Background::new(child))
    }

    fn name(&self) -> String {
        self.program.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The failure that tells the command whole, its exit status and its last lines.
    #[must_use]
    pub fn failure(&self, completed: &Completed) -> Failure {
        let name = self.name();
        let said =
            last_lines(if completed.stderr.trim().is_empty() { &completed.stdout } else { &completed.stderr }, 8);
        let failure = Failure::failed(format!("{name} failed ({})", completed.status)).because(self.shown());
        if said.is_empty() { failure } else { failure.because(said) }
    }

    fn terminate(&self, child: &Child) {
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or_default());
        let end = |pid| kill(pid, Signal::SIGTERM);
        let _ = owner::as_started(|| {
            let ended = match self.group {
                Group::Own => end(pid),
                Group::WithItsChildren => killpg(pid, Signal::SIGTERM),
                Group::Tools => {
                    let below = process::descendants(pid.as_raw());
                    below.into_iter().map(Pid::from_raw).map(end).fold(end(pid), Result::and)
                }
            };
            ended.attempt(|| "end a child")
        });
    }

    fn spawn(&self) -> Result<Child, Failure> {
        let mut command = self.command();
        let doing = || format!("start {}", self.program.display());
        // As root the child changes its identity itself (setpriv), so it has to be started as root.
        let mut child = owner::as_started(|| command.spawn().attempt(doing))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A child that reads nothing of it says so by its exit status.
            let _ = stdin.write_all(&self.input);
        }
        Ok(child)
    }

    fn command(&self) -> Command {
        let identity = if self.as_started { None } else { owner::acting() };
        let mut command = match setpriv(identity.as_ref()) {
            Some(mut words) => {
                let mut command = Command::new(words.remove(0));
                command.args(words).arg("--").arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        if let Some(owner) = &identity {
            command.env("HOME", &owner.home).env("USER", &owner.name).env("LOGNAME", &owner.name);
        }
        pin_environment(&mut command);
        if self.group != Group::Tools {
            command.process_group(0);
        }
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(if self.input.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Waits for the child alone: a server that it started may keep the pipes open for ever.
    fn attend(
        &self,
        child: &mut Child,
        wakeup: &mut signals::Wakeup,
        on_stderr: Watcher<'_>,
    ) -> Result<Completed, Failure> {
        let mut stdout = Stream::new(child.stdout.take())?;
        let mut stderr = Stream::new(child.stderr.take())?;
        let deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        let mut told = false;
        loop {
            stdout.read();
            stderr.read();
            stderr.hand_on(on_stderr, false)?;
            if let Some(status) = child.try_wait().attempt(|| format!("wait for {}", self.program.display()))? {
                stdout.read();
                stderr.read();
                stderr.hand_on(on_stderr, true)?;
                if told {
                    signals::safe_point(&format!("while {} ran", self.name()))?;
                }
                return Ok(Completed { status, stdout: stdout.text(), stderr: stderr.text() });
            }
            if signals::arrived().is_some() && !told {
                told = true;
                self.terminate(child);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.terminate(child);
                let waited = self.timeout.unwrap_or_default().as_secs();
                return Err(Failure::gave_up(format!("no end after {waited} s: {}", self.shown())));
            }
            wait_for_news(wakeup, &[&stdout, &stderr], deadline)?;
        }
    }
}

fn wait_for_news(wakeup: &mut signals::Wakeup, pipes: &[&dyn Open], deadline: Option<Instant>) -> Result<(), Failure> {
    let mut descriptors = vec![PollFd::new(wakeup.as_fd(), PollFlags::POLLIN)];
    descriptors.extend(pipes.iter().filter_map(|pipe| pipe.open()).map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
    let timeout = deadline.map_or(PollTimeout::NONE, |deadline| {
        let left = deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
    });
    match poll(&mut descriptors, timeout) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => {}
        Err(error) => return Err(error).attempt(|| "wait for a child"),
    }
    wakeup.drain();
    Ok(())
}

/// A word as a shell takes it.
#[must_use]
pub fn shell_word(word: &OsStr) -> String {
    let text = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The last `count` lines that are not blank.
#[must_use]
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// A program of the system (not of PostgreSQL) in the usual places.
pub fn system_program(name: &str) -> Result<PathBuf, Failure> {
    let places = std::env::var_os("PATH").unwrap_or_default();
    which::which_in(name, Some(&places), "/")
        .or_else(|_| which::which_in(name, Some("/usr/sbin:/usr/bin:/sbin:/bin"), "/"))
        .map_err(|_| Failure::failed(format!("find the program {name:?}")).because("it is in no folder of $PATH"))
}

/// Whether a program of the system is there.
#[must_use]
pub fn has_system_program(name: &str) -> bool {
    system_program(name).as_deref().is_ok_and(Path::exists)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Invocation {
        Invocation::new("/bin/sh").arg("-c").arg(script)
    }

    #[test]
    fn tells_a_failed_command_whole_with_its_status_and_last_words() {
        let failure = shell("echo trouble >&2; exit 3").run().unwrap_err();
        assert_eq!(failure.message, "sh failed (exit status: 3)");
        assert_eq!(failure.causes, ["/bin/sh -c 'echo trouble >&2; exit 3'", "trouble"]);
    }

    #[test]
    fn does_not_wait_for_a_daemon_that_keeps_the_pipes_open() {
        let begun = Instant::now();
        let completed = shell("sleep 30 & echo started").run().unwrap();
        assert_eq!(completed.stdout, "started\n");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn gives_up_on_a_command_that_hangs() {
        let failure = shell("exec sleep 60").timeout(Duration::from_millis(50)).run().unwrap_err();
        assert_eq!(failure.code, crate::Code::GaveUp);
    }

    #[test]
    fn hands_progress_on_piece_by_piece() {
        let mut pieces = Vec::new();
        shell(r"printf 'a\rb\rc\nd' >&2")
            .watch(&mut |piece| {
                pieces.push(piece.to_owned());
                Ok(())
            })
            .unwrap();
        assert_eq!(pieces, ["a", "b", "c", "d"]);
    }

    #[test]
    fn quotes_what_a_shell_would_take_apart() {
        assert_eq!(Invocation::new("/bin/echo").arg("it's").arg("a b").shown(), r"/bin/echo 'it'\''s' 'a b'");
    }
}
