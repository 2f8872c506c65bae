//! How large a copy will be: by the primary's word, or by what the old standby has.
//!
//! What must always hold: a number says whose it is. Only what the primary itself reports is reason enough to refuse;
//! the old standby's own size is a guess, and serves where the primary tells only the sum of several file systems' parts.

use crate::outside;
use crate::places::Places;
use crate::source::Source;
use pg_runbook::Failure;
use pg_runbook::server::{Server, Target};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A server looks at each file for it. It is asked before anything is done.
const COUNTS_WITHIN: Duration = Duration::from_secs(60);

/// What databases and tablespaces take, where the role may know; the second only of those that it may see.
const DATABASES: &str = "SELECT CASE WHEN bool_and(has_database_privilege(oid, 'CONNECT') \
     OR pg_has_role('pg_read_all_stats', 'USAGE')) THEN sum(pg_database_size(oid))::text END FROM pg_database";
const TABLESPACES: &str = "SELECT oid::text, pg_tablespace_location(oid), CASE WHEN has_tablespace_privilege(oid, 'CREATE') \
     OR pg_has_role('pg_read_all_stats', 'USAGE') THEN pg_tablespace_size(oid)::text END \
     FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global') ORDER BY 2";

/// Whose word a size is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Teller {
    /// The primary's, asked by SQL.
    Primary,
    /// The old standby's files.
    Standby,
}

/// What the copy will take, without its write-ahead log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    /// Who says so.
    pub teller: Teller,
    /// All of it.
    pub total: u64,
    /// The part of each tablespace.
    pub tablespaces: Vec<Tablespace>,
}

/// One tablespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tablespace {
    /// Its number, which is the name of its link in every data directory of the system.
    pub oid: String,
    /// Where it is, by whoever tells.
    pub location: PathBuf,
    /// What it takes, where that may be known.
    pub bytes: Option<u64>,
}

impl Size {
    /// The primary's word, else (of the same system) the old standby's files.
    #[must_use]
    pub fn find(source: Option<&Source>, places: &Places, same_system: bool) -> Option<Self> {
        let told = source.and_then(|source| Self::as_the_primary_says(&source.target).ok().flatten());
        told.or_else(|| same_system.then(|| Self::of_the_standby(&places.data)))
    }

    /// An ordinary login, which the role need not have.
    fn as_the_primary_says(target: &Target) -> Result<Option<Self>, Failure> {
        let mut server = Server::connect(&Target { dbname: "postgres".into(), ..target.clone() })?;
        server.may_take(Some(COUNTS_WITHIN));
        let number = |text: Option<&String>| text.and_then(|text| text.parse::<u64>().ok());
        let Some(total) = number(server.text(DATABASES)?.as_ref()) else { return Ok(None) };
        let rows = server.texts(TABLESPACES)?;
        let tablespaces = rows.iter().filter_map(|row| {
            let location = row.get(1)?.as_ref().filter(|location| location.starts_with('/'))?;
            Some(Tablespace {
                oid: row.first()?.clone()?,
                location: location.into(),
                bytes: number(row.get(2)?.as_ref()),
            })
        });
        Ok(Some(Self { teller: Teller::Primary, total, tablespaces: tablespaces.collect() }))
    }

    fn of_the_standby(data: &Path) -> Self {
        let links = outside::links(data).into_iter().filter(|link| !link.is_wal());
        let tablespaces: Vec<_> = links
            .map(|link| {
                let oid = link.name.rsplit('/').next().unwrap_or_default().to_owned();
                Tablespace { oid, bytes: Some(outside::size_of(&link)), location: link.location }
            })
            .collect();
        let elsewhere: u64 = tablespaces.iter().filter_map(|tablespace| tablespace.bytes).sum();
        let own = size(data).saturating_sub(size(&data.join("pg_wal")));
        Self { teller: Teller::Standby, total: own + elsewhere, tablespaces }
    }

    /// What lies in the data directory itself; `None` where a tablespace's part is not known.
    #[must_use]
    pub fn data(&self) -> Option<u64> {
        let parts: Option<Vec<u64>> = self.tablespaces.iter().map(|tablespace| tablespace.bytes).collect();
        parts.map(|parts| self.total.saturating_sub(parts.iter().sum()))
    }
}

/// The size of all files below a folder; what vanishes meanwhile counts as nothing.
#[must_use]
pub fn size(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => size(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_directorys_part_is_known_only_where_every_tablespaces_is() {
        let tablespace = |bytes| Tablespace { oid: "16384".into(), location: "/ts".into(), bytes };
        let size = |bytes| Size { teller: Teller::Primary, total: 100, tablespaces: vec![tablespace(bytes)] };
        assert_eq!((size(Some(30)).data(), size(None).data()), (Some(70), None));
    }
}
