//! One run of `pg_basebackup`.
//!
//! What must always hold: it never cleans up after itself (one that was cut off from the tool must not remove what has
//! a place by then), its own words come with its failure, and half of a copy can't come up as a primary either.

use crate::args::{Checkpoint, Space, WalMethod};
use crate::fetch::Order;
use crate::options::TablespaceMapping;
use crate::progress::{self, Progress, Teller};
use crate::room::{Disk, Part, What};
use crate::size::size;
use crate::standby_settings;
use pg_runbook::cluster::programs;
use pg_runbook::invocation::{Completed, Invocation, last_lines};
use pg_runbook::server::Target;
use pg_runbook::server::parameters::quote_value;
use pg_runbook::{Code, Failure, Run};

/// Within a minute: after 30 s of silence, by three questions without an answer.
const NOTICES_SILENCE: [(&str, &str); 4] =
    [("keepalives", "1"), ("keepalives_idle", "30"), ("keepalives_interval", "10"), ("keepalives_count", "3")];

/// What the primary says of a copy before it comes.
pub struct Announced {
    /// All of it, without the write-ahead log.
    pub bytes: u64,
    /// How many tablespaces there are besides the data directory.
    pub tablespaces: usize,
}

/// How large the primary says that a copy is: one is begun, as slowly as can be, and ended as soon as that is told.
pub fn announced_size(order: &Order<'_>) -> Result<Announced, Failure> {
    let slowly = ["--no-sync", "--wal-method", "none", "--max-rate", "32k"];
    // The write-ahead log may still be the old data's.
    let parts: Vec<Part> = order.parts.iter().filter(|part| part.what != What::Wal).cloned().collect();
    let invocation = invocation(&Order { slot: None, parts: &parts, ..*order })?.args(slowly);
    let mut told = None;
    let ended = invocation.watch(&mut |line| match progress::parse(line) {
        Some(Progress { total: Some(bytes), of_tablespaces, .. }) => {
            let tablespaces = usize::try_from(of_tablespaces).unwrap_or(usize::MAX).saturating_sub(1);
            told = Some(Announced { bytes, tablespaces });
            Err(Failure::failed("the size is told"))
        }
        _ => Ok(()),
    });
    match (told, ended) {
        (Some(announced), _) => Ok(announced),
        (None, Err(failure)) => Err(failure),
        (None, Ok(completed)) => Err(explain(&invocation, &completed)),
    }
}

/// Copies the primary into a folder that is there and empty; whether `pg_basebackup` itself syncs what it wrote.
pub fn copy(run: &Run, order: &Order<'_>, syncs: bool) -> Result<(), Failure> {
    let Order { cluster, source, arguments, .. } = order;
    let invocation = invocation(order)?.args((!syncs).then_some("--no-sync"));
    let disks = Disk::all(order.parts, order.space)?;
    let role = &source.target.user;
    let mut teller = Teller::new(run, arguments.progress);
    let mut other_lines = String::new();
    let mut expected = 0;
    let mut has_begun = false;
    let completed = invocation.watch(&mut |line| {
        // It wants an empty folder, and has seen one by its first word; its control file comes last.
        if !std::mem::replace(&mut has_begun, true) {
            standby_settings::keep_from_coming_up(order.partial, cluster.major)?;
        }
        match progress::parse(line) {
            Some(progress) => {
                expected = progress.total.unwrap_or_default();
                let mut divided = Disk::for_all_of(&disks, expected).into_iter();
                if let Some(refusal) = divided.find_map(|disk| disk.refusal(cluster, role, false)) {
                    return Err(refusal);
                }
                teller.copied(progress);
            }
            None if line.starts_with("waiting for checkpoint") => teller.waits_for_checkpoint(),
            // It is removed, by us.
            None if line.ends_with("not removed at user's request") => {}
            None => {
                other_lines.push_str(line);
                other_lines.push('\n');
            }
        }
        Ok(())
    })?;
    drop(teller);
    if completed.status.success() {
        return Ok(());
    }
    let told = Completed { stderr: other_lines, ..completed };
    if told.stderr.contains("No space left on device") {
        // A small copy is at its end before it says how large it is; then the old one is the measure.
        let old = || size(&cluster.data_directory).saturating_sub(size(&cluster.data_directory.join("pg_wal")));
        let needed = if expected == 0 { old() } else { expected };
        let mut full = full(&disks, order, needed)?;
        // With a segment of write-ahead log it would have fitted: the old one is no measure.
        if expected == 0 && needed + source.wal_segment().unwrap_or(16 << 20) <= full.free {
            full.bytes = None;
        }
        return Err(full.too_small(cluster, role).because(last_lines(&told.stderr, 3)));
    }
    let failure = explain(&invocation, &told);
    let failure = if failure.hint.is_none() { with_retry(failure, &source.target, &told.stderr) } else { failure };
    Err(match order.space {
        Space::Keep => failure.while_doing(format!(
            "the copy from {} failed; {} is untouched",
            source.target.address(),
            cluster.title()
        )),
        Space::Replace => failure.while_doing(format!("the copy from {} failed", source.target.address())),
    })
}

