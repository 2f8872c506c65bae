//! The container engine, by its own command line, for what testcontainers has no words for: networks with fixed
//! addresses, images, and what earlier runs left.
//!
//! What must always hold: only what carries our label is ever removed.

use std::path::Path;
use std::process::{Command, Stdio};

/// The label of all that tests make; its value tells the process that made it.
pub const LABEL: &str = "org.pg-runbook.test";

/// The engine.
#[derive(Debug)]
pub struct Docker;

impl Docker {
    /// Whether an engine answers; else why not, and what to do.
    pub fn answers() -> Result<(), String> {
        let said = Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]).output();
        match said {
            Err(error) => Err(format!("docker can't be run ({error}): apt-get install docker.io")),
            Ok(said) if !said.status.success() => {
                Err(format!("no container engine answers: {}", String::from_utf8_lossy(&said.stderr).trim()))
            }
            Ok(_) => Ok(()),
        }
    }

    /// What a command printed; a failure tells the command and what it said.
    pub fn run(words: &[&str]) -> Result<String, String> {
        let shown = format!("docker {}", words.join(" "));
        let said = Command::new("docker").args(words).stdin(Stdio::null()).output();
        let said = said.map_err(|error| format!("run {shown}: {error}"))?;
        if said.status.success() {
            return Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned());
        }
        Err(format!("{shown}: {}: {}", said.status, String::from_utf8_lossy(&said.stderr).trim()))
    }

    /// Removes containers (with their volumes) and networks whose maker is gone.
    pub fn reap() {
        remove_where(|maker| maker != KEPT && !Maker::lives(maker));
    }

    /// Removes those that failed scenarios kept.
    pub fn remove_what_was_kept() {
        remove_where(|maker| maker == KEPT);
    }
}

/// Containers first: a network that is in use stays.
fn remove_where(unwanted: impl Fn(&str) -> bool) {
    let kinds: [(&[&str], &[&str]); 2] = [
        (&["container", "ls", "--all"], &["container", "rm", "--force", "--volumes"]),
        (&["network", "ls"], &["network", "rm"]),
    ];
    let (filter, format) = (format!("label={LABEL}"), format!("{{{{.ID}}}} {{{{.Label \"{LABEL}\"}}}}"));
    for (list, remove) in kinds {
        let found = Docker::run(&[list, &["--filter", &filter, "--format", &format]].concat()).unwrap_or_default();
        let found = found.lines().filter_map(|line| line.split_once(' '));
        for (id, _) in found.filter(|(_, maker)| unwanted(maker)) {
            // Another run may remove it at the same time.
            let _ = Docker::run(&[remove, &[id]].concat());
        }
    }
}

/// The process that made something: its number and its start, by which another one with that number is told apart.
pub struct Maker;

impl Maker {
    /// This process.
    pub fn this() -> String {
        let process = std::process::id();
        format!("{process}-{}", started(process).unwrap_or_default())
    }

    fn lives(maker: &str) -> bool {
        let Some((process, start)) = maker.split_once('-') else { return false };
        process.parse().ok().and_then(started).is_some_and(|started| started == start)
    }
}

/// In place of a maker: it stays until somebody removes it by hand.
pub const KEPT: &str = "kept";

/// Field 22 of /proc/PID/stat (proc(5)); the name before it may hold blanks and parentheses.
fn started(process: u32) -> Option<String> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maker_lives_as_long_as_its_very_process_does() {
        let own = Maker::this();
        assert!(Maker::lives(&own));
        assert!(!Maker::lives(&format!("{own}0")), "another process with its number");
        assert!(!Maker::lives("4194305-1"), "a number that no process has");
    }
}
