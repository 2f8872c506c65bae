//! What could not run is said and counted: libtest knows no test that skips itself.

use std::io::Write;
use std::path::Path;

/// The variable that names the file in which a chore collects what was skipped.
pub const SKIPPED_FILE: &str = "PG_RUNBOOK_TEST_SKIPPED";

/// Says why the running test does nothing.
pub fn skip(reason: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("skipped: {test}: {reason}");
    let Some(path) = std::env::var_os(SKIPPED_FILE) else { return };
    let mut file =
        std::fs::File::options().append(true).create(true).open(&path).expect("open the list of skipped tests");
    // One write, so that lines of parallel tests don't mix.
    file.write_all(format!("{test}\t{reason}\n").as_bytes()).expect("write the list of skipped tests");
}

/// Whether this is a run where nothing that is the machine's business may be skipped.
pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

/// Whether a program of Debian's is there, with the reason to skip where it is not.
pub fn has_program(path: &str) -> bool {
    let there = Path::new(path).exists();
    if !there {
        let name = path.rsplit('/').next().unwrap_or_default();
        assert!(!in_ci(), "{name} is missing, and CI skips nothing for want of it");
        skip(&format!("{name} is missing (apt-get install {name})"));
    }
    there
}
