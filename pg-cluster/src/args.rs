//! What can be typed.

use crate::{completion, examples};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use pg_runbook::cli::arguments::seconds;
use pg_runbook::cli::{CommonArguments, help};
use pg_runbook::completion::{majors, of, roles, ssl_modes};
use pg_runbook::server::ConnectionArguments;
use std::path::PathBuf;
use std::time::Duration;

/// See, make, start, stop, restart and drop PostgreSQL clusters, and wait until a standby streams
#[derive(Parser, Debug)]
#[command(name = "pg-cluster", version, disable_help_flag = true, disable_help_subcommand = true)]
#[command(after_help = help::SHORT, after_long_help = help::tool("pg-cluster", examples::TOOL))]
pub struct Arguments {
    /// The options that every tool has.
    #[command(flatten)]
    pub common: CommonArguments,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// List the clusters of this host
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-cluster", "list", examples::LIST))]
    List,
    /// Show one cluster: state, role, address, replication
    ///
    /// Changes nothing. Of a primary it shows its standbys, each with its state, how far it is behind in bytes and in
    /// time, and its slot; of a standby, from where it receives, how far it is, and when its primary last spoke.
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-cluster", "status", examples::STATUS))]
    Status(StatusArguments),
    /// See that the programs of a PostgreSQL version are installed
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-cluster", "require", examples::REQUIRE))]
    Require(RequireArguments),
    /// Make a cluster, with nothing in it
    ///
    /// Debian's own tools make it where VERSION/NAME is given, initdb with --layout plain. It is not started. One that
    /// is there already, as asked for, is left alone.
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-cluster", "create", examples::CREATE))]
    Create(CreateArguments),
    /// Remove a cluster that is stopped and holds no user data
    ///
    /// Anything else is refused, unless --force names its system identifier.
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-cluster", "drop", examples::DROP))]
    Drop(DropArguments),
    /// Start the server, and see that it answers
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-cluster", "start", examples::START))]
    Start(ServeArguments),
    /// Stop the server
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-cluster", "stop", examples::STOP))]
    Stop(StopArguments),
    /// Restart the server, or do what a document says it needs
    ///
    /// Typed alone it restarts. Given a document, it does the least that its `needs` asks for: nothing, a reload, a
    /// restart or a start. It looks first whether the server would come back; where it doesn't, the configuration that
    /// it had is put back and started.
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-cluster", "restart", examples::RESTART))]
    Restart(StopArguments),
    /// Have the server load its configuration files, and see that it could
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-cluster", "reload", examples::RELOAD))]
    Reload(ConnectArguments),
    /// End a standby's recovery: from then on it takes writes
    ///
    /// There is no way back but a new copy: see first that it has caught up, and that its old primary is down.
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-cluster", "promote", examples::PROMOTE))]
    Promote(ServeArguments),
    /// Wait until it accepts connections, streams, or has caught up
    ///
    /// Believed is only what is seen: an answer, a walreceiver that streams from the right system, and a replay that
    /// advances.
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-cluster", "wait", examples::WAIT))]
    Wait(WaitArguments),
    /// Say what standbys must know of this primary
    ///
    /// The document then has `primary`: host, port, role, system identifier and the bounds that a standby must not be
    /// below. The tools on the standby's host read it.
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-cluster", "advertise", examples::ADVERTISE))]
    Advertise(AdvertiseArguments),
}

/// How long, and by which connection to look.
#[derive(Args, Clone, Debug)]
pub struct ServeArguments {
    /// Give up after this long
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub timeout: Duration,
    /// How to connect.
    #[command(flatten)]
    pub connection: ConnectionArguments,
}

/// How to stop.
#[derive(Args, Clone, Debug)]
pub struct StopArguments {
    /// How clients are treated
    #[arg(short, long, value_name = "MODE", default_value = "fast")]
    pub mode: Mode,
    /// How long, and by which connection to look.
    #[command(flatten)]
    pub serve: ServeArguments,
}

/// The modes of `pg_ctl stop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Wait for clients to leave
    Smart,
    /// Disconnect clients
    Fast,
    /// Without a checkpoint; the next start recovers
    Immediate,
}

/// How to connect.
#[derive(Args, Clone, Debug)]
pub struct ConnectArguments {
    /// How to connect.
    #[command(flatten)]
    pub connection: ConnectionArguments,
}

/// What status checks.
#[derive(Args, Clone, Debug)]
pub struct StatusArguments {
    /// Fail where replication is behind, or silent
    ///
    /// Exit code 1 unless the server runs and, if it is a standby, streams and is not further behind than this, such as
    /// 64MB; if it has standbys, the same of each. A primary that no standby follows fails too.
    #[arg(long, value_name = "SIZE", value_parser = crate::lag::size)]
    pub max_lag: Option<u64>,
    /// Look again and again [2 seconds], until Ctrl-C
    ///
    /// A terminal is drawn anew in place; elsewhere (--output text) one block follows the other. A server that goes
    /// away is shown as down, and watched on; no connection is kept between two looks. SIGINT or SIGTERM ends it, with
    /// exit code 0. With --max-lag it ends with exit code 1 at the first look that fails the limit. There is no JSON of
    /// it.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = interval)]
    pub watch: Option<Duration>,
    /// How to connect.
    #[command(flatten)]
    pub connection: ConnectionArguments,
}

