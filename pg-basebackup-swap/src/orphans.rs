//! What a run that was killed left running. `pg_basebackup` itself is ended with its tool; its process that receives the
//! write-ahead log hears nothing of that, and holds both walsenders and the slot for as long as the primary is quiet.
//!
//! What must always hold: only a `pg_basebackup` that was told to fill a copy of this very cluster is ended, and only
//! under the lock, when no run can have a copy on its way.

use crate::places::Places;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pg_runbook::{Failure, Run, process, service, signals};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// It has nothing to finish.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// Ends them, and waits until they are gone.
pub fn end(run: &Run, places: &Places) -> Result<(), Failure> {
    let left = left(places);
    for pid in &left {
        run.say(&format!("ending pg_basebackup (pid {pid}) of a run that was cut off"));
        // One that is gone meanwhile is as good; whose it is not, the wait tells.
        let _ = kill(Pid::from_raw(*pid), Signal::SIGTERM);
    }
    // Also where a signal ended the copy.
    let _shield = signals::Shield::raise();
    let is_left = |pid: &i32| copies_to(*pid).is_some_and(|folder| places.is_partial(&folder));
    if service::await_condition(ENDS_WITHIN, "while a copy that was cut off ends", || !left.iter().any(is_left))? {
        return Ok(());
    }
    let pids = left.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    Err(Failure::gave_up("pg_basebackup of a run that was cut off does not end").hint(format!("sudo kill -9 {pids}")))
}

fn left(places: &Places) -> Vec<i32> {
    process::all().filter(|pid| copies_to(*pid).is_some_and(|folder| places.is_partial(&folder))).collect()
}

/// Where a `pg_basebackup` puts its copy; nothing of one that has ended and is not yet waited for.
fn copies_to(pid: i32) -> Option<PathBuf> {
    let mut words = process::command_line(pid)?.into_iter();
    let is_one = Path::new(&words.next()?).file_name() == Some(OsStr::new("pg_basebackup"));
    words.skip_while(|word| word != "--pgdata").nth(1).filter(|_| is_one).map(PathBuf::from)
}
