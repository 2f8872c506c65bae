//! `rollback`: the directory that the last swap took out is put back, by the same changeover.
//!
//! What must always hold: only what a swap put in place is taken out, and only for the directory that went out for it; a
//! second run changes nothing. What holds writes that no other server has (a standby that was promoted since) stays, and
//! nothing is put back that would come up as a primary.

use crate::args::RollbackArguments;
use crate::changeover::{self, Plan};
use crate::inspect;
use crate::install::refuse_what_would_fail_later;
use crate::notes::{Installed, Kept, Note};
use crate::places::{self, Places};
use crate::{outside, prepare, standby_settings};
use pg_runbook::cluster::{Role, major_of, postmaster, system_identifier};
use pg_runbook::document::{Act, Change};
use pg_runbook::{Cluster, Failure, GivenUp, Run, standby};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const ROLL_BACK: Act = Act { plain: "put back the old directory of", past: "put back the old directory of" };

/// `pg-basebackup-swap rollback`
pub fn rollback(run: &mut Run, arguments: &RollbackArguments) -> Result<(), Failure> {
    let (mut cluster, places) = prepare::take(run)?;
    let change = Change::act("data_directory", cluster.title(), ROLL_BACK).at(&places.data, None);
    let installed = Installed::of(&places.data)?.ok_or_else(|| not_from_a_swap(&cluster, &places))?;
    if installed.by == "rollback" {
        run.message(format!("{} is back on its old directory, since {}", cluster.title(), installed.at));
        return Ok(());
    }
    let kept = belongs_to(&cluster, &places, &installed)?;
    refuse_what_must_not_come_back(&cluster, &places, &kept)?;
    refuse_what_would_fail_later(&cluster, &places)?;
    if run.check() {
        run.change(change.remark(kept.display().to_string()));
        run.message(format!("would put {} back as {}", kept.display(), cluster.title()));
        return Ok(());
    }
    let system = system_identifier(&kept).unwrap_or_default();
    let plan = Plan {
        verb: "rollback",
        comes_from: kept,
        goes_to: places.next_rolled_back(SystemTime::now()),
        system: &system,
        // It is what it was: it may be too old to come as far.
        timeline: 0,
        position: None,
        timeout: arguments.timeout,
        keep_for: None,
    };
    let done = changeover::carry_out(run, &mut cluster, &places, &plan)?;
    let out = plan.goes_to.display();
    done.tell(run, &cluster, "is back on its old directory", "is back on its old directory");
    run.fact("kept", &plan.goes_to);
    run.account(format!("the directory that was taken out is kept: {out}"));
    run.change(change.remark(format!("the one that was taken out is kept: {out}")));
    Ok(())
}

fn not_from_a_swap(cluster: &Cluster, places: &Places) -> Failure {
    Failure::refused(format!("{} is not what a swap installed, so there is nothing to go back from", cluster.title()))
        .because(format!("{} is not there", places.data.join(Installed::FILE).display()))
        .hint(format!("what lies beside it: pg-basebackup-swap status {}", cluster.option()))
}

/// The directory that went out for the present one.
fn belongs_to(cluster: &Cluster, places: &Places, installed: &Installed) -> Result<PathBuf, Failure> {
    let kept = places.sibling(&installed.kept);
    let told = if installed.kept.contains('/') { None } else { Kept::of(&kept)? };
    if told.is_some_and(|kept| kept.at == installed.at) {
        return Ok(kept);
    }
    let option = cluster.option();
    let way_out = match cluster.role {
        Some(Role::Primary) => format!("pg-cluster status {option}"),
        _ => format!("a new copy of the primary: pg-basebackup-swap run {option} --force"),
    };
    Err(Failure::refused(format!("there is no old directory to put back as {}", cluster.title()))
        .because(format!("the swap of {} kept {}, which is not there any more", installed.at, kept.display()))
        .hint(way_out))
}

fn refuse_what_must_not_come_back(cluster: &Cluster, places: &Places, kept: &Path) -> Result<(), Failure> {
    let promoted = cluster.role == Some(Role::Primary) || standby::processes(cluster).in_recovery == Some(false);
    if promoted {
        return Err(Failure::refused(format!("{} was promoted since the swap", cluster.title()))
            .because("what was written to it since then is nowhere else")
            .hint(format!("pg-cluster status {}", cluster.option())));
    }
    outside::refuse_what_is_shared(&places.data, kept)?;
    let signal = standby_settings::signal_file(cluster.major);
    let (own, its) = (system_identifier(&places.data).unwrap_or_default(), system_identifier(kept).unwrap_or_default());
    let faults = [
        (GivenUp::of(kept)?.is_some(), "its data was given up (--space replace)".to_owned()),
        (!kept.join(signal).is_file(), format!("it would come up as a primary: it has no {signal}")),
        (own != its, format!("it is of the system {its}, not {own}")),
        (major_of(kept) != Some(cluster.major), format!("it is not of version {}", cluster.major)),
        (postmaster::look(kept).process().is_some(), "a server runs in it".to_owned()),
    ];
    if let Some((_, fault)) = faults.into_iter().find(|(faulty, _)| *faulty) {
        return Err(Failure::refused(format!("{} can't be put back: {fault}", kept.display()))
            .hint(format!("it stays until it is let go: pg-basebackup-swap commit {}", cluster.option())));
    }
    inspect::refuse_what_would_promote(&places::as_if_in(cluster, kept))
}
