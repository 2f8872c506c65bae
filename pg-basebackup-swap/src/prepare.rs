//! What every verb does first: find the cluster, exclude others, and put in order what an earlier run left.
//!
//! What must always hold: with `--check` nothing is put in order either.

use crate::changeover;
use crate::give_up;
use crate::marker::Marker;
use crate::places::{Places, in_parent};
use crate::private_server;
use pg_runbook::cluster::{State, plain};
use pg_runbook::owner::{self, Owner};
use pg_runbook::{Attempt, Cluster, Failure, Journal, Run, durable_file};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// It was told to stop when its tool died.
const LEFTOVER_ENDS_WITHIN: Duration = Duration::from_secs(60);

/// The cluster, locked, and what an earlier run left put in order.
pub fn take(run: &mut Run) -> Result<(Cluster, Places), Failure> {
    take_and_tell(run).map(|(cluster, places, _)| (cluster, places))
}

/// The same, with the verb of an earlier run that was cut off and is finished now.
pub fn take_and_tell(run: &mut Run) -> Result<(Cluster, Places, Option<String>), Failure> {
    if let Some(folder) = named_folder(run) {
        put_back_what_lies_aside(run, &folder)?;
    }
    let mut cluster = run.cluster()?;
    put_back_what_lies_aside(run, &cluster.data_directory.clone())?;
    if cluster.state == State::Unknown {
        return Err(Failure::failed(format!("look into {}: permission denied", cluster.data_directory.display()))
            .hint(format!("sudo pg-basebackup-swap …, or sudo -u {} pg-basebackup-swap …", cluster.owner)));
    }
    run.lock(&cluster)?;
    cluster.refresh();
    run.set_cluster(&cluster);
    let places = Places::of(&cluster)?;
    let mut finished = None;
    if !run.check() {
        private_server::end_leftover(run, &places.incoming(), LEFTOVER_ENDS_WITHIN)?;
        finished = changeover::end_what_was_cut_off(run, &mut cluster, &places)?;
        put_in_order(run, &places)?;
        give_up::take_back_what_was_only_announced(run, &mut cluster, &places)?;
    } else if let Some(journal) = Journal::of(&places.data)? {
        run.warn(format!("{}; without --check, that is ended first", journal.describe()));
    }
    Ok((cluster, places, finished))
}

fn named_folder(run: &Run) -> Option<PathBuf> {
    if run.common.cluster.is_some() {
        return None;
    }
    let variable = || std::env::var_os("PGDATA").filter(|value| !value.is_empty()).map(PathBuf::from);
    run.common.pgdata.clone().or_else(variable)
}

/// Where a link to the data directory leads, also while nothing is there.
fn real(folder: &Path) -> PathBuf {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    std::fs::canonicalize(&folder).unwrap_or_else(|_| match std::fs::read_link(&folder) {
        Ok(leads) => folder.parent().unwrap_or(Path::new("/")).join(leads),
        Err(_) => folder,
    })
}

/// Between two renames nothing has the data directory's name; what was begun is ended from where a directory has.
fn put_back_what_lies_aside(run: &mut Run, folder: &Path) -> Result<(), Failure> {
    let folder = real(folder);
    let aside = plain::aside(&folder);
    let lies_aside = |folder: &Path| !folder.exists() && aside.join("PG_VERSION").exists();
    let there = if lies_aside(&folder) { &aside } else { &folder };
    if run.check() || !lies_aside(&folder) && !plain::entries_are_changing_places(&folder) {
        return Ok(());
    }
    let uid = std::fs::metadata(there).attempt(|| format!("look at {}", there.display()))?.uid();
    owner::act_as(&Owner::of_uid(uid)?)?;
    run.lock_folder(there)?;
    match Journal::of(&folder)? {
        Some(journal) if lies_aside(&folder) || plain::entries_are_changing_places(&folder) => {
            changeover::settle(&Places::at(folder), &journal)
        }
        _ => Ok(()),
    }
}

/// With `--check`, steps before that would change the primary make it useless to ask.
pub fn only_planned(run: &mut Run, cluster: &Cluster) -> bool {
    let planned = run.follows_plans();
    if planned {
        run.message(format!(
            "would look whether {} needs a copy (the primary was not asked: steps before are only planned)",
            cluster.title()
        ));
    }
    planned
}

/// What a run that was killed in between left: names first, then the exchange, then the note taken out.
fn put_in_order(run: &Run, places: &Places) -> Result<(), Failure> {
    if Marker::of(&places.data)?.is_some() {
        Marker::take_out(&places.data)?;
    }
    // Cut off between the second and the third of three renames.
    let aside = plain::aside(&places.data);
    if aside.join("PG_VERSION").exists() {
        let kept = places.next_previous(SystemTime::now());
        run.say(&format!("{} is an old data directory; it is kept as {}", aside.display(), kept.display()));
        in_parent(places, || durable_file::rename(&aside, &kept))?;
    }
    for kept in places.kept() {
        if Marker::of(&kept)?.is_some() && !places.incoming().exists() {
            run.say(&format!("{} is a copy that was not installed", kept.display()));
            in_parent(places, || durable_file::rename(&kept, &places.incoming()))?;
        }
    }
    let incoming = places.incoming();
    if incoming.exists() && Marker::of(&incoming)?.is_none() {
        return Err(Failure::refused(format!("{} is not a copy that this tool made", incoming.display()))
            .because("it has no note of where it came from")
            .hint("look what it is, and move it away"));
    }
    Ok(())
}
