//! What can be typed.

use crate::options::{self, TablespaceMapping};
use crate::{completion, examples};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use pg_runbook::cli::arguments::seconds;
use pg_runbook::cli::{CommonArguments, help};
use pg_runbook::completion::of;
use pg_runbook::server::ConnectionArguments;
use std::path::PathBuf;
use std::time::Duration;

/// Fetch a base backup beside a standby's data directory while it serves, and exchange the two
#[derive(Parser, Debug)]
#[command(name = "pg-basebackup-swap", version, disable_help_flag = true, disable_help_subcommand = true)]
#[command(after_help = help::SHORT, after_long_help = help::tool("pg-basebackup-swap", examples::TOOL))]
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
    /// Fetch and swap, unless it is a standby of this primary already
    ///
    /// All that a copy needs is looked at first, and all that stands in the way is told at once (--check stops there).
    /// The copy is fetched beside the data directory while the old standby serves on, verified, and made a standby; it
    /// catches up on a private server. Then the old one is stopped, the two directories are exchanged in one step, and
    /// it is started. Where it doesn't stream, the old directory is put back.
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-basebackup-swap", "run", examples::RUN))]
    Run(RunArguments),
    /// Copy the primary, while the old standby serves on
    ///
    /// The copy lies beside the data directory until swap installs it.
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-basebackup-swap", "fetch", examples::FETCH))]
    Fetch(FetchVerb),
    /// Install what fetch brought; the old directory is kept
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-basebackup-swap", "swap", examples::SWAP))]
    Swap(SwapVerb),
    /// Put the directory back that the last swap took out
    ///
    /// The one that it put in is kept; a second rollback changes nothing.
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-basebackup-swap", "rollback", examples::ROLLBACK))]
    Rollback(RollbackArguments),
    /// Let go of the directories that are kept
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-basebackup-swap", "commit", examples::COMMIT))]
    Commit(CommitArguments),
    /// Show what lies beside the data directory
    ///
    /// Copies, kept old directories and leftovers, each with its size and age; and what was begun and not ended.
    #[command(after_help = help::SHORT, after_long_help = help::verb("pg-basebackup-swap", "status", examples::STATUS))]
    Status,
}

/// What run takes: all of it.
#[derive(Args, Clone, Debug)]
pub struct RunArguments {
    /// How to fetch.
    #[command(flatten)]
    pub fetch: FetchArguments,
    /// What may be replaced.
    #[command(flatten)]
    pub replaced: ReplacedArguments,
    /// What becomes of the old data
    ///
    /// On a disk that can't hold two copies: the old one stays until commit, or goes before the new one comes (no way
    /// back, and nobody is served while the copy is fetched).
    #[arg(hide_short_help = true, long, value_name = "POLICY", default_value = "keep")]
    pub space: Space,
    /// How to swap.
    #[command(flatten)]
    pub swap: SwapArguments,
}

/// What fetch takes.
#[derive(Args, Clone, Debug)]
pub struct FetchVerb {
    /// How to fetch.
    #[command(flatten)]
    pub fetch: FetchArguments,
    /// What may be replaced.
    #[command(flatten)]
    pub replaced: ReplacedArguments,
}

/// What swap takes.
#[derive(Args, Clone, Debug)]
pub struct SwapVerb {
    /// What may be replaced.
    #[command(flatten)]
    pub replaced: ReplacedArguments,
    /// How to swap.
    #[command(flatten)]
    pub swap: SwapArguments,
}

/// What may be replaced.
#[derive(Args, Clone, Debug, Default)]
pub struct ReplacedArguments {
    /// Clone anew, although it replicates
    ///
    /// It is a standby of this primary already; without this it would be left alone.
    #[arg(long)]
    pub force: bool,
    /// Replace one that is no standby of it
    ///
    /// One that is not a standby of this primary; its own system identifier says that it is meant.
    #[arg(long, value_name = "SYSTEM_IDENTIFIER")]
    pub replace: Option<String>,
}

