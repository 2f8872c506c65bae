//! `pg-cluster status --watch`: the same look again and again, until somebody asks for an end.
//!
//! What must always hold: between two looks nothing is connected, so no shutdown waits for it; a server that goes away
//! is shown as that, and watched on.

use crate::args::StatusArguments;
use crate::lag;
use crate::status::{self, Seen};
use pg_runbook::cli::Rounds;
use pg_runbook::cli::colour::Mark;
use pg_runbook::cli::table::Cell;
use pg_runbook::lsn::Lsn;
use pg_runbook::signals::{self, Wakeup};
use pg_runbook::{Code, Failure, Run};
use std::time::{Duration, Instant, SystemTime};

/// Watches; with `--max-lag` until what is seen is out of bounds.
pub fn watch(run: &mut Run, arguments: &StatusArguments, every: Duration) -> Result<(), Failure> {
    let mut rounds = Rounds::begin(run)?;
    let mut wakeup = Wakeup::new()?;
    let mut last = None;
    loop {
        let begun = Instant::now();
        let seen = status::look(run, arguments);
        // What was typed wrong will not come right; a server that doesn't answer may.
        if let Err(failure) = seen.as_ref()
            && last.is_none()
            && failure.code != Code::GaveUp
        {
            return Err(failure.clone());
        }
        show(run, seen.as_ref(), last.as_ref().and_then(Option::as_ref));
        let head = format!("{}, every {} s", humantime::format_rfc3339_seconds(SystemTime::now()), every.as_secs_f64());
        if !rounds.show(run, &head)? {
            return Ok(());
        }
        if let Some(limit) = arguments.max_lag {
            let told = seen.as_ref().map_err(|failure| Failure { code: Code::Failed, ..failure.clone() })?;
            told.judge(limit)?;
        }
        last = Some(seen.ok().and_then(|seen| Some((begun, replayed(&seen)?))));
        if signals::arrived().is_some() || !wakeup.pause(begun + every)? {
            return rounds.end();
        }
    }
}

fn replayed(seen: &Seen) -> Option<Lsn> {
    seen.replication.as_ref()?.replayed.as_ref()?.parse().ok()
}

fn show(run: &mut Run, seen: Result<&Seen, &Failure>, last: Option<&(Instant, Lsn)>) {
    match seen {
        Ok(seen) => {
            let rate = last.zip(replayed(seen)).map(|((then, before), now)| rate(now.since(*before), then.elapsed()));
            status::show(run, seen, rate.map(|rate| ("replay rate", rate.into())));
        }
        Err(failure) => {
            run.message(failure.message.clone());
            let details = failure.causes.iter().map(|cause| ("detail", Cell::from(cause.replace('\n', " "))));
            let hint = failure.hint.iter().map(|hint| ("hint", Cell::from(hint.as_str())));
            run.show_list(&details.chain(hint).collect::<Vec<_>>());
        }
    }
    let warnings = std::mem::take(&mut run.document.warnings);
    let warnings =
        warnings.into_iter().map(|text| ("warning", Cell::from(text.replace('\n', " ")).marked(Mark::Warning)));
    run.show_list(&warnings.collect::<Vec<_>>());
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a rate for people")]
fn rate(bytes: u64, time: Duration) -> String {
    format!("{}/s", lag::shown((bytes as f64 / time.as_secs_f64().max(0.001)) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_told_in_bytes_a_second() {
        assert_eq!(rate(32 << 20, Duration::from_secs(2)), "16.0 MB/s");
        assert_eq!(rate(0, Duration::from_secs(2)), "0 bytes/s");
    }
}
