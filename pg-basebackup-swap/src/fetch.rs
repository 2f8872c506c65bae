//! The copy: fetched beside the data directory, made a standby, checked, synced.
//!
//! What must always hold: the data directory and its server are not touched; a copy gets its final name only when it is
//! complete and could not come up as a primary.

use crate::args::{ConfigOf, FetchArguments, FetchVerb, Space};
use crate::copy::{self, copy};
use crate::footprint::{self, Footprint};
use crate::inspect::{self, Situation, Standing};
use crate::marker::Marker;
use crate::places::{self, Places};
use crate::room::{self, Disk, Part, What, nearest};
use crate::size::size;
use crate::source::Source;
use crate::verify::{self, Verified};
use crate::{destinations, entries, give_up, orphans, outside, own_files, preflight, prepare, slot, standby_settings};
use pg_runbook::cluster::{major_of, system_identifier};
use pg_runbook::configuration::ALTER_SYSTEM_FILE;
use pg_runbook::document::{Act, Change};
use pg_runbook::durable_file::FileSystems;
use pg_runbook::{Cluster, Failure, GivenUp, Run, durable_file};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

const FETCH: Act = Act { plain: "fetch a copy of", past: "fetched a copy of" };

/// `pg-basebackup-swap fetch`
pub fn fetch(run: &mut Run, arguments: &FetchVerb) -> Result<(), Failure> {
    let (mut cluster, places) = prepare::take(run)?;
    if prepare::only_planned(run, &cluster) {
        return Ok(());
    }
    let situation = Situation::look(run, &mut cluster, &arguments.fetch, &arguments.replaced)?;
    if let Some(Standing::Streams(from)) = situation.standing() {
        run.message(format!(
            "{} already streams from {}; nothing to fetch (--force fetches all the same)",
            cluster.title(),
            from.as_deref().unwrap_or("this primary")
        ));
        return Ok(());
    }
    bring(run, &mut cluster, &places, situation, &arguments.fetch, Duration::ZERO)?;
    let verb = if run.check() { "would be fetched" } else { "is ready" };
    run.message(format!("a copy for {} {verb}: {}", cluster.title(), places.incoming().display()));
    Ok(())
}

/// Brings a complete copy to [`Places::incoming`], where nothing stands in its way; with `--check` only says so. A server
/// whose data is given up for it may take until `stop_limit` to stop.
pub fn bring(
    run: &mut Run,
    cluster: &mut Cluster,
    places: &Places,
    situation: Situation,
    arguments: &FetchArguments,
    stop_limit: Duration,
) -> Result<Source, Failure> {
    let space = situation.space;
    let (source, parts) = preflight::pass(run, cluster, places, situation, arguments)?;
    let change = Change::act("base_backup", source.target.address(), FETCH).at(places.incoming(), None);
    if run.check() {
        for slot in slot::plan(places, &source, arguments)? {
            run.change(slot);
        }
        if space == Space::Replace {
            run.change(give_up::change(cluster, places));
        }
        run.change(change);
        return Ok(source);
    }
    // Before what was cut off is removed: a process that was cut off with it may still write under its name.
    let partial = places.next_partial(SystemTime::now());
    clear(run, places)?;
    let slot = slot::make(run, places, &source, arguments)?;
    let used = source.slot.as_deref();
    let (parts, partial) = (&parts[..], partial.as_path());
    let order =
        Order { cluster: &cluster.clone(), places, parts, partial, source: &source, slot: used, arguments, space };
    refuse_what_would_not_fit(&order)
        .and_then(
            |()| if space == Space::Replace { give_up::give_up(run, cluster, places, stop_limit) } else { Ok(()) },
        )
        .map_err(|failure| slot::take_back(places, &source, slot.as_ref(), failure))?;
    let begun = Instant::now();
    let (bytes, verified) = complete(run, &order)
        .map_err(|failure| slot::take_back(places, &source, slot.as_ref(), failure))
        .map_err(|failure| if space == Space::Replace { without_old_data(cluster, failure) } else { failure })?;
    if let Some(slot) = slot {
        run.change(slot);
    }
    let seconds = verify::rounded(begun);
    run.change(change.remark(format!("{} MB in {seconds:.1} s, {}", bytes / 1_000_000, verified.remark())));
    run.fact("fetch", &Fetched { directory: places.incoming(), bytes, seconds, verified });
    Ok(source)
}

