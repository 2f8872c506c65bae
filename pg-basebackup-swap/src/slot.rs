//! The replication slot that a run makes for its standby.
//!
//! What must always hold: a slot that this run made is dropped where no copy came of it, for one that nobody uses keeps
//! the primary's WAL until its disk is full; a slot that was there stays.

use crate::args::FetchArguments;
use crate::source::Source;
use pg_runbook::document::{Act, Change};
use pg_runbook::{Failure, service, signals};
use std::time::Duration;

const MAKE: Act = Act { plain: "make the replication slot", past: "made the replication slot" };

/// The walsender that used it ends within moments.
const FREED_WITHIN: Duration = Duration::from_secs(10);

/// Whether one is to be made, as far as that can be told; the change that says so.
#[must_use]
pub fn plan(source: &Source, arguments: &FetchArguments) -> Option<Change> {
    let slot = source.slot.as_ref().filter(|_| arguments.create_slot && source.slot_is_there != Some(true))?;
    Some(Change::act("replication_slot", slot, MAKE))
}

/// Makes it; the change where it wasn't there.
pub fn make(source: &Source, arguments: &FetchArguments) -> Result<Option<Change>, Failure> {
    let (Some(change), Some(slot)) = (plan(source, arguments), &source.slot) else { return Ok(None) };
    Ok(source.walsender()?.create_slot(slot)?.then_some(change))
}

/// Drops what this run made, because of a failure, which is told with it where the slot can't be dropped.
#[must_use]
pub fn take_back(source: &Source, made: Option<&Change>, failure: Failure) -> Failure {
    let (Some(_), Some(slot)) = (made, &source.slot) else { return failure };
    // Also where a signal ended the copy.
    let _shield = signals::Shield::raise();
    let mut last = None;
    let dropped = source.walsender().and_then(|walsender| {
        service::await_condition(FREED_WITHIN, "while the slot is freed", || match walsender.drop_slot(slot) {
            Ok(()) => true,
            Err(failure) => {
                last = Some(failure);
                false
            }
        })
    });
    if matches!(dropped, Ok(true)) {
        return failure;
    }
    let why = last.map_or_else(String::new, |failure| format!(": {failure}"));
    failure
        .because(format!("the replication slot {slot} that was made for it is still on the primary{why}"))
        .hint(format!("on the primary: psql -c \"SELECT pg_drop_replication_slot('{slot}')\""))
}