/// The disk that is full, with what it had for the copy in the end: others may have filled it since it was looked at.
fn full(disks: &[Disk], order: &Order<'_>, needed: u64) -> Result<Disk, Failure> {
    let now: Vec<Disk> = disks.iter().map(Disk::again).collect::<Result<_, _>>()?;
    let full = Disk::for_all_of(&now, needed).into_iter().min_by_key(|disk| disk.free);
    let mut full = full.ok_or_else(|| Failure::failed("find out where the copy goes"))?;
    full.free += full.filled(order.partial);
    Ok(full)
}

fn explain(invocation: &Invocation, told: &Completed) -> Failure {
    let failure = invocation.failure(told);
    match way_out(&told.stderr) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn invocation(order: &Order<'_>) -> Result<Invocation, Failure> {
    let Order { cluster, source, arguments, .. } = order;
    let (program, version) = programs::client("pg_basebackup", cluster.major)?;
    let checkpoint = match arguments.checkpoint {
        Checkpoint::Fast => "fast",
        Checkpoint::Spread => "spread",
    };
    let wal_method = match arguments.wal_method {
        WalMethod::Stream => "stream",
        WalMethod::Fetch => "fetch",
    };
    let mut invocation = Invocation::new(program)
        .with_its_children()
        .args(["--no-password", "--no-clean", "--progress", "--wal-method", wal_method, "--checkpoint", checkpoint])
        .args(["--dbname", &way(&source.target, version), "--pgdata"])
        .arg(order.partial);
    // Without streaming nothing would use the slot; and one that is in use can't serve twice.
    let streams = arguments.wal_method == WalMethod::Stream;
    if let Some(slot) = order.slot.filter(|_| streams && !source.slot_is_busy) {
        invocation = invocation.args(["--slot", slot]);
    }
    if let Some(rate) = &arguments.max_rate {
        invocation = invocation.args(["--max-rate", rate]);
    }
    if let Some(method) = &arguments.compress {
        invocation = invocation.args(["--compress", method]);
    }
    Ok(order.parts.iter().fold(invocation, |invocation, part| match &part.what {
        What::DataDirectory => invocation,
        What::Wal => invocation.arg("--waldir").arg(&part.folder),
        What::Tablespace(primary) if *primary == part.folder => invocation,
        What::Tablespace(primary) => {
            let mapping = TablespaceMapping { old: primary.clone(), new: part.folder.clone() };
            invocation.arg("--tablespace-mapping").arg(mapping.argument())
        }
    }))
}

/// The replication connection, without a database: `pg_basebackup` names its own. It only listens, so without these
/// keepalives it would wait for hours where the network has gone silent; what the user says goes first. While an answer
/// of the one that receives the write-ahead log is on its way, no keepalive is sent, and what limits that (libpq 12 and
/// newer) would also beat the user's keepalives.
fn way(target: &Target, libpq: u32) -> String {
    let mut pairs = target.parameters();
    pairs.retain(|(key, _)| *key != "dbname");
    if libpq >= 12 && target.keepalives.is_empty() {
        pairs.push(("tcp_user_timeout", "60000".into()));
    }
    for (key, value) in NOTICES_SILENCE {
        if !pairs.iter().any(|(said, _)| *said == key) {
            pairs.push((key, value.to_owned()));
        }
    }
    pairs.iter().map(|(key, value)| format!("{key}={}", quote_value(value))).collect::<Vec<_>>().join(" ")
}

/// What libpq and `pg_basebackup` say where the primary, or the way there, is gone.
const GONE: [&str; 5] = [
    "could not receive data",
    "could not send data",
    "server closed the connection",
    "COPY stream ended",
    "terminating connection",
];

/// A primary that is gone is worth another try.
fn with_retry(failure: Failure, target: &Target, said: &str) -> Failure {
    if !GONE.iter().any(|words| said.contains(words)) {
        return failure;
    }
    let Target { host, port, .. } = target;
    Failure { code: Code::GaveUp, ..failure }
        .hint(format!("run it again once the primary answers: pg_isready -h {host} -p {port}"))
}

fn way_out(said: &str) -> Option<&'static str> {
    let slot = said.contains("replication slot \"");
    [
        (slot && said.contains("does not exist"), "add --create-slot, or name another: --slot NAME"),
        (slot && said.contains("is active"), "another standby uses that slot; name another: --slot NAME --create-slot"),
        (said.contains("compression"), "leave --compress out, or try another method: --compress gzip"),
        (
            said.contains("has already been removed"),
            "leave --wal-method out: what is streamed meanwhile can't be removed",
        ),
    ]
    .into_iter()
    .find_map(|(is_so, hint)| is_so.then_some(hint))
}
