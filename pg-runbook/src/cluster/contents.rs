//! Whether a data directory holds anything that `initdb` did not put there.
//!
//! What must always hold: it errs on the side of data. Identifiers below 16384 are the system's own
//! (`FirstNormalObjectId`, `transam.h`), also for files; so what stands above is somebody's, and a rewritten catalog
//! counts as that too.

use crate::failure::{Attempt, Failure};
use std::path::Path;

const FIRST_NORMAL_OBJECT_ID: u32 = 16384;
/// `pg_largeobject`, whose rows leave no file of their own.
const LARGE_OBJECTS: u32 = 2613;

/// What was found that is not `initdb`'s; `None` where there is nothing.
pub fn user_data(data_directory: &Path) -> Result<Option<String>, Failure> {
    if let Some(tablespace) = names(&data_directory.join("pg_tblspc"))?.first() {
        return Ok(Some(format!("a tablespace (pg_tblspc/{tablespace})")));
    }
    for database in names(&data_directory.join("base"))? {
        let Ok(identifier) = database.parse::<u32>() else { continue };
        if identifier >= FIRST_NORMAL_OBJECT_ID {
            return Ok(Some(format!("a user database (base/{database})")));
        }
        let folder = data_directory.join("base").join(&database);
        for file in names(&folder)? {
            let Some(number) = relation_number(&file) else { continue };
            let large_object =
                number == LARGE_OBJECTS && std::fs::metadata(folder.join(&file)).is_ok_and(|found| found.len() > 0);
            if number >= FIRST_NORMAL_OBJECT_ID || large_object {
                return Ok(Some(format!("a user table or large objects (base/{database}/{file})")));
            }
        }
    }
    Ok(None)
}

/// `16401`, `16401.1` → 16401; `16401_fsm` and other names → nothing.
fn relation_number(file: &str) -> Option<u32> {
    file.split('.').next()?.parse().ok()
}

fn names(folder: &Path) -> Result<Vec<String>, Failure> {
    let doing = || format!("look into {folder:?}");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).attempt(doing)? {
        names.push(entry.attempt(doing)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods)] // The test's own scenery.
    fn directory(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for below in ["pg_tblspc", "base"] {
            std::fs::create_dir_all(folder.path().join(below)).unwrap();
        }
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        folder
    }

    #[test]
    fn what_initdb_made_is_nothing() {
        let folder = directory(&["base/1/1259", "base/5/1259_fsm", "base/5/pg_filenode.map", "base/5/PG_VERSION"]);
        assert_eq!(user_data(folder.path()).unwrap(), None);
    }

    #[test]
    fn sees_databases_tables_large_objects_and_tablespaces() {
        for file in ["base/16384/1259", "base/5/16385", "base/5/16390.1", "base/5/2613", "pg_tblspc/16400/x"] {
            assert!(user_data(directory(&[file]).path()).unwrap().is_some(), "{file}");
        }
    }
}
