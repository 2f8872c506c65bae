//! What a power loss would find: an ordering check over the calls that a tool makes. A disk may lose whatever was not
//! synced, so each step has to sync what the next one builds on.
//!
//! It is no replay of a disk's writes (dm-log-writes needs a device and a kernel module that test machines don't have):
//! what `pg_basebackup` syncs is taken at its word, and a file system that loses synced data is not modelled.

use std::path::{Path, PathBuf};
use tests::{Sandbox, has_strace, on_a_disk, pair};

on_a_disk!(what_a_step_builds_on_is_synced_before_it);

/// One call that changes something.
#[derive(Debug)]
enum Step {
    Synced(PathBuf),
    SyncedAll,
    Renamed { from: PathBuf, to: PathBuf },
    Removed(PathBuf),
    Signalled,
    Spawned,
}

fn step(line: &str) -> Option<Step> {
    let (name, rest) = line.split_once('(')?;
    let quoted: Vec<PathBuf> = rest.split('"').skip(1).step_by(2).map(PathBuf::from).collect();
    match name {
        "fsync" => Some(Step::Synced(PathBuf::from(rest.split(['<', '>']).nth(1)?))),
        "syncfs" => Some(Step::SyncedAll),
        "rename" | "renameat" | "renameat2" => {
            Some(Step::Renamed { from: quoted.first()?.clone(), to: quoted.get(1)?.clone() })
        }
        "unlink" => Some(Step::Removed(quoted.first()?.clone())),
        "kill" => Some(Step::Signalled),
        "clone" | "clone3" | "vfork" => Some(Step::Spawned),
        _ => None,
    }
}

fn is_journal(path: &Path) -> bool {
    path.to_string_lossy().ends_with("/standby.pg-runbook-journal.json")
}

/// A file is synced before it gets its name, and a folder before anything that counts on a name in it.
fn expect_names_to_last(steps: &[Step]) {
    for (index, step) in steps.iter().enumerate() {
        let Step::Renamed { from, to } = step else { continue };
        if from.extension().is_some_and(|end| end == "pg-runbook") {
            let synced = |step: &Step| matches!(step, Step::Synced(path) if path == from);
            assert!(steps[..index].iter().any(synced), "{from:?} gets its name unsynced\n{steps:#?}");
        }
        let next = steps.get(index + 1);
        let synced = matches!(next, Some(Step::Synced(path)) if Some(path.as_path()) == to.parent());
        assert!(synced, "after the rename to {to:?} comes {next:?}\n{steps:#?}");
    }
}

fn what_a_step_builds_on_is_synced_before_it(sandbox: &Sandbox) {
    if !has_strace() {
        return;
    }
    let pair = pair(sandbox);
    let steps = |verb: &str, more: &[&str]| -> Vec<Step> {
        let lines = pair.swap(verb).args(more).traced_lines(sandbox);
        lines.iter().filter_map(|line| step(line)).collect()
    };
    let fetched = steps("fetch", &["--force"]);
    expect_names_to_last(&fetched);
    let is_complete = |step: &Step| matches!(step, Step::Renamed { to, .. } if to.ends_with("standby.incoming"));
    // The copy's many files are synced with their file system, before the copy has its name.
    let complete = fetched.iter().position(is_complete).unwrap_or_else(|| panic!("{fetched:#?}"));
    let synced = fetched.iter().position(|step| matches!(step, Step::SyncedAll));
    assert!(synced.is_some_and(|synced| synced < complete), "{fetched:#?}");
    for (verb, more) in [("swap", &["--no-catch-up"][..]), ("rollback", &[]), ("swap", &[])] {
        if verb == "swap" && more.is_empty() {
            pair.swap("fetch").arg("--force").run().success();
        }
        let mut steps = steps(verb, more);
        if verb == "swap" {
            // What the copy does before the exchange begins is synced by itself.
            expect_names_to_last(&steps);
            let journal = |step: &Step| matches!(step, Step::Synced(path) if path.extension().is_some_and(|end| end == "pg-runbook") && path.to_string_lossy().contains("pg-runbook-journal"));
            let begins = steps.iter().position(journal).expect("a journal");
            steps.drain(..begins);
        }
        expect_names_to_last(&steps);
        let at = |wanted: &dyn Fn(&Step) -> bool| {
            steps.iter().position(wanted).unwrap_or_else(|| panic!("{verb} has not all steps: {steps:#?}"))
        };
        let written = at(&|step| matches!(step, Step::Renamed { to, .. } if is_journal(to)));
        let removed = at(&|step| matches!(step, Step::Removed(path) if is_journal(path)));
        let stopped = at(&|step| matches!(step, Step::Signalled));
        let data = &pair.standby.data;
        let exchanged = at(&|step| matches!(step, Step::Renamed { from, .. } if from == data));
        let started = at(&|step| matches!(step, Step::Spawned));
        assert!(written < stopped && stopped < exchanged && exchanged < started && started < removed, "{steps:#?}");
        // Nothing before it, and nothing after it but its own sync.
        let first = at(&|step| matches!(step, Step::Renamed { .. }));
        assert_eq!((first, steps.len()), (written, removed + 2), "{steps:#?}");
    }
}
