//! `--space replace`: on a disk that can't hold two copies, the old data is given up before the new copy is fetched.
//!
//! What must always hold: only who said so loses data, and after everything else that a copy needs was looked at. What is
//! left keeps the standby's configuration and its places, can't be started, and is told from a cluster by its note.

use crate::outside;
use crate::places::Places;
use crate::streaming;
use pg_runbook::cluster::postmaster;
use pg_runbook::document::{Act, Change};
use pg_runbook::{Attempt, Cluster, Failure, GivenUp, Run, durable_file, journal, service, signals};
use std::path::Path;
use std::time::{Duration, SystemTime};

const GIVE_UP: Act = Act { plain: "give up the old data of", past: "gave up the old data of" };

/// The change, as it will be or was made.
#[must_use]
pub fn change(cluster: &Cluster, places: &Places) -> Change {
    Change::act("old_data", cluster.title(), GIVE_UP).at(&places.data, None)
}

/// Stops the server, and removes what the old directory holds besides its configuration. One that was given up already
/// by a run that was cut off is only emptied to the end.
pub fn give_up(run: &mut Run, cluster: &mut Cluster, places: &Places, limit: Duration) -> Result<(), Failure> {
    let data = &places.data;
    let shield = signals::Shield::raise();
    if GivenUp::of(data)?.is_none() {
        announced(cluster, data)?.announce(data)?;
        streaming::stop(run, cluster, limit)?;
        GivenUp::remove_control_file(data)?;
        run.change(change(cluster, places));
    }
    drop(shield);
    empty(data)?;
    cluster.refresh();
    run.set_cluster(cluster);
    Ok(())
}

fn announced(cluster: &Cluster, data: &Path) -> Result<GivenUp, Failure> {
    let command_line = service::command_line(cluster)?;
    let process = postmaster::look(data).process();
    Ok(GivenUp {
        at: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
        system_identifier: cluster.system_identifier.clone(),
        server: process.map(|process| journal::Server { pid: process.pid, started: process.started, command_line }),
    })
}

/// The server's own folders, and what their links lead to; the links stay, for they say where the copy's parts go.
fn empty(data: &Path) -> Result<(), Failure> {
    for link in outside::links(data) {
        outside::empty(&link)?;
    }
    for entry in std::fs::read_dir(data).attempt(|| format!("look into {}", data.display()))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let is_the_servers = matches!(name.as_str(), "base" | "global") || name.starts_with("pg_");
        if is_folder && is_the_servers && name != outside::TABLESPACES {
            durable_file::empty_folder(&entry.path())?;
        }
    }
    Ok(())
}

/// What was announced by a run that was cut off before anything was removed: nothing is lost, and a server that ran runs
/// again.
pub fn take_back_what_was_only_announced(run: &mut Run, cluster: &mut Cluster, places: &Places) -> Result<(), Failure> {
    let Some(note) = GivenUp::announced(&places.data)? else { return Ok(()) };
    if GivenUp::of(&places.data)?.is_some() {
        return Ok(());
    }
    run.say(&format!("the old data of {} was to be given up, and was not: nothing is lost", cluster.title()));
    if let Some(server) = note.server.filter(|_| !cluster.has_process()) {
        service::start_again(cluster, &server.command_line, START_WITHIN)?;
        run.say(&format!("started {}", cluster.title()));
        run.set_cluster(cluster);
    }
    GivenUp::forget(&places.data)
}

const START_WITHIN: Duration = Duration::from_secs(60);
