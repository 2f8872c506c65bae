//! What every verb does first: find the cluster, exclude others, and put in order what an earlier run left.
//!
//! What must always hold: with `--check` nothing is put in order either.

use crate::marker::Marker;
use crate::places::{Places, in_parent};
use pg_runbook::cluster::{State, plain};
use pg_runbook::{Cluster, Failure, Run, durable_file};
use std::time::SystemTime;

/// The cluster, locked, and what an earlier run left put in order.
pub fn take(run: &mut Run) -> Result<(Cluster, Places), Failure> {
    let mut cluster = run.cluster()?;
    if cluster.state == State::Unknown {
        return Err(Failure::failed(format!("look into {}: permission denied", cluster.data_directory.display()))
            .hint(format!("sudo pg-basebackup-swap …, or sudo -u {} pg-basebackup-swap …", cluster.owner)));
    }
    run.lock(&cluster)?;
    cluster.refresh();
    run.set_cluster(&cluster);
    let places = Places::of(&cluster)?;
    if !run.check() {
        put_in_order(run, &places)?;
    }
    Ok((cluster, places))
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
