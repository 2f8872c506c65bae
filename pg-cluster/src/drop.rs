//! Removing a cluster that nobody uses.
//!
//! What must always hold: the cluster was named on the command line, never guessed; one that runs or holds anything
//! of a user's goes only when its system identifier is given too.

use crate::args::DropArguments;
use pg_runbook::cluster::{self, Cluster, Layout, contents, plain};
use pg_runbook::configuration::{History, OWN_FILE};
use pg_runbook::document::{Act, Change};
use pg_runbook::invocation::{Invocation, shell_word};
use pg_runbook::service::{self, StopMode};
use pg_runbook::{Attempt, Failure, Journal, Run, durable_file, owner};

use std::path::{Path, PathBuf};

const DROP: Act = Act { plain: "drop", past: "dropped" };

/// `pg-cluster drop`
pub fn drop(run: &mut Run, arguments: &DropArguments) -> Result<(), Failure> {
    let passed_on = run.document.cluster.clone();
    let Some(mut cluster) = named(run, arguments)? else { return Ok(()) };
    owner::act_as(&cluster.owner()?)?;
    cluster.refresh();
    run.lock(&cluster)?;
    cluster.refresh();
    refuse_what_is_used(&cluster, arguments)?;
    refuse_what_is_kept_inside(&cluster)?;
    if !run.check() {
        // What was begun with it must not be ended with another one of the name.
        Journal::remove(&cluster.data_directory)?;
        if cluster.has_process() {
            service::stop(&mut cluster, StopMode::Fast, arguments.timeout)?;
        }
        remove(&cluster)?;
    }
    for left in beside(&cluster.data_directory) {
        run.warn(format!("{} stays; if nobody needs it: rm -r {}", left.display(), shell_word(left.as_os_str())));
    }
    run.change(Change::act("cluster", cluster.title(), DROP).at(&cluster.data_directory, None));
    run.message(format!("{} {}", cluster.title(), if run.check() { "would be dropped" } else { "is dropped" }));
    // The pipeline's cluster is another one, and goes on.
    run.document.cluster = passed_on.filter(|known| !known.is(&cluster));
    Ok(())
}

/// What pg-basebackup-swap keeps beside a data directory.
fn beside(data_directory: &Path) -> Vec<PathBuf> {
    let real = std::fs::canonicalize(data_directory).unwrap_or_else(|_| data_directory.to_owned());
    let (folder, name) = plain::beside(&real);
    let kept = ["previous-", "rolled-back-", "going-", "incoming", "partial-"].map(|what| format!("{name}.{what}"));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_kept = |entry: &std::fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        kept.iter().any(|start| name.starts_with(start))
    };
    entries.filter(is_kept).map(|entry| entry.path()).collect()
}

/// In a mount point it would go with the cluster; and folders outside that are changing places belong to nobody yet.
fn refuse_what_is_kept_inside(cluster: &Cluster) -> Result<(), Failure> {
    let data = &cluster.data_directory;
    let real = std::fs::canonicalize(data).attempt(|| format!("find the folder {data:?}"))?;
    let hint = format!("pg-basebackup-swap commit {}", cluster.option());
    if Journal::of(data)?.is_some_and(|journal| !journal.outside.is_empty()) {
        return Err(Failure::refused(format!("{} is in the middle of an exchange that was cut off", cluster.title()))
            .because("its tablespaces are changing places")
            .hint(hint));
    }
    match beside(data).first() {
        Some(kept) if plain::is_mount_point(&real) => {
            Err(Failure::refused(format!("{} is kept inside {}", kept.display(), cluster.title()))
                .because("the data directory is a mount point: it would go with the cluster")
                .hint(hint))
        }
        _ => Ok(()),
    }
}

fn named(run: &mut Run, arguments: &DropArguments) -> Result<Option<Cluster>, Failure> {
    if let Some(name) = arguments.unused.as_ref().or(run.common.cluster.as_ref()) {
        let (major, short) = cluster::split_name(name)?;
        let found = cluster::debian::find(major, short)?;
        if found.is_none() {
            run.message(format!("there is no cluster {name}"));
        }
        return Ok(found);
    }
    let Some(folder) = run.common.pgdata.clone() else {
        return Err(Failure::usage("which cluster is to be dropped?")
            .because("it has to be named")
            .hint("pg-cluster list"));
    };
    if !folder.exists() {
        run.message(format!("there is no {}", folder.display()));
        return Ok(None);
    }
    cluster::at(&folder).map(Some)
}

fn refuse_what_is_used(cluster: &Cluster, arguments: &DropArguments) -> Result<(), Failure> {
    let runs = cluster.has_process().then(|| "it runs".to_owned());
    let holds = contents::user_data(&cluster.data_directory)?.map(|found| format!("it holds {found}"));
    let stop_first = format!("pg-cluster stop {}, and drop it then", cluster.option());
    let only_runs = holds.is_none();
    let reasons: Vec<String> = runs.into_iter().chain(holds).collect();
    let Some(identifier) = &cluster.system_identifier else {
        return Err(Failure::refused(format!(
            "{} can't be told from others: its control file can't be read",
            cluster.title()
        )));
    };
    match &arguments.force {
        Some(named) if named == identifier => Ok(()),
        Some(named) => {
            Err(Failure::refused(format!("{} has the system identifier {identifier}, not {named}", cluster.title())))
        }
        None if reasons.is_empty() => Ok(()),
        None => Err(Failure::refused(format!("{} is not unused: {}", cluster.title(), reasons.join(", and "))).hint(
            if only_runs {
                stop_first
            } else {
                format!("if it really is to go: pg-cluster drop {} --force {identifier}", cluster.option())
            },
        )),
    }
}

fn remove(cluster: &Cluster) -> Result<(), Failure> {
    if let (Layout::Debian, Some(name)) = (cluster.layout, &cluster.name) {
        let major = cluster.major.to_string();
        // The wrapper leaves what it doesn't know, and a new cluster of this name would read it.
        durable_file::remove_tree(History::of(cluster).folder())?;
        if let Some(folder) = cluster.configuration().ok().and_then(|configuration| configuration.included_folder()) {
            durable_file::remove(&folder.join(OWN_FILE))?;
        }
        let invocation = Invocation::new("/usr/bin/pg_dropcluster").args([&major, name]).as_started();
        return invocation.run().map(std::mem::drop);
    }
    let named = &cluster.data_directory;
    let real = std::fs::canonicalize(named).attempt(|| format!("find the folder {named:?}"))?;
    let wal = std::fs::read_link(real.join("pg_wal")).ok();
    let wal = wal.map(|wal| real.join(wal)).filter(|wal| wal.is_dir());
    // With the owner's rights: root would follow wherever the owner let a link point.
    for folder in wal.iter().chain([&real]) {
        durable_file::empty_folder(folder)?;
    }
    // A mount point stays; the folders above may be root's.
    let folders: Vec<&PathBuf> = wal.iter().chain([&real]).filter(|folder| !plain::is_mount_point(folder)).collect();
    owner::as_started(|| {
        for folder in folders {
            durable_file::remove_empty_folder(folder)?;
        }
        if named.is_symlink() {
            durable_file::remove(named)?;
        }
        durable_file::remove(&plain::log_file(named))
    })
}