/// A server is not to be kept busy by being looked at.
fn interval(text: &str) -> Result<Duration, String> {
    let duration = seconds(text)?;
    if duration < Duration::from_millis(100) { Err("it is at least 0.1 seconds".into()) } else { Ok(duration) }
}

/// Which version.
#[derive(Args, Clone, Debug)]
pub struct RequireArguments {
    /// The major version [default: the primary's]
    ///
    /// The document tells the primary's.
    #[arg(long, value_name = "MAJOR", add = of(majors))]
    pub pg_version: Option<u32>,
    /// Install Debian's packages where programs are missing
    #[arg(long)]
    pub install: bool,
}

/// What to make.
#[derive(Args, Clone, Debug)]
pub struct CreateArguments {
    /// The new Debian cluster, such as 17/replica
    #[arg(value_name = "VERSION/NAME", conflicts_with = "layout", add = of(completion::versions))]
    pub new_cluster: Option<String>,
    /// The files' layout; plain needs -D
    #[arg(long, value_name = "LAYOUT")]
    pub layout: Option<LayoutName>,
    /// The major version of a plain cluster
    ///
    /// [default: the document's primary's, else the newest installed]
    #[arg(long, value_name = "MAJOR", conflicts_with = "new_cluster", add = of(majors))]
    pub pg_version: Option<u32>,
    /// Its port
    ///
    /// [default: the next free one for Debian, 5432 for plain]
    #[arg(short, long, value_name = "PORT")]
    pub port: Option<u16>,
    /// The user that a plain cluster belongs to
    ///
    /// [default: postgres where root runs this, else you]
    #[arg(hide_short_help = true, long, value_name = "USER")]
    pub owner: Option<String>,
    /// The locale [default: Debian's, or C.UTF-8]
    #[arg(long, value_name = "LOCALE")]
    pub locale: Option<String>,
    /// The character set
    #[arg(short, long, value_name = "ENCODING", default_value = "UTF8")]
    pub encoding: String,
    /// Checksum each data page
    #[arg(short = 'k', long)]
    pub data_checksums: bool,
    /// Put the write-ahead log here
    #[arg(long, value_name = "DIRECTORY", value_hint = ValueHint::DirPath)]
    pub waldir: Option<PathBuf>,
    /// Where a plain cluster's Unix socket goes
    ///
    /// [default: the server's own, or /tmp where its owner can't write there]
    #[arg(hide_short_help = true, long, value_name = "DIRECTORY", value_hint = ValueHint::DirPath)]
    pub socket_directory: Option<PathBuf>,
}

/// Who arranges a new cluster's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LayoutName {
    /// postgresql-common: /etc/postgresql, /var/lib/postgresql
    Debian,
    /// initdb: everything in one directory
    Plain,
}

/// What to drop.
#[derive(Args, Clone, Debug)]
pub struct DropArguments {
    /// The cluster, such as 17/main (or --cluster, or -D)
    #[arg(value_name = "VERSION/NAME", conflicts_with_all = ["pgdata", "cluster"], add = of(completion::stopped))]
    pub unused: Option<String>,
    /// Drop it although it runs or holds data
    ///
    /// Its system identifier says that this one is meant; pg-cluster status --output json shows it.
    #[arg(long, value_name = "SYSTEM_IDENTIFIER")]
    pub force: Option<String>,
    /// How long stopping may take
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub timeout: Duration,
}

/// What to wait for.
#[derive(Args, Clone, Debug)]
pub struct WaitArguments {
    /// What to wait for
    #[arg(long = "for", value_name = "STATE", default_value = "accepting")]
    pub state: Awaited,
    /// How long, and by which connection to look.
    #[command(flatten)]
    pub serve: ServeArguments,
}

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Awaited {
    /// The server answers queries
    Accepting,
    /// The walreceiver streams, from the right system, on a timeline of its history, and replay advances
    Streaming,
    /// All that the primary had sent when the wait began is replayed
    CaughtUp,
}

/// How standbys reach it.
#[derive(Args, Clone, Debug)]
pub struct AdvertiseArguments {
    /// A name or address that standbys can reach
    #[arg(long, value_name = "HOST")]
    pub host: String,
    /// The port they are told of [default: its own]
    ///
    /// Where standbys come by another port than the server's own, such as a forwarded one.
    #[arg(long, value_name = "PORT")]
    pub advertised_port: Option<u16>,
    /// The replication role [default: the document's]
    #[arg(long, value_name = "ROLE", add = of(roles))]
    pub role: Option<String>,
    /// The replication slot that standbys are to use
    #[arg(long, value_name = "SLOT", add = of(completion::slots))]
    pub slot: Option<String>,
    /// libpq's sslmode for standbys
    ///
    /// verify-ca and verify-full want the authority's certificate on the standby, in its owner's
    /// ~/.postgresql/root.crt, where the walreceiver looks for it too.
    #[arg(long, value_name = "MODE", default_value = "prefer", add = of(ssl_modes))]
    pub sslmode: String,
}