/// How to fetch.
#[derive(Args, Clone, Debug)]
pub struct FetchArguments {
    /// Where the primary is.
    #[command(flatten)]
    pub connection: ConnectionArguments,
    /// The password file
    ///
    /// [default: the document's, else the owner's ~/.pgpass]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub passfile: Option<PathBuf>,
    /// The replication slot of the standby
    ///
    /// '' is none. [default: the document's, else its own]
    #[arg(short = 'S', long, value_name = "SLOT", value_parser = options::slot, add = of(completion::slots))]
    pub slot: Option<String>,
    /// Make that slot where it is not there
    ///
    /// It is dropped again where no copy comes of it.
    #[arg(short = 'C', long)]
    pub create_slot: bool,
    /// How the primary makes its checkpoint
    #[arg(hide_short_help = true, short, long, value_name = "MODE", default_value = "fast")]
    pub checkpoint: Checkpoint,
    /// Copy no faster than this, such as 50M
    ///
    /// As for `pg_basebackup`.
    #[arg(short = 'r', long, value_name = "RATE", value_parser = options::max_rate)]
    pub max_rate: Option<String>,
    /// Compress on the way, such as zstd:1
    ///
    /// By the primary (15 and later): gzip, lz4 or zstd; for slow links.
    #[arg(short = 'Z', long, value_name = "METHOD[:DETAIL]", value_parser = options::compression, add = of(completion::methods))]
    pub compress: Option<String>,
    /// How the write-ahead log of the copy's own time comes
    #[arg(hide_short_help = true, short = 'X', long, value_name = "METHOD", default_value = "stream")]
    pub wal_method: WalMethod,
    /// Put a tablespace elsewhere on this host
    ///
    /// [default: where the standby has it, else the primary's path]
    #[arg(hide_short_help = true, short = 'T', long, value_name = "OLDDIR=NEWDIR", value_parser = options::tablespace_mapping, add = of(completion::folders))]
    pub tablespace_mapping: Vec<TablespaceMapping>,
    /// Put the copy's write-ahead log here [default: where the standby has it]
    #[arg(hide_short_help = true, long, value_name = "DIRECTORY", value_hint = ValueHint::DirPath)]
    pub waldir: Option<PathBuf>,
    /// Whose configuration the copy has
    ///
    /// postgresql.conf, `pg_hba.conf` and `pg_ident.conf`, where they lie inside the data directory.
    #[arg(hide_short_help = true, long, value_name = "WHOSE", default_value = "standby")]
    pub config: ConfigOf,
    /// How far the copy is compared with its manifest (13 and later)
    #[arg(hide_short_help = true, long, value_name = "HOW", default_value = "full")]
    pub verify: Verification,
    /// How the copy's progress is told on standard error
    #[arg(hide_short_help = true, long, value_name = "FORM", default_value = "text")]
    pub progress: ProgressForm,
}

/// How to swap.
#[derive(Args, Clone, Debug)]
pub struct SwapArguments {
    /// How long each step of the exchange may take
    ///
    /// Stopping, starting and the first streaming, before the old directory goes back.
    #[arg(hide_short_help = true, long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub timeout: Duration,
    /// Exchange at once
    ///
    /// Otherwise the copy first replays what came since it began, while the old server serves.
    #[arg(hide_short_help = true, long)]
    pub no_catch_up: bool,
    /// Keep the old one so long, such as 24h
    ///
    /// The next run after that lets it go. [default: until commit]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub keep_for: Option<Duration>,
}

/// What rollback takes.
#[derive(Args, Clone, Debug)]
pub struct RollbackArguments {
    /// How long each step may take
    ///
    /// Stopping and starting, before the present directory comes back.
    #[arg(hide_short_help = true, long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub timeout: Duration,
}

/// What commit takes.
#[derive(Args, Clone, Debug)]
pub struct CommitArguments {
    /// Only what has been kept for longer, such as 24h
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub keep_for: Option<Duration>,
}

/// How the primary makes the checkpoint that a base backup begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Checkpoint {
    /// At once
    Fast,
    /// Spread out, as the primary spreads its own; that can take minutes
    Spread,
}

/// How the write-ahead log that is written during the copy gets into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WalMethod {
    /// By a second connection, while the files are copied
    Stream,
    /// At the end, as files; the primary must still have them then
    Fetch,
}

/// What becomes of the old data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Space {
    /// It stays beside the new copy until it is let go
    Keep,
    /// It is given up before the new copy is fetched
    Replace,
}

/// Whose configuration a copy has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ConfigOf {
    /// The standby's own, as it was
    Standby,
    /// What the primary has, and the copy brings
    Primary,
}

/// How far a copy is compared with its manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Verification {
    /// Each file's checksum, which reads all of it again
    Full,
    /// Names, sizes and the write-ahead log
    Sizes,
    /// Not at all
    None,
}

/// The forms of progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProgressForm {
    /// A bar on a terminal, elsewhere a line now and then
    Text,
    /// One JSON object a line
    Json,
    /// None
    None,
}
