//! What `cargo xtask dist` made.

use crate::skipped::{in_ci, skip};
use std::path::{Path, PathBuf};

/// The files whose names end so; where there are none, that is said, and it is a failure in CI.
pub fn made(ending: &str) -> Option<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the work tree").join("target/dist");
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    files.sort();
    if files.is_empty() {
        let missing = format!("there is no {ending} in target/dist: cargo xtask dist");
        assert!(!in_ci(), "{missing}, and CI skips nothing for want of it");
        skip(&missing);
        return None;
    }
    Some(files)
}
