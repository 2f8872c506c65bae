//! The copy: fetched beside the data directory, made a standby, checked, synced.
//!
//! What must always hold: the data directory and its server are not touched; a copy gets its final name only when it is
//! complete and could not come up as a primary.

use crate::args::{Checkpoint, FetchArguments, FetchVerb};
use crate::inspect::{self, Source, Standing};
use crate::marker::Marker;
use crate::places::{self, Places};
use crate::progress::{self, Bar};
use crate::{own_files, prepare, standby_settings};
use nix::sys::statvfs::statvfs;
use pg_runbook::cluster::{major_of, programs, system_identifier};
use pg_runbook::configuration::ALTER_SYSTEM_FILE;
use pg_runbook::document::{Act, Change};
use pg_runbook::invocation::{Completed, Invocation, last_lines, shell_word};
use pg_runbook::server::parameters::quote_value;
use pg_runbook::{Attempt, Cluster, Failure, Run, durable_file};
use std::path::Path;
use std::time::{Instant, SystemTime};

const FETCH: Act = Act { plain: "fetch a copy of", past: "fetched a copy of" };

/// `pg-basebackup-swap fetch`
pub fn fetch(run: &mut Run, arguments: &FetchVerb) -> Result<(), Failure> {
    let (mut cluster, places) = prepare::take(run)?;
    if prepare::only_planned(run, &cluster) {
        return Ok(());
    }
    let source = Source::find(run, &cluster, &arguments.fetch)?;
    source.refuse_itself(&cluster)?;
    if inspect::judge(run, &mut cluster, source.system_identifier(), &arguments.replaced)? == Standing::Streams {
        run.message(format!(
            "{} already streams from this primary; nothing to fetch (--force fetches all the same)",
            cluster.title()
        ));
        return Ok(());
    }
    bring(run, &cluster, &places, &source, &arguments.fetch)?;
    let verb = if run.check() { "would be fetched" } else { "is ready" };
    run.message(format!("a copy for {} {verb}: {}", cluster.title(), places.incoming().display()));
    Ok(())
}

