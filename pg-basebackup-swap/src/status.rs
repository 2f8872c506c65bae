//! What lies where: the data directory, copies, kept old directories, leftovers. Changes nothing.

use crate::fetch::size;
use crate::marker::Marker;
use crate::places::Places;
use pg_runbook::cluster::system_identifier;
use pg_runbook::{Failure, Run};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// One folder beside the data directory.
#[derive(Debug, Serialize)]
struct Folder {
    what: &'static str,
    directory: PathBuf,
    bytes: u64,
    age_seconds: u64,
    system_identifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    copy: Option<Marker>,
}

/// `pg-basebackup-swap status`
pub fn status(run: &mut Run) -> Result<(), Failure> {
    let cluster = run.cluster()?;
    let places = Places::of(&cluster)?;
    let mut folders = vec![look("data directory", &places.data)?];
    let cut_off = places.partial().into_iter().map(|folder| ("a copy being fetched, or cut off", folder));
    for (what, folder) in cut_off.chain([("a copy to be installed", places.incoming())]) {
        if folder.exists() {
            folders.push(look(what, &folder)?);
        }
    }
    for kept in places.kept() {
        let what = if Marker::of(&kept)?.is_some() { "a copy that was not installed" } else { "kept old directory" };
        folders.push(look(what, &kept)?);
    }
    for folder in &folders {
        run.account(format!("{:>8} MB  {:<33} {}", folder.bytes / 1_000_000, folder.what, folder.directory.display()));
    }
    let kept = folders.iter().filter(|folder| folder.what == "kept old directory").count();
    run.message(match kept {
        0 => format!("{} has no old directory beside it", cluster.title()),
        1 => format!("{} has 1 old directory beside it", cluster.title()),
        _ => format!("{} has {kept} old directories beside it", cluster.title()),
    });
    run.fact("directories", &folders);
    Ok(())
}

fn look(what: &'static str, directory: &Path) -> Result<Folder, Failure> {
    let changed = std::fs::metadata(directory).and_then(|found| found.modified()).ok();
    let age = changed.and_then(|changed| SystemTime::now().duration_since(changed).ok()).unwrap_or_default();
    Ok(Folder {
        what,
        bytes: size(directory),
        age_seconds: age.as_secs(),
        system_identifier: system_identifier(directory),
        copy: Marker::of(directory)?,
        directory: directory.to_owned(),
    })
}
