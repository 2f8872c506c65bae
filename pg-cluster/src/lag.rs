//! `pg-cluster status --max-lag`: whether replication is as it should be, for whoever is not looking.
//!
//! What must always hold: silence is no good news. A standby that doesn't stream, or whose sender hasn't spoken for longer
//! than an idle one would be silent, is not within any limit; nor is a server that neither follows nor is followed, such
//! as a standby that somebody promoted.

use crate::running::AttachedStandby;
use pg_runbook::standby::Replication;
use pg_runbook::{Cluster, Failure};

/// `wal_sender_timeout` is 60 s unless set otherwise, and an idle walsender speaks after half of it.
const SILENT_FOR_TOO_LONG: f64 = 60.0;

const UNITS: [(&str, u32); 5] = [("B", 0), ("kB", 10), ("MB", 20), ("GB", 30), ("TB", 40)];

/// A size as postgresql.conf has it: `64MB`, `1GB`; bytes where there is no unit.
pub fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
    let unit = text[digits.len()..].trim();
    let number: u64 = digits.trim().parse().map_err(|_| "a size is a number and a unit, such as 64MB".to_owned())?;
    let shift = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, shift)| *shift);
    let shift =
        shift.or(unit.is_empty().then_some(0)).ok_or_else(|| format!("{unit:?} is not one of B, kB, MB, GB, TB"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("{text} is too large"))
}

/// A number of bytes for people.
pub fn shown(bytes: i64) -> String {
    let bytes = bytes.max(0).unsigned_abs();
    let (unit, shift) = UNITS.into_iter().rev().find(|(_, shift)| bytes >> shift > 0).unwrap_or(("B", 0));
    if shift == 0 {
        return format!("{bytes} bytes");
    }
    let tenths = (bytes >> (shift - 10)) * 10 / 1024;
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// A time for people.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is not below 0, and whole seconds are enough"
)]
pub fn time_shown(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0 if seconds >= 0.01 => format!("{:.0} ms", seconds * 1000.0),
        0 if seconds > 0.0 => format!("{:.1} ms", seconds * 1000.0),
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{}m {}s", whole / 60, whole % 60),
        3600..86400 => format!("{}h {}m", whole / 3600, whole % 3600 / 60),
        _ => format!("{}d {}h", whole / 86400, whole % 86400 / 3600),
    }
}

/// Whether a sender that said nothing for so long should have spoken.
pub fn is_silent(seconds: f64) -> bool {
    seconds > SILENT_FOR_TOO_LONG
}

/// A server that doesn't run replicates nothing.
pub fn does_not_run(cluster: &Cluster, state: &str) -> Failure {
    Failure::failed(format!("{} is {state}", cluster.title())).hint(format!("pg-cluster start {}", cluster.option()))
}

/// What is not as it should be; all of it at once.
pub fn judge(
    cluster: &Cluster,
    limit: u64,
    replication: Option<&Replication>,
    standbys: &[AttachedStandby],
) -> Result<(), Failure> {
    // Who takes a base backup follows nobody.
    if replication.is_none() && standbys.iter().all(|standby| standby.state == "backup") {
        return Err(Failure::failed(format!("{} is a primary that no standby follows", cluster.title()))
            .hint(format!("pg-cluster status {}", cluster.option())));
    }
    let own = replication.and_then(|replication| trouble(replication, limit));
    let theirs = standbys.iter().filter_map(|standby| behind(standby, limit));
    let mut troubles = own.map(|trouble| format!("{} {trouble}", cluster.title())).into_iter().chain(theirs);
    let Some(first) = troubles.next() else { return Ok(()) };
    let failure = troubles.fold(Failure::failed(first), Failure::because);
    Err(failure.hint(format!("pg-cluster status {}", cluster.option())))
}

fn trouble(replication: &Replication, limit: u64) -> Option<String> {
    match replication.status.as_deref() {
        Some("streaming") => {}
        Some(other) => return Some(format!("does not stream: its walreceiver is {other}")),
        None => return Some("does not stream: no walreceiver runs".into()),
    }
    if let Some(seconds) = replication.silent_seconds.filter(|seconds| is_silent(*seconds)) {
        return Some(format!("has heard nothing from its primary for {seconds} s"));
    }
    let bytes = replication.lag_bytes.max(replication.replay_lag_bytes)?;
    if is_over(bytes, limit) {
        return Some(format!("is {} behind its primary, more than {}", shown(bytes), limit_shown(limit)));
    }
    replication.replay_paused.then(|| "does not replay what it receives: that is paused".into())
}

fn behind(standby: &AttachedStandby, limit: u64) -> Option<String> {
    let bytes = standby.lag_bytes.filter(|bytes| is_over(*bytes, limit))?;
    let address = standby.address.as_deref().unwrap_or("[local]");
    Some(format!("its standby {address} is {} behind, more than {}", shown(bytes), limit_shown(limit)))
}

fn is_over(bytes: i64, limit: u64) -> bool {
    u64::try_from(bytes).is_ok_and(|bytes| bytes > limit)
}

fn limit_shown(limit: u64) -> String {
    shown(i64::try_from(limit).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streaming(lag: i64) -> Replication {
        let settled = true;
        Replication { status: Some("streaming".into()), lag_bytes: Some(lag), settled, ..Replication::default() }
    }

    #[test]
    fn reads_sizes_as_postgresql_conf_has_them() {
        assert_eq!(size("64MB"), Ok(64 << 20));
        assert_eq!(size("1 GB"), Ok(1 << 30));
        assert_eq!(size("512"), Ok(512));
        assert!(size("MB").is_err() && size("64 miles").is_err() && size("99999999999TB").is_err());
    }

    #[test]
    fn shows_bytes_in_the_largest_unit_that_they_fill() {
        let cases =
            [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 kB"), (64 << 20, "64.0 MB"), (i64::MIN, "0 bytes")];
        for (bytes, expected) in cases {
            assert_eq!(shown(bytes), expected);
        }
    }

    #[test]
    fn shows_times_in_the_units_that_people_use() {
        let told = [0.0, 0.0004, 0.25, 3.21, 75.0, 3_700.0, 90_000.0].map(time_shown);
        assert_eq!(told, ["0.0 s", "0.4 ms", "250 ms", "3.2 s", "1m 15s", "1h 1m", "1d 1h"]);
    }

    #[test]
    fn silence_is_no_good_news() {
        assert_eq!(trouble(&streaming(100), 100), None);
        assert_eq!(
            trouble(&streaming(2048), 100).as_deref(),
            Some("is 2.0 kB behind its primary, more than 100 bytes")
        );
        let silent = Replication { silent_seconds: Some(61.0), ..streaming(0) };
        assert!(trouble(&silent, 100).is_some_and(|told| told.contains("heard nothing")));
        assert!(trouble(&Replication::default(), u64::MAX).is_some_and(|told| told.contains("no walreceiver")));
        let waiting = Replication { status: Some("waiting".into()), ..streaming(0) };
        assert!(trouble(&waiting, 100).is_some_and(|told| told.contains("waiting")));
    }
}
