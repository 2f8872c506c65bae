//! What can be typed.

use crate::completion;
use crate::options::{self, TablespaceMapping};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use pg_runbook::cli::CommonArguments;
use pg_runbook::cli::arguments::seconds;
use pg_runbook::completion::of;
use pg_runbook::server::ConnectionArguments;
use std::path::PathBuf;
use std::time::Duration;

/// Fetch a base backup beside a standby's data directory while it serves, and exchange the two
#[derive(Parser, Debug)]
#[command(name = "pg-basebackup-swap", version, disable_help_flag = true, disable_help_subcommand = true)]
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
    /// Fetch and swap, unless the cluster already is a standby of this primary
    Run(RunArguments),
    /// Copy the primary beside the data directory; the old standby serves on
    Fetch(FetchVerb),
    /// Install what fetch brought; the old directory is kept
    Swap(SwapVerb),
    /// Put the directory back that the last swap took out; the one that it put in is kept
    Rollback(RollbackArguments),
    /// Let go of the directories that are kept
    Commit(CommitArguments),
    /// Show the data directory and what lies beside it: copies, kept old directories, leftovers
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
    /// What happens on a disk that can't hold two copies: the old one stays until commit, or goes before the new one
    /// comes (no way back, and nobody is served while the copy is fetched)
    #[arg(long, value_name = "POLICY", default_value = "keep")]
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
    /// Clone anew although it already is a standby of this primary
    #[arg(long)]
    pub force: bool,
    /// Replace a cluster that is not a standby of this primary; its own system identifier says that it is meant
    #[arg(long, value_name = "SYSTEM_IDENTIFIER")]
    pub replace: Option<String>,
}

/// How to fetch.
#[derive(Args, Clone, Debug)]
pub struct FetchArguments {
    /// Where the primary is.
    #[command(flatten)]
    pub connection: ConnectionArguments,
    /// The password file [default: the document's, else the owner's ~/.pgpass]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub passfile: Option<PathBuf>,
    /// Have the standby use this replication slot; '' is none [default: the document's, else its own]
    #[arg(short = 'S', long, value_name = "SLOT", value_parser = options::slot, add = of(completion::slots))]
    pub slot: Option<String>,
    /// Make that slot where it is not there; it is dropped again where no copy comes of it
    #[arg(short = 'C', long)]
    pub create_slot: bool,
    /// How the primary makes its checkpoint
    #[arg(short, long, value_name = "MODE", default_value = "fast")]
    pub checkpoint: Checkpoint,
    /// Copy no faster than this, as for `pg_basebackup` (such as 50M)
    #[arg(short = 'r', long, value_name = "RATE", value_parser = options::max_rate)]
    pub max_rate: Option<String>,
    /// Have the primary compress what it sends (15 and later): gzip, lz4 or zstd, such as zstd:1; for slow links
    #[arg(short = 'Z', long, value_name = "METHOD[:DETAIL]", value_parser = options::compression, add = of(completion::methods))]
    pub compress: Option<String>,
    /// How the write-ahead log of the copy's own time comes
    #[arg(short = 'X', long, value_name = "METHOD", default_value = "stream")]
    pub wal_method: WalMethod,
    /// Put a tablespace of the primary elsewhere on this host [default: where the standby has it, else the primary's path]
    #[arg(short = 'T', long, value_name = "OLDDIR=NEWDIR", value_parser = options::tablespace_mapping, add = of(completion::folders))]
    pub tablespace_mapping: Vec<TablespaceMapping>,
    /// Put the copy's write-ahead log here [default: where the standby has it]
    #[arg(long, value_name = "DIRECTORY", value_hint = ValueHint::DirPath)]
    pub waldir: Option<PathBuf>,
    /// Whose postgresql.conf, `pg_hba.conf` and `pg_ident.conf` the copy has, where they lie inside the data directory
    #[arg(long, value_name = "WHOSE", default_value = "standby")]
    pub config: ConfigOf,
    /// How far the copy is compared with its manifest (13 and later)
    #[arg(long, value_name = "HOW", default_value = "full")]
    pub verify: Verification,
    /// How the copy's progress is told on standard error
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub progress: ProgressForm,
}

/// How to swap.
#[derive(Args, Clone, Debug)]
pub struct SwapArguments {
    /// How long stopping, starting and the first streaming may each take before the old directory goes back
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub timeout: Duration,
    /// Exchange at once; otherwise the copy first replays what came since it began, while the old server serves
    #[arg(long)]
    pub no_catch_up: bool,
    /// Keep the old directory for this long, such as 24h; the next run after that lets it go [default: until commit]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub keep_for: Option<Duration>,
}

/// What rollback takes.
#[derive(Args, Clone, Debug)]
pub struct RollbackArguments {
    /// How long stopping and starting may each take before the present directory comes back
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub timeout: Duration,
}

/// What commit takes.
#[derive(Args, Clone, Debug)]
pub struct CommitArguments {
    /// Let go only of what has been kept for longer than this, such as 24h
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
