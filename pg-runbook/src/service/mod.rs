//! Start, stop, restart, reload and promote a cluster's server, by the way that fits how it runs.
//!
//! What must always hold: success is what was observed (the process, its status, the configuration's load time), never
//! what a wrapper's exit status claims; a failure carries the server log's own words.

mod diagnosis;
mod log;
mod manager;

pub use diagnosis::{Bound, bounds_too_low};
pub use log::Log;
pub use manager::Manager;

use crate::cluster::postmaster::{self, Found, Process};
use crate::cluster::{Cluster, State, plain, programs};
use crate::failure::{Attempt, Failure};
use crate::invocation::{Invocation, shell_word, system_program};
use crate::server::Server;
use crate::{owner, signals};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
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

/// What a server that `pg_ctl` started was told besides where its data and its configuration are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandLine(Vec<String>);

/// The running server's (`postmaster.opts`), for a start after which nothing else is to be different. Debian's wrapper
/// and systemd have their own.
pub fn command_line(cluster: &Cluster) -> Result<CommandLine, Failure> {
    if !cluster.has_process() || Manager::of(cluster)? != Manager::PgCtl {
        return Ok(CommandLine::default());
    }
    Ok(CommandLine(last_options(cluster)))
}

/// The options of its last start, whoever made it, without those that say where its data and its configuration are.
#[must_use]
pub fn last_options(cluster: &Cluster) -> Vec<String> {
    let text = std::fs::read_to_string(cluster.data_directory.join("postmaster.opts")).unwrap_or_default();
    options(&text)
}

/// The words stand in double quotes, behind the program's path.
fn options(text: &str) -> Vec<String> {
    let mut words = text.trim_end().split('"').skip(1).step_by(2).map(str::to_owned);
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-D" => drop(words.next()),
            "-c" => match words.next() {
                Some(setting) if is_config_file(&setting) => {}
                setting => kept.extend(std::iter::once(word).chain(setting)),
            },
            _ if word.strip_prefix("-D").is_some() => {}
            _ if word.strip_prefix("--").or(word.strip_prefix("-c")).is_some_and(is_config_file) => {}
            _ => kept.push(word),
        }
    }
    kept
}

fn is_config_file(setting: &str) -> bool {
    setting.starts_with("config_file=") || setting.starts_with("config-file=")
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

/// What a reload brought to light.
#[derive(Clone, Debug, Default)]
pub struct Reloaded {
    /// Whether the server could be asked; without an answer only the signal was sent.
    pub observed: bool,
}

/// Sends SIGHUP, and waits until the server has loaded its files; a file that it could not load is a failure.
pub fn reload(cluster: &Cluster, server: Option<&mut Server>) -> Result<Reloaded, Failure> {
    let Some(process) = postmaster::look(&cluster.data_directory).process() else {
        return Err(Failure::failed(format!("{} does not run, so there is nothing to reload", cluster.title()))
            .hint(format!("pg-cluster start {}", cluster.option())));
    };
    let Some(server) = server else {
        signal(&process, Signal::SIGHUP)?;
        return Ok(Reloaded { observed: false });
    };
    let before = server.text("SELECT pg_conf_load_time()::text")?;
    signal(&process, Signal::SIGHUP)?;
    // A file that can't be read leaves the time as it was: waiting longer would change nothing.
    let mut over = || -> Result<bool, Failure> {
        let loaded = server.text("SELECT pg_conf_load_time()::text")? != before;
        Ok(loaded || !configuration_errors(server)?.is_empty())
    };
    let mut trouble = Ok(());
    let loaded = await_condition(Duration::from_secs(5), "while the configuration is loaded", || {
        over().unwrap_or_else(|failure| {
            trouble = Err(failure);
            true
        })
    })?;
    trouble?;
    let errors = configuration_errors(server)?;
    if loaded && errors.is_empty() {
        return Ok(Reloaded { observed: true });
    }
    let failure =
        Failure::failed(format!("{} could not load its configuration, and goes on with the old one", cluster.title()));
    Err(errors.into_iter().fold(failure, Failure::because).hint(format!("pg-conf check {}", cluster.option())))
}

/// What the server itself finds wrong in its configuration files as they are now. What only waits for a restart is not
/// wrong.
pub fn configuration_errors(server: &mut Server) -> Result<Vec<String>, Failure> {
    let mut errors = setting_errors(server)?;
    errors.extend(rule_errors(server)?);
    Ok(errors)
}

/// The same for postgresql.conf and what it includes alone. The server has one text for a value that it refuses and for
/// one that waits for a restart: which it is, the setting's context tells.
pub fn setting_errors(server: &mut Server) -> Result<Vec<String>, Failure> {
    server.batch("SET lc_messages = 'C'")?;
    let settings = "SELECT coalesce(f.sourcefile, '?') || ':' || coalesce(f.sourceline, 0) || ': '
            || coalesce(f.name || ': ', '') || f.error
        FROM pg_file_settings f LEFT JOIN pg_settings s ON lower(s.name) = lower(f.name)
        WHERE f.error IS NOT NULL AND NOT (s.context IS NOT DISTINCT FROM 'postmaster'
            AND (f.error = 'setting could not be applied'
                OR f.error LIKE 'parameter \"%\" cannot be changed without restarting the server'))
        ORDER BY f.seqno";
    Ok(server.query(settings, &[])?.iter().map(|row| row.get(0)).collect())
}

/// What the server finds wrong in `pg_hba.conf`. A rule that it read and that can't match as things are (`hostssl`
/// without TLS) is not wrong: the file is loaded with it.
pub fn rule_errors(server: &mut Server) -> Result<Vec<String>, Failure> {
    server.batch("SET lc_messages = 'C'")?;
    // file_name came with 16.
    let rules = "SELECT coalesce(to_jsonb(r) ->> 'file_name', current_setting('hba_file')) || ':'
            || coalesce(line_number, 0) || ': ' || error
        FROM pg_hba_file_rules r WHERE error IS NOT NULL AND type IS NULL";
    Ok(server.query(rules, &[])?.iter().map(|row| row.get(0)).collect())
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
    let mut words: Vec<String> = before.0.iter().map(|word| shell_word(word.as_ref())).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_like_the_last_one_leaves_out_what_is_said_anyway() {
        let text = "/usr/lib/postgresql/15/bin/postgres \"-D\" \"/srv/a b\" \"-p\" \"5433\" \"-c\" \"config_file=/etc/x\" \
            \"-c\" \"work_mem=8MB\" \"--config_file=/etc/x\" \"-F\"\n";
        assert_eq!(options(text), ["-p", "5433", "-c", "work_mem=8MB", "-F"]);
    }
}
