//! Whose password file, and where it is.
//!
//! What must always hold: from here on the tool acts as that user, so a file of somebody else's is neither read nor
//! made by mistake.

use crate::args::FileArguments;
use pg_runbook::owner::{self, Owner};
use pg_runbook::{Attempt, Failure, Run};
use std::path::{Path, PathBuf};

/// A password file's place.
pub struct Place {
    /// Absolute.
    pub path: PathBuf,
    /// Whose it is, or shall be.
    pub owner: Owner,
}

/// The file that is meant: `--passfile`, the document's, `$PGPASSFILE`, or its owner's `~/.pgpass`.
pub fn find(run: &mut Run, arguments: &FileArguments) -> Result<Place, Failure> {
    let owner = whose(run, arguments)?;
    owner::act_as(&owner)?;
    let known = run.document.primary.as_ref().and_then(|primary| primary.passfile.clone());
    let variable = || std::env::var_os("PGPASSFILE").filter(|value| !value.is_empty()).map(PathBuf::from);
    let named = arguments.passfile.clone().or(known).or_else(variable);
    let path = named.unwrap_or_else(|| home(&owner).join(".pgpass"));
    let path = std::path::absolute(&path).attempt(|| format!("find the password file {}", path.display()))?;
    Ok(Place { path, owner })
}

fn whose(run: &mut Run, arguments: &FileArguments) -> Result<Owner, Failure> {
    if let Some(name) = &arguments.owner {
        return named_owner(name);
    }
    if run.cluster_is_only_planned()
        && let Some(cluster) = &run.document.cluster
    {
        return cluster.owner();
    }
    if let Some(cluster) = run.named_cluster()? {
        return cluster.owner();
    }
    if !owner::started_by_root() {
        return Owner::starter();
    }
    Owner::named("postgres")?.ok_or_else(|| {
        Failure::usage("whose password file is meant?")
            .because("root runs this, no cluster is named, and there is no user postgres")
            .hint("--owner USER names the standby's user")
    })
}

fn named_owner(name: &str) -> Result<Owner, Failure> {
    let owner =
        Owner::named(name)?.ok_or_else(|| Failure::usage(format!("--owner {name:?}: this host has no such user")))?;
    if !owner::started_by_root() && owner.uid != Owner::starter()?.uid {
        return Err(Failure::usage(format!("--owner {name:?}: only root may act as another user"))
            .hint(format!("sudo -u {name} pg-pass …, or sudo pg-pass …")));
    }
    Ok(owner)
}

/// Whoever runs this has the home that libpq would take.
fn home(owner: &Owner) -> PathBuf {
    let own = Owner::starter().is_ok_and(|starter| starter.uid == owner.uid);
    let variable = std::env::var_os("HOME").map(PathBuf::from).filter(|home| own && home.is_absolute());
    variable.unwrap_or_else(|| owner.home.clone())
}

/// The folder whose lock keeps two runs from writing one file: that of the file itself, not of a link to it.
pub fn folder(path: &Path) -> PathBuf {
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    real.parent().unwrap_or(Path::new("/")).to_owned()
}