/// A copy that was made, as the document has it under `fetch`.
#[derive(Serialize, JsonSchema)]
pub struct Fetched {
    /// Where it lies until it is installed.
    directory: PathBuf,
    /// Its size in bytes.
    bytes: u64,
    /// How long it took, with its verification, in seconds.
    seconds: f64,
    /// How it was verified.
    verified: Verified,
}

/// A copy that is to be made: all that it takes.
pub struct Order<'a> {
    /// For which cluster.
    pub cluster: &'a Cluster,
    /// Beside which data directory.
    pub places: &'a Places,
    /// Where its parts go.
    pub parts: &'a [Part],
    /// Where the data directory's part is until it is complete.
    pub partial: &'a Path,
    /// Of which primary.
    pub source: &'a Source,
    /// With which slot.
    pub slot: Option<&'a str>,
    /// How.
    pub arguments: &'a FetchArguments,
    /// What became of the old data.
    pub space: Space,
}

fn without_old_data(cluster: &Cluster, failure: Failure) -> Failure {
    let option = cluster.option();
    failure
        .while_doing(format!("{} is down, its old data is given up, and the copy has not come", cluster.title()))
        .hint(format!("once the cause is mended: pg-basebackup-swap run {option}"))
}

/// The primary's own word says before whether its copy will fit: where the old data is given up for it, which is nowhere
/// else; and where by the old standby's size it would fill the disk, for then that standby could not go on either.
fn refuse_what_would_not_fit(order: &Order<'_>) -> Result<(), Failure> {
    let is_kept = order.space == Space::Keep;
    if is_kept && !Disk::all(order.parts, order.space)?.iter().any(Disk::is_too_small) {
        return Ok(());
    }
    make_folders(order)?;
    let told = copy::announced_size(order);
    let outside = destinations::leftovers(order.places)?;
    places::in_parent(order.places, || durable_file::remove_tree(order.partial))?;
    destinations::empty(order.places, &outside)?;
    let announced = match told {
        Ok(announced) => announced,
        // The copy itself will fail of the same, and tell more.
        Err(_) if is_kept => return Ok(()),
        Err(failure) => return Err(failure),
    };
    let data = &order.places.data;
    let role = &order.source.target.user;
    let disks = match order.space {
        Space::Keep => Disk::all(order.parts, order.space)?,
        Space::Replace => Disk::all_without_old_data(order.parts, data)?,
    };
    // What is given up already can't be lost.
    let must_be_sure = !is_kept && GivenUp::of(data)?.is_none();
    if must_be_sure && announced.tablespaces > room::tablespaces(order.parts) {
        return Err(unknown_tablespaces(order.cluster, role));
    }
    let refusal = |disk: &Disk| disk.refusal(order.cluster, role, must_be_sure);
    Disk::for_all_of(&disks, announced.bytes).iter().find_map(refusal).map_or(Ok(()), Err)
}

fn unknown_tablespaces(cluster: &Cluster, role: &str) -> Failure {
    Failure::refused(format!(
        "the primary has tablespaces that {} has not, and nobody knows where they would go",
        cluster.title()
    ))
    .because("the old data would be gone before that is known")
    .hint(room::asking_by_sql(role))
}

/// Those that the copy fills, written down before.
fn make_folders(order: &Order<'_>) -> Result<(), Failure> {
    let outside: Vec<PathBuf> = order.parts.iter().skip(1).map(|part| part.folder.clone()).collect();
    footprint::fills(order.places, &outside)?;
    durable_file::make_owners_folder(order.partial)?;
    for part in order.parts.iter().filter(|part| part.what == What::Wal && outside::is_staged(&part.folder)) {
        durable_file::make_owners_folder(&part.folder)?;
    }
    Ok(())
}

/// The copy under its final name: its size, and what was compared of it. What a failed one left is removed.
fn complete(run: &mut Run, order: &Order<'_>) -> Result<(u64, Verified), Failure> {
    make_folders(order)?;
    match fill(run, order) {
        // From here on its links tell.
        Ok(done) => Footprint::default().write(order.places).map(|()| done),
        Err(failure) => match clear(run, order.places) {
            Ok(()) => Err(failure),
            Err(second) => Err(failure.because(format!("and what it left could not be removed: {second}"))),
        },
    }
}

