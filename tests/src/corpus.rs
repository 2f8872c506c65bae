//! The configuration files of `tests/files`, written in the manner of real ones.
//!
//! What must always hold: a file that is put there is tested; no list has to be kept.

use std::path::{Path, PathBuf};

/// One configuration: a file alone, or a folder with the files that it reads.
#[derive(Clone, Debug)]
pub struct Example {
    /// What it shows.
    pub name: String,
    /// The file that everything begins with.
    pub main_file: PathBuf,
    has_folder: bool,
}

impl Example {
    /// The main file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        read(&self.main_file)
    }

    /// The other files, by their paths from the main file's folder on.
    pub fn companions(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let folder = self.main_file.parent().expect("a folder");
        let paths = if self.has_folder { crate::names_below(folder) } else { Vec::new() };
        let files = paths.into_iter().filter(|path| path.is_file() && *path != self.main_file);
        files.map(|path| (path.strip_prefix(folder).expect("below it").to_owned(), read(&path))).collect()
    }
}

/// Every example of `kind`, `postgresql.conf` or `pg_hba.conf`.
pub fn examples(kind: &str) -> Vec<Example> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("files").join(kind);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("read {folder:?}: {error}"));
    let mut examples: Vec<Example> = entries.flatten().map(|entry| example(&entry.path(), kind)).collect();
    examples.sort_by(|left, right| left.name.cmp(&right.name));
    assert!(examples.len() >= 10, "{folder:?} has {} examples only", examples.len());
    examples
}

fn example(path: &Path, kind: &str) -> Example {
    let has_folder = path.is_dir();
    let main_file = if has_folder { path.join(kind) } else { path.to_owned() };
    let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(path).display().to_string();
    Example { name, main_file, has_folder }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("read {path:?}: {error}"))
}