/// Brings a complete copy to [`Places::incoming`]; with `--check` only says so.
pub fn bring(
    run: &mut Run,
    cluster: &Cluster,
    places: &Places,
    source: &Source,
    arguments: &FetchArguments,
) -> Result<(), Failure> {
    source.refuse_what_does_not_fit(cluster)?;
    places::refuse_a_parent_out_of_reach(cluster, places)?;
    inspect::refuse_what_cannot_be_exchanged(cluster, places, arguments)?;
    inspect::refuse_what_would_promote(cluster)?;
    inspect::check_bounds(run, cluster, source)?;
    let change = Change::act("base_backup", source.target.address(), FETCH).at(places.incoming(), None);
    if run.check() {
        run.change(change);
        return Ok(());
    }
    let begun = Instant::now();
    clear(run, places)?;
    let partial = places.next_partial(SystemTime::now());
    durable_file::make_owners_folder(&partial)?;
    let copied =
        copy(run, cluster, &partial, source, arguments).and_then(|()| make_standby(cluster, places, &partial, source));
    if let Err(failure) = copied {
        remove(places, &partial)?;
        return Err(failure);
    }
    let bytes = size(&partial);
    let marker = Marker {
        system_identifier: source.system_identifier().to_owned(),
        timeline: source.primary.timeline.unwrap_or_default(),
        source: source.target.address(),
        fetched_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        bytes,
        started: false,
    };
    marker.put(&partial)?;
    durable_file::sync(&partial)?;
    places::in_parent(places, || durable_file::rename(&partial, &places.incoming()))?;
    let seconds = (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    run.fact("fetch", &serde_json::json!({ "directory": places.incoming(), "bytes": bytes, "seconds": seconds }));
    run.change(change.remark(format!("{} MB in {seconds:.1} s", bytes / 1_000_000)));
    Ok(())
}

/// Only what this project made is removed: a copy cut off, and one that was never installed.
fn clear(run: &Run, places: &Places) -> Result<(), Failure> {
    let cut_off = places.partial().into_iter().map(|folder| (folder, "a copy that was cut off"));
    for (folder, what) in cut_off.chain([(places.incoming(), "an earlier copy")]) {
        if folder.exists() {
            run.say(&format!("removing {what}: {}", folder.display()));
            remove(places, &folder)?;
        }
    }
    Ok(())
}

/// A copy, and the write-ahead log that was put elsewhere for it (`--waldir`, into a folder that was new or empty).
fn remove(places: &Places, copy: &Path) -> Result<(), Failure> {
    let link = copy.join("pg_wal");
    let elsewhere = std::fs::read_link(&link).ok().filter(|folder| folder.is_absolute() && holds_only_wal(folder));
    if let Some(folder) = elsewhere
        && std::fs::canonicalize(&folder).ok() != std::fs::canonicalize(places.data.join("pg_wal")).ok()
    {
        durable_file::empty_folder(&folder)?;
        // The folder above may be root's; an empty one is as good as none.
        let _ = durable_file::remove_empty_folder(&folder);
    }
    places::in_parent(places, || durable_file::remove_tree(copy))
}

/// Segments (24 hexadecimal digits, `.partial`, `.backup`), timeline histories and folders of the server's own.
fn holds_only_wal(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().all(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let number = name.split('.').next().unwrap_or_default();
        matches!(name.as_str(), "archive_status" | "summaries")
            || matches!(number.len(), 8 | 24) && number.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

fn copy(
    run: &Run,
    cluster: &Cluster,
    partial: &Path,
    source: &Source,
    arguments: &FetchArguments,
) -> Result<(), Failure> {
    let (program, _) = programs::client("pg_basebackup", cluster.major)?;
    let checkpoint = match arguments.checkpoint {
        Checkpoint::Fast => "fast",
        Checkpoint::Spread => "spread",
    };
    let mut invocation = Invocation::new(program)
        .with_its_children()
        .args([
            "--wal-method=stream",
            "--no-password",
            "--progress",
            "--checkpoint",
            checkpoint,
            "--dbname",
            &way(source),
            "--pgdata",
        ])
        .arg(partial);
    if let Some(slot) = source.slot.as_ref().filter(|_| !source.slot_is_busy) {
        invocation = invocation.args(["--slot", slot]);
    }
    if let Some(rate) = &arguments.max_rate {
        invocation = invocation.args(["--max-rate", rate]);
    }
    if let Some(folder) = &arguments.waldir {
        invocation = invocation.arg("--waldir").arg(std::path::absolute(folder).unwrap_or_else(|_| folder.clone()));
    }
    invocation = arguments
        .tablespace_mapping
        .iter()
        .fold(invocation, |invocation, mapping| invocation.args(["--tablespace-mapping", mapping]));
    let free = free_bytes(partial)?;
    let bar = Bar::new(run.common.quiet);
    let mut other_lines = String::new();
    let mut expected = 0;
    let completed = invocation.watch(&mut |line| {
        let Some(progress) = progress::parse(line) else {
            other_lines.push_str(line);
            other_lines.push('\n');
            return Ok(());
        };
        bar.show(progress);
        expected = progress.total;
        if progress.total > free { Err(too_large(cluster, partial, progress.total, free)) } else { Ok(()) }
    })?;
    drop(bar);
    if completed.status.success() {
        return Ok(());
    }
    let told = Completed { stderr: other_lines, ..completed };
    if told.stderr.contains("No space left on device") {
        // A small copy is at its end before it says how large it is; then the old one is the measure.
        let needed = if expected == 0 { size(&cluster.data_directory) } else { expected };
        return Err(too_large(cluster, partial, needed, free).because(last_lines(&told.stderr, 3)));
    }
    Err(invocation.failure(&told).while_doing(format!(
        "the copy from {} failed; {} is untouched",
        source.target.address(),
        cluster.title()
    )))
}

/// The replication connection, without a database: `pg_basebackup` names its own.
fn way(source: &Source) -> String {
    let pairs = source.target.parameters().into_iter().filter(|(key, _)| *key != "dbname");
    pairs.map(|(key, value)| format!("{key}={}", quote_value(&value))).collect::<Vec<_>>().join(" ")
}

fn too_large(cluster: &Cluster, partial: &Path, total: u64, free: u64) -> Failure {
    let folder = shell_word(partial.parent().unwrap_or(partial).as_os_str());
    let megabytes = |bytes: u64| bytes / 1_000_000;
    Failure::refused(format!(
        "the copy needs {} MB and the WAL that is written meanwhile, and {} MB are free beside {}",
        megabytes(total),
        megabytes(free),
        partial.display()
    ))
    .because("the old directory is kept until the new one streams, so both must fit")
    .hint(format!("df -h {folder}; and what may be removed there: pg-basebackup-swap status {}", cluster.option()))
}

fn free_bytes(folder: &Path) -> Result<u64, Failure> {
    let found = statvfs(folder).attempt(|| format!("ask how much is free beside {folder:?}"))?;
    Ok(found.blocks_available() * found.fragment_size())
}

/// The standby's own configuration, the way to its primary, and the signal; then all that must be so is looked at.
fn make_standby(cluster: &Cluster, places: &Places, partial: &Path, source: &Source) -> Result<(), Failure> {
    own_files::keep(cluster, &places.data, partial)?;
    let own = durable_file::read(&places.data.join(ALTER_SYSTEM_FILE))?.unwrap_or_default();
    standby_settings::write(partial, cluster.major, &own, &source.target, source.slot.as_deref())?;
    refuse_what_is_no_standby(partial, cluster.major, source.system_identifier())
}

/// What is installed must not come up as a primary, nor as somebody else's standby.
pub fn refuse_what_is_no_standby(copy: &Path, major: u32, system: &str) -> Result<(), Failure> {
    let signal = standby_settings::signal_file(major);
    let found = system_identifier(copy).unwrap_or_default();
    let started = Marker::of(copy)?.is_some_and(|marker| marker.started);
    let faults = [
        (!copy.join(signal).is_file(), format!("it has no {signal}")),
        (!copy.join("backup_label").is_file() && !started, "it has no backup_label".to_owned()),
        (found != system, format!("it is of the system {found}, not {system}")),
        (major_of(copy) != Some(major), format!("it is not of version {major}")),
    ];
    let Some((_, fault)) = faults.into_iter().find(|(faulty, _)| *faulty) else { return Ok(()) };
    Err(Failure::failed(format!("the copy {} can't be installed: {fault}", copy.display()))
        .hint("pg-basebackup-swap run, for a new copy"))
}

/// The size of all files below a folder; what vanishes meanwhile counts as nothing.
#[must_use]
pub fn size(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => size(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}
