//! Start, stop, restart, reload and promote a cluster's server, by the way that fits how it runs.
//!
//! What must always hold: success is what was observed (the process, its status, the configuration's load time), never
//! what a wrapper's exit status claims; a failure carries the server log's own words.

mod command_line;
mod diagnosis;
mod log;
mod manager;
mod reload;

pub use command_line::{CommandLine, command_line, last_options};
pub use diagnosis::{Bound, bounds_too_low};
pub use log::Log;
pub use manager::Manager;
pub use reload::{configuration_errors, reload, rule_errors, setting_errors};

use crate::cluster::postmaster::{self, Found, Process};
use crate::cluster::{Cluster, State, plain, programs};
use crate::failure::{Attempt, Failure};
use crate::invocation::{Invocation, shell_word, system_program};
use crate::{owner, signals};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How a server is told to stop, as in `pg_ctl -m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StopMode {
    /// After the last client has left.
    Smart,
    /// Clients are disconnected.
    #[default]
    Fast,
    /// Without a checkpoint; the next start recovers.
    Immediate,
}

impl StopMode {
    fn signal(self) -> Signal {
        match self {
            Self::Smart => Signal::SIGTERM,
            Self::Fast => Signal::SIGINT,
            Self::Immediate => Signal::SIGQUIT,
        }
    }
}

/// Starts the server and waits until it has said that it is ready (or, not answering yet, a standby). One that somebody
/// else has started already is only waited for.
pub fn start(cluster: &mut Cluster, timeout: Duration) -> Result<(), Failure> {
    start_again(cluster, &CommandLine::default(), timeout)
}

/// The same, with the command line that the server had before.
pub fn start_again(cluster: &mut Cluster, before: &CommandLine, timeout: Duration) -> Result<(), Failure> {
    let log = Log::mark(cluster);
    if cluster.state == State::Starting {
        return observe_start(cluster, &log, timeout, Ok(()));
    }
    let told = match Manager::of(cluster)? {
        Manager::Systemd { unit } => systemctl("start", &unit, timeout),
        Manager::Wrapper | Manager::Stray { .. } => {
            await_condition(timeout, "while systemd ends the unit", || manager::unit_is_at_rest(cluster))?;
            wrapper(cluster, "start", timeout)
        }
        Manager::PgCtl => pg_ctl(cluster, "start", before, timeout),
    };
    observe_start(cluster, &log, timeout, told.map(drop))
}

/// Stops the server and waits until its process is gone.
pub fn stop(cluster: &mut Cluster, mode: StopMode, timeout: Duration) -> Result<(), Failure> {
    let Some(process) = postmaster::look(&cluster.data_directory).process() else {
        cluster.refresh();
        return Ok(());
    };
    match Manager::of(cluster)? {
        Manager::Systemd { unit } if mode == StopMode::Fast => systemctl("stop", &unit, timeout).map(|_| ())?,
        _ => signal(&process, mode.signal())?,
    }
    let gone = await_end(&process, timeout, &format!("while {} stops", cluster.title()))?;
    cluster.refresh();
    if gone {
        return Ok(());
    }
    let failure = Failure::gave_up(format!("{} has not stopped after {} s", cluster.title(), timeout.as_secs()))
        .because(format!("its process {} is still there; it stops when its clients or checkpoint let it", process.pid));
    Err(if mode == StopMode::Smart {
        failure.hint(format!("pg-cluster stop {} --mode fast", cluster.option()))
    } else {
        failure.hint(format!("pg-cluster stop {} --timeout 600", cluster.option()))
    })
}

/// Tells a server's process to stop, past whoever looks after it, and waits; whether it is gone.
pub fn end_process(process: &Process, mode: StopMode, timeout: Duration) -> Result<bool, Failure> {
    signal(process, mode.signal())?;
    await_end(process, timeout, &format!("while process {} stops", process.pid))
}

fn await_end(process: &Process, timeout: Duration, doing: &str) -> Result<bool, Failure> {
    await_condition(timeout, doing, || !postmaster::is_alive(process.pid))
}

/// Stops and starts. A server that root finds running outside its systemd unit comes back inside it.
pub fn restart(cluster: &mut Cluster, mode: StopMode, timeout: Duration) -> Result<(), Failure> {
    let before = postmaster::look(&cluster.data_directory).process();
    let log = Log::mark(cluster);
    if let Manager::Systemd { unit } = Manager::of(cluster)? {
        let told = systemctl("restart", &unit, timeout);
        observe_start(cluster, &log, timeout, told.map(drop))?;
    } else {
        stop(cluster, mode, timeout)?;
        start(cluster, timeout)?;
    }
    let after = postmaster::look(&cluster.data_directory).process();
    match (before, after) {
        (Some(before), Some(after)) if before.pid == after.pid && before.started == after.started => {
            Err(Failure::failed(format!("{} was told to restart, and its old process still runs", cluster.title()))
                .because(format!("process {} started at {}", before.pid, before.started)))
        }
        _ => Ok(()),
    }
}

/// Ends recovery, and waits until the server takes writes.
pub fn promote(cluster: &mut Cluster, timeout: Duration) -> Result<(), Failure> {
    let log = Log::mark(cluster);
    let invocation = Invocation::new(programs::server(cluster.major, "pg_ctl")?)
        .args(["promote", "-w", "-t", &timeout.as_secs().max(1).to_string(), "-D"])
        .arg(&cluster.data_directory);
    let told = invocation.run();
    cluster.refresh();
    if cluster.role == Some(crate::cluster::Role::Primary) && cluster.state == State::Running {
        return Ok(());
    }
    let failure = told.err().unwrap_or_else(|| Failure::gave_up("it has not ended recovery yet"));
    Err(failure.while_doing(format!("promote {}", cluster.title())).because(log.since()))
}

/// Waits for a condition, asking every 5 ms; `false` when the time is over.
pub fn await_condition(timeout: Duration, doing: &str, mut holds: impl FnMut() -> bool) -> Result<bool, Failure> {
    let deadline = Instant::now() + timeout;
    loop {
        if holds() {
            return Ok(true);
        }
        signals::safe_point(doing)?;
        if Instant::now() >= deadline {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn observe_start(
    cluster: &mut Cluster,
    log: &Log,
    timeout: Duration,
    told: Result<(), Failure>,
) -> Result<(), Failure> {
    cluster.refresh();
    if told.is_ok() && cluster.state == State::Starting {
        let data_directory = cluster.data_directory.clone();
        await_condition(timeout, "while the server starts", || {
            !matches!(postmaster::look(&data_directory).state(), State::Starting)
        })?;
        cluster.refresh();
    }
    if cluster.state != State::Running {
        // A signal that ended pg_ctl is the reason then, not the time.
        signals::safe_point(&format!("while {} starts", cluster.title()))?;
    }
    match cluster.state {
        State::Running => Ok(()),
        State::Starting => {
            Err(Failure::gave_up(format!("{} is still starting after {} s", cluster.title(), timeout.as_secs()))
                .because(log.since())
                .hint(format!("pg-cluster wait {} --for accepting", cluster.option())))
        }
        _ => Err(diagnosis::start_failure(cluster, log, told.err())),
    }
}

fn systemctl(verb: &str, unit: &str, timeout: Duration) -> Result<crate::invocation::Completed, Failure> {
    Invocation::new(system_program("systemctl")?).args([verb, unit]).as_started().timeout(timeout).run()
}

/// Debian's wrapper knows the cluster's environment, options and log; told not to go through systemd.
fn wrapper(cluster: &Cluster, verb: &str, timeout: Duration) -> Result<crate::invocation::Completed, Failure> {
    let name = cluster.name.clone().unwrap_or_default();
    Invocation::new("/usr/bin/pg_ctlcluster")
        .args(["--skip-systemctl-redirect", &cluster.major.to_string(), &name, verb])
        .args(["--", "-t", &timeout.as_secs().max(1).to_string()])
        .as_started()
        .run()
}

fn pg_ctl(
    cluster: &Cluster,
    verb: &str,
    before: &CommandLine,
    timeout: Duration,
) -> Result<crate::invocation::Completed, Failure> {
    let mut invocation = Invocation::new(programs::server(cluster.major, "pg_ctl")?)
        .args([verb, "-w", "-s", "-t", &timeout.as_secs().max(1).to_string(), "-D"])
        .arg(&cluster.data_directory)
        .arg("-l")
        .arg(startup_log(&cluster.data_directory)?);
    let mut words: Vec<String> = before.words().iter().map(|word| shell_word(word.as_ref())).collect();
    if cluster.config_file.parent() != Some(&cluster.data_directory) {
        words.push(format!("-c config_file={}", shell_word(cluster.config_file.as_os_str())));
    }
    if !words.is_empty() {
        invocation = invocation.arg("-o").arg(words.join(" "));
    }
    invocation.run()
}

/// Looks whether a server could be started once it is stopped: its program, and where its messages go. Nothing is made.
pub fn look_whether_it_could_start(cluster: &Cluster) -> Result<(), Failure> {
    could_start(cluster, |data_directory| {
        let log = path_of_startup_log(data_directory)?;
        if log.exists() && !owner::may_write(&log) {
            let failure = Failure::refused(format!("{} may not write to {}", cluster.owner, log.display()));
            return Err(with_way_to_write(failure, &log));
        }
        Ok(log)
    })
}

/// The same while the server still runs; and the file for its messages is made.
pub fn refuse_what_could_not_start(cluster: &Cluster) -> Result<(), Failure> {
    could_start(cluster, startup_log)
}

fn could_start(cluster: &Cluster, log: impl FnOnce(&Path) -> Result<PathBuf, Failure>) -> Result<(), Failure> {
    if Manager::of(cluster)? != Manager::PgCtl {
        return Ok(());
    }
    let ready = programs::server(cluster.major, "pg_ctl").and_then(|_| log(&cluster.data_directory));
    ready.map(drop).map_err(|failure| {
        let when = if cluster.has_process() { " again once it is stopped" } else { "" };
        let failure = failure.while_doing(format!("{} could not be started{when}", cluster.title()));
        Failure { code: crate::Code::Refused, ..failure }
    })
}

/// Beside the data directory, made here so that it is for the owner's eyes only.
fn startup_log(data_directory: &Path) -> Result<PathBuf, Failure> {
    let path = path_of_startup_log(data_directory)?;
    crate::durable_file::append_to(&path, 0o600).map_err(|failure| with_way_to_write(failure, &path))?;
    Ok(path)
}

fn path_of_startup_log(data_directory: &Path) -> Result<PathBuf, Failure> {
    if let Some(odd) = data_directory.to_string_lossy().chars().find(|letter| "\"$`\\".contains(*letter)) {
        return Err(Failure::refused(format!("pg_ctl can't start a server in {}", data_directory.display()))
            .because(format!("it hands the path to a shell, where {odd} has a meaning"))
            .hint("with the server stopped, rename the folder"));
    }
    Ok(plain::log_file(data_directory))
}

fn with_way_to_write(failure: Failure, log: &Path) -> Failure {
    let word = shell_word(log.as_os_str());
    failure.hint(format!("the server's owner has to write there, as root: touch {word} && chown USER {word}"))
}

fn signal(process: &Process, signal: Signal) -> Result<(), Failure> {
    kill(Pid::from_raw(process.pid), signal).attempt(|| format!("send {signal} to process {}", process.pid))
}

/// The running server's process, or the failure that says it doesn't run.
pub fn running(cluster: &Cluster) -> Result<Process, Failure> {
    match postmaster::look(&cluster.data_directory) {
        Found::Process(process) => Ok(process),
        Found::Nothing => Err(Failure::failed(format!("{} does not run", cluster.title()))
            .hint(format!("pg-cluster start {}", cluster.option()))),
        Found::Denied => {
            Err(Failure::failed(format!("look into {}: permission denied", cluster.data_directory.display()))
                .hint(format!("sudo -u {} …, or sudo …", cluster.owner)))
        }
    }
}
