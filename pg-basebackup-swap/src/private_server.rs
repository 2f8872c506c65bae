//! A server on a copy that nobody else can reach: it replays what came since the copy began, while the old one serves.
//!
//! What must always hold: it listens on no network, only in the copy itself; it archives nothing, takes nobody's slot,
//! name or statistics folder, and can't be promoted by a file. It ends with the tool, and what it needed is taken out
//! of the copy again.

use crate::{outside, own_files, places, standby_settings};
use nix::sys::signal::Signal;
use pg_runbook::cluster::{plain, postmaster, programs, version};
use pg_runbook::invocation::{Background, Invocation, last_lines};
use pg_runbook::server::{ConnectionArguments, Server};
use pg_runbook::{Cluster, Failure, Run, durable_file, service};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Who it is in `pg_stat_replication`, so that no rule for the standby's own name counts it.
const NAME: &str = "pg-basebackup-swap";

/// Its rules: whoever reaches its socket is the owner.
const RULES: &str = "local all all trust\n";

/// A socket's path has this many bytes at most (`unix(7)`).
const LONGEST_SOCKET: usize = 107;

/// One that runs, or has just ended.
pub struct PrivateServer {
    background: Background,
    /// As it can be connected to.
    pub cluster: Cluster,
    log: PathBuf,
}

/// Why there can't be one, where that is known before it is tried.
#[must_use]
pub fn hindrance(cluster: &Cluster, copy: &Path) -> Option<String> {
    let socket = copy.join(format!(".s.PGSQL.{}", cluster.port));
    let length = socket.as_os_str().len();
    (length > LONGEST_SOCKET)
        .then(|| format!("the path of its socket would have {length} bytes, and can have {LONGEST_SOCKET}"))
}

impl PrivateServer {
    /// Starts it; `takes_slot` where nobody else uses the copy's replication slot.
    pub fn start(cluster: &Cluster, copy: &Path, takes_slot: bool) -> Result<Self, Failure> {
        remove_a_stale_lock(copy)?;
        let rules = rules_file(copy);
        durable_file::replace(&rules, RULES.as_bytes(), 0o600)?;
        durable_file::remove(&log_file(copy))?;
        let log = durable_file::append_to(&log_file(copy), 0o600)?;
        let mut settings = settings(cluster, copy);
        settings.extend(standby_settings::for_private_server(copy, cluster.major, NAME, takes_slot)?);
        let mut invocation =
            Invocation::new(programs::server(cluster.major, "postgres")?).args(service::last_options(cluster));
        invocation = invocation.arg("-D").arg(copy);
        for (name, value) in settings {
            invocation = invocation.arg("-c").arg(format!("{name}={value}"));
        }
        let cluster = Cluster {
            hba_file: rules,
            socket_directory: Some(copy.to_owned()),
            name: None,
            service: None,
            ..places::as_if_in(cluster, copy)
        };
        Ok(Self { background: invocation.start(&log)?, cluster, log: log_file(copy) })
    }

    /// Fails where it has ended by itself.
    pub fn still_runs(&mut self) -> Result<(), Failure> {
        match self.background.ended()? {
            None => Ok(()),
            Some(status) => Err(Failure::failed(format!("the server on the copy ended ({status})"))),
        }
    }

    /// A tablespace that it makes as it replays lies where the old server makes its own.
    pub fn refuse_a_new_tablespace(&self, known: &[String]) -> Result<(), Failure> {
        let now = outside::tablespaces(&self.cluster.data_directory);
        let Some(made) = now.iter().find(|name| !known.contains(name)) else { return Ok(()) };
        Err(Failure::refused(format!("the primary made a tablespace since the copy began ({made})"))
            .because("the copy would make it in the very folder that the old directory uses")
            .hint("a new copy: pg-basebackup-swap run --force"))
    }

    /// A superuser's session.
    pub fn connect(&self, run: &mut Run) -> Result<Server, Failure> {
        let as_owner = run.connect(&self.cluster, &ConnectionArguments::default());
        let Err(failure) = as_owner else { return as_owner };
        // Whoever made the cluster may have named the superuser otherwise.
        let usual = ConnectionArguments { username: Some("postgres".into()), ..ConnectionArguments::default() };
        if self.cluster.owner == "postgres" { Err(failure) } else { run.connect(&self.cluster, &usual) }
    }

