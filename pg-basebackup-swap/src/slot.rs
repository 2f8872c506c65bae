//! The replication slot that a run makes for its standby.
//!
//! What must always hold: a slot that was made is dropped where no copy came of it, by the run that made it or, where
//! that was killed, by the next; for one that nobody uses keeps the primary's WAL until its disk is full. A slot that was
//! there stays.

use crate::args::FetchArguments;
use crate::footprint::{self, Footprint, MadeSlot};
use crate::places::Places;
use crate::source::Source;
use pg_runbook::document::{Act, Change};
use pg_runbook::{Failure, Run, service, signals};
use std::time::Duration;

const MAKE: Act = Act { plain: "make the replication slot", past: "made the replication slot" };
const DROP: Act = Act { plain: "drop the replication slot", past: "dropped the replication slot" };

/// The walsender that used it ends within moments.
const FREED_WITHIN: Duration = Duration::from_secs(10);

/// What would be done, as far as that can be told.
pub fn plan(places: &Places, source: &Source, arguments: &FetchArguments) -> Result<Vec<Change>, Failure> {
    let left = Footprint::of(places)?.slot.filter(|left| left.primary == source.target.address());
    let (used, unused): (Vec<_>, Vec<_>) = left.into_iter().partition(|left| is_used(left, source));
    let made = to_be_made(source, arguments, !used.is_empty());
    Ok(unused.iter().map(dropped).chain(made).collect())
}

fn to_be_made(source: &Source, arguments: &FetchArguments, anew: bool) -> Option<Change> {
    let missing = anew || source.slot_is_there != Some(true);
    let slot = source.slot.as_ref().filter(|_| arguments.create_slot && missing)?;
    Some(Change::act("replication_slot", slot, MAKE))
}

fn dropped(left: &MadeSlot) -> Change {
    Change::act("replication_slot", &left.name, DROP).remark("a run that was cut off had made it")
}

fn is_used(left: &MadeSlot, source: &Source) -> bool {
    source.slot.as_ref() == Some(&left.name) && source.target.address() == left.primary
}

/// Makes it where it isn't there; the change where this run made it. What a run that was killed had made is dropped
/// first, also where it is made anew: what was killed with that run may still use it.
pub fn make(
    run: &mut Run,
    places: &Places,
    source: &Source,
    arguments: &FetchArguments,
) -> Result<Option<Change>, Failure> {
    let mut anew = false;
    if let Some(left) = Footprint::of(places)?.slot {
        if !is_used(&left, source) {
            drop_what_is_left(run, source, &left);
        } else if arguments.create_slot {
            drop_when_free(source, &left.name)?;
            anew = true;
        }
        footprint::made(places, None)?;
    }
    let (Some(change), Some(name)) = (to_be_made(source, arguments, anew), source.slot.clone()) else {
        return Ok(None);
    };
    if !source.walsender()?.create_slot(&name)? {
        return Ok(None);
    }
    match footprint::made(places, Some(MadeSlot { name, primary: source.target.address() })) {
        Ok(()) => Ok(Some(change)),
        Err(failure) => Err(take_back(places, source, Some(&change), failure)),
    }
}

/// Nothing here depends on it, so a failure is only told.
fn drop_what_is_left(run: &mut Run, source: &Source, left: &MadeSlot) {
    let MadeSlot { name, primary } = left;
    if *primary != source.target.address() {
        let way_out = by_hand(name);
        return run.warn(format!("a run that was cut off made the replication slot {name} at {primary}; {way_out}"));
    }
    match drop_when_free(source, name) {
        Ok(true) => run.change(dropped(left)),
        Ok(false) => {}
        Err(failure) => {
            run.warn(format!("the replication slot {name} of a run that was cut off is still there: {failure}"));
        }
    }
}

/// Drops what this run made, because of a failure, which is told with it where the slot can't be dropped.
#[must_use]
pub fn take_back(places: &Places, source: &Source, made: Option<&Change>, failure: Failure) -> Failure {
    let (Some(_), Some(slot)) = (made, &source.slot) else { return failure };
    // Also where a signal ended the copy.
    let _shield = signals::Shield::raise();
    match drop_when_free(source, slot) {
        Ok(_) => match footprint::made(places, None) {
            Ok(()) => failure,
            Err(second) => failure.because(format!("and then: {second}")),
        },
        Err(second) => failure
            .because(format!("the replication slot {slot} that was made for it is still on the primary: {second}"))
            .hint(by_hand(slot)),
    }
}

fn by_hand(slot: &str) -> String {
    format!("on the primary: psql -c \"SELECT pg_drop_replication_slot('{slot}')\"")
}

/// Drops it as soon as nobody uses it any more; `false` where it is gone already.
fn drop_when_free(source: &Source, slot: &str) -> Result<bool, Failure> {
    let walsender = source.walsender()?;
    let mut last = Ok(());
    service::await_condition(FREED_WITHIN, "while the slot is freed", || {
        last = walsender.drop_slot(slot);
        last.as_ref().err().is_none_or(is_gone)
    })?;
    match last {
        Ok(()) => Ok(true),
        Err(failure) if is_gone(&failure) => Ok(false),
        Err(failure) => Err(failure),
    }
}

fn is_gone(failure: &Failure) -> bool {
    failure.causes.iter().any(|cause| cause.contains("does not exist"))
}