fn fill(run: &mut Run, order: &Order<'_>) -> Result<(u64, Verified), Failure> {
    let Order { partial, source, arguments, .. } = order;
    let folders: Vec<&Path> =
        std::iter::once(*partial).chain(order.parts.iter().map(|part| nearest(&part.folder))).collect();
    let synced_at_once = FileSystems::of(&folders)?;
    let tablespaces_then = outside::tablespaces(&order.places.data);
    copy(run, order, synced_at_once.is_none())?;
    // Tablespaces that nobody knew of may lie on yet other file systems.
    let links = outside::links(partial);
    let others = FileSystems::of(&links.iter().map(|link| link.location.as_path()).collect::<Vec<_>>())?;
    let verified = verify::verify(run, order.cluster.major, partial, arguments.verify)?;
    entries::remove_ours(partial)?;
    make_standby(order)?;
    let bytes = size(partial);
    let marker = Marker {
        system_identifier: source.system_identifier().to_owned(),
        timeline: source.primary.timeline.unwrap_or_default(),
        source: source.target.address(),
        fetched_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        bytes,
        tablespaces: destinations::mapped(order.parts, partial),
        has_primarys_configuration: arguments.config == ConfigOf::Primary,
        tablespaces_then,
        started: false,
    };
    marker.put(partial)?;
    for file_systems in [others, synced_at_once].iter().flatten() {
        file_systems.sync()?;
    }
    durable_file::sync(partial)?;
    places::in_parent(order.places, || durable_file::rename(partial, &order.places.incoming()))?;
    Ok((bytes, verified))
}

/// Only what this project made is removed: copies cut off, one that was never installed, and what of them lies outside;
/// that last, so that no copy under its final name ever lacks a part.
fn clear(run: &Run, places: &Places) -> Result<(), Failure> {
    orphans::end(run, places)?;
    let outside = destinations::leftovers(places)?;
    footprint::fills(places, &outside)?;
    let incomplete = places.partial();
    let incoming = places.incoming();
    if incoming.exists() {
        run.say(&format!("removing an earlier copy: {}", incoming.display()));
        // Half of it under its own name would be nobody's copy.
        let going = places.next_partial(SystemTime::now());
        places::in_parent(places, || {
            let renamed = durable_file::rename(&incoming, &going);
            durable_file::remove_tree(&going).and(renamed)
        })?;
    }
    for folder in incomplete {
        run.say(&format!("removing an incomplete copy: {}", folder.display()));
        places::in_parent(places, || durable_file::remove_tree(&folder))?;
    }
    destinations::empty(places, &outside)
}

/// What copies that were cut off have left; whoever has the lock knows that they will not come any more. A complete one
/// stays.
pub fn clear_incomplete(run: &Run, places: &Places) -> Result<(), Failure> {
    orphans::end(run, places)?;
    let outside = destinations::left_by_incomplete(places)?;
    footprint::fills(places, &outside)?;
    for folder in places.partial() {
        places::in_parent(places, || durable_file::remove_tree(&folder))?;
    }
    destinations::empty(places, &outside)
}

/// The standby's own configuration, the way to its primary, and the signal; then all that must be so is looked at.
fn make_standby(order: &Order<'_>) -> Result<(), Failure> {
    let Order { cluster, partial, source, .. } = order;
    let data = &order.places.data;
    let whose = match order.arguments.config {
        ConfigOf::Standby => {
            own_files::keep(cluster, data, partial)?;
            data.as_path()
        }
        ConfigOf::Primary => {
            own_files::keep_command_line(data, partial)?;
            inspect::refuse_what_would_promote(&places::as_if_in(cluster, partial))?;
            partial
        }
    };
    let own = durable_file::read(&whose.join(ALTER_SYSTEM_FILE))?.unwrap_or_default();
    standby_settings::write(partial, cluster.major, &own, &source.target, source.slot.as_deref())?;
    refuse_what_is_no_standby(partial, cluster.major, source.system_identifier())
}

/// What was changed in the standby's own configuration since the copy was fetched is its own too.
pub fn renew(cluster: &Cluster, places: &Places, copy: &Path) -> Result<(), Failure> {
    if Marker::of(copy)?.is_some_and(|marker| marker.has_primarys_configuration) {
        return Ok(());
    }
    own_files::keep(cluster, &places.data, copy)?;
    let own = durable_file::read(&places.data.join(ALTER_SYSTEM_FILE))?.unwrap_or_default();
    standby_settings::renew(copy, cluster.major, &own)
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