    /// The last it said.
    #[must_use]
    pub fn said(&self) -> String {
        last_lines(&String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()), 5)
    }

    /// How far its replay is by its own title, for telling whether it moves at all.
    #[must_use]
    pub fn replay(&self) -> Option<String> {
        let process = postmaster::look(&self.cluster.data_directory).process()?;
        let titles = postmaster::children(process.pid).into_iter().map(|child| child.title);
        titles.into_iter().find(|title| title.contains(": startup"))
    }

    /// Stops it in order.
    pub fn stop(mut self, limit: Duration) -> Result<(), Failure> {
        match self.background.end(Signal::SIGINT, limit)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => {
                Err(Failure::failed(format!("the server on the copy ended badly ({status})")).because(self.said()))
            }
            None => Err(Failure::gave_up(format!("the server on the copy has not stopped after {limit:?}"))
                .because(self.said())),
        }
    }
}

/// After a power loss its number may be another server's, and no server would start on the copy.
fn remove_a_stale_lock(copy: &Path) -> Result<(), Failure> {
    match postmaster::look(copy) {
        postmaster::Found::Nothing => durable_file::remove(&copy.join("postmaster.pid")),
        postmaster::Found::Process(_) | postmaster::Found::Denied => Ok(()),
    }
}

fn rules_file(copy: &Path) -> PathBuf {
    copy.join("pg-runbook.private-hba.conf")
}

fn log_file(copy: &Path) -> PathBuf {
    copy.join("pg-runbook.private.log")
}

fn settings(cluster: &Cluster, copy: &Path) -> Vec<(&'static str, String)> {
    let path = |path: &Path| path.display().to_string();
    let mut settings = vec![
        ("data_directory", path(copy)),
        ("config_file", path(&places::as_if_in(cluster, copy).config_file)),
        ("hba_file", path(&rules_file(copy))),
        ("listen_addresses", String::new()),
        ("port", cluster.port.to_string()),
        // A list, in which a comma would count.
        ("unix_socket_directories", format!("\"{}\"", path(copy).replace('"', "\"\""))),
        ("unix_socket_permissions", "0700".into()),
        ("unix_socket_group", String::new()),
        ("external_pid_file", String::new()),
        ("cluster_name", NAME.into()),
        ("logging_collector", "off".into()),
        ("log_destination", "stderr".into()),
        // Beside the one that serves, the host need not have room for a second one as large.
        ("shared_buffers", "128MB".into()),
        ("huge_pages", "off".into()),
        ("hot_standby", "on".into()),
        ("hot_standby_feedback", "off".into()),
        ("archive_mode", "off".into()),
        // What it has flushed makes no commit safe: nobody is to count it as a synchronous standby.
        ("wal_receiver_status_interval", "0".into()),
        ("update_process_title", "on".into()),
        ("restart_after_crash", "off".into()),
    ];
    let major = cluster.major;
    if !version::has_recovery_conf(major) {
        // What the old server still needs of the archive is not this one's to remove.
        settings.push(("archive_cleanup_command", String::new()));
    }
    if version::has_promote_trigger_file(major) {
        settings.push(("promote_trigger_file", String::new()));
    }
    if version::has_statistics_files(major) {
        settings.push(("stats_temp_directory", "pg_stat_tmp".into()));
    }
    if version::synchronizes_slots(major) {
        settings.push(("sync_replication_slots", "off".into()));
    }
    settings
}

/// Ends one that a killed tool left behind: it was told to end when the tool died, and may take a moment.
pub fn end_leftover(run: &Run, copy: &Path, limit: Duration) -> Result<(), Failure> {
    let Some(process) = postmaster::look(copy).process() else { return Ok(()) };
    run.say(&format!("stopping the server on the copy {} that an earlier run left", copy.display()));
    service::end_process(&process, service::StopMode::Fast, limit)?.then_some(()).ok_or_else(|| {
        Failure::gave_up(format!("process {}, a server on the copy {}, does not end", process.pid, copy.display()))
            .hint(format!("kill -QUIT {}, and run this again", process.pid))
    })
}

/// Takes out of the copy what the server needed, so that what is installed is the standby's own.
pub fn tidy(cluster: &Cluster, data: &Path, copy: &Path) -> Result<(), Failure> {
    remove_a_stale_lock(copy)?;
    durable_file::remove_all_unfinished(copy)?;
    for file in [rules_file(copy), log_file(copy)] {
        durable_file::remove(&file)?;
    }
    standby_settings::after_private_server(copy, cluster.major)?;
    own_files::keep_command_line(data, copy)?;
    // A server that was killed leaves its socket.
    let socket = copy.join(format!(".s.PGSQL.{}", cluster.port));
    let lock = plain::socket_lock(&socket);
    [socket, lock].iter().try_for_each(|file| durable_file::remove(file))
}
