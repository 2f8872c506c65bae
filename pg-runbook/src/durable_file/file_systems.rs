//! Many files made to last by one call.
//!
//! What must always hold: where the kernel would not tell of an error, nothing here is used.

use crate::failure::{Attempt, Failure};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// File systems that are to be synced as a whole, once: for a copy of many files, much quicker than each by itself.
#[derive(Debug)]
pub struct FileSystems(Vec<File>);

impl FileSystems {
    /// Those of these folders, opened before anything is written, for only then no error is missed. `None` where the
    /// kernel doesn't tell of errors (`syncfs(2)`: before 5.8).
    pub fn of(folders: &[&Path]) -> Result<Option<Self>, Failure> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
        if (numbers.next(), numbers.next()) < (Some(5), Some(8)) {
            return Ok(None);
        }
        let mut opened: Vec<(u64, File)> = Vec::new();
        for folder in folders {
            let doing = || format!("open {folder:?}");
            let file = File::open(folder).attempt(doing)?;
            let device = file.metadata().attempt(doing)?.dev();
            if opened.iter().all(|(known, _)| *known != device) {
                opened.push((device, file));
            }
        }
        Ok(Some(Self(opened.into_iter().map(|(_, file)| file).collect())))
    }

    /// Syncs them.
    pub fn sync(&self) -> Result<(), Failure> {
        self.0.iter().try_for_each(|file| nix::unistd::syncfs(file).attempt(|| "sync the file system of the copy"))
    }
}
