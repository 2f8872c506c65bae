//! The notes that say what became of a directory: put in place, or kept.
//!
//! What must always hold: only a directory with the note that it is kept is ever removed, and only the directory that
//! the two notes name together is put back. Both say when their exchange began, so they belong together or they don't.

use pg_runbook::{Attempt, Failure, durable_file};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How a data directory got into place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Installed {
    /// The verb that put it there, `swap` or `rollback`.
    pub by: String,
    /// When that began, in RFC 3339.
    pub at: String,
    /// The name of the directory that went out for it.
    pub kept: String,
    /// For how many seconds nobody was served, from the stop until it streamed; null where that wasn't seen.
    #[serde(default)]
    pub outage_seconds: Option<f64>,
    /// Where its tablespaces are, and where the primary has them.
    #[serde(default)]
    pub tablespaces: Vec<Mapped>,
}

/// A tablespace in both its places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Tablespace")]
pub struct Mapped {
    /// Its location on the primary.
    pub primary: PathBuf,
    /// Its location here.
    pub here: PathBuf,
}

/// Why a directory that went out is still there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Kept {
    /// The verb that took it out, `swap` or `rollback`.
    pub by: String,
    /// When that began, in RFC 3339.
    pub at: String,
    /// After how many seconds the next run lets it go, where that was said; else null.
    pub keep_for_seconds: Option<u64>,
}

/// A note has one name in every directory.
pub trait Note: Serialize + DeserializeOwned {
    /// Its file's name.
    const FILE: &'static str;

    /// Puts it into a directory.
    fn put(&self, folder: &Path) -> Result<(), Failure> {
        let file = folder.join(Self::FILE);
        let text = serde_json::to_vec_pretty(self).attempt(|| format!("write {}", file.display()))?;
        durable_file::remove_unfinished(&file)?;
        durable_file::replace(&file, &text, 0o600).map(drop)
    }

    /// Reads it, where there is one.
    fn of(folder: &Path) -> Result<Option<Self>, Failure> {
        let file = folder.join(Self::FILE);
        let Some(bytes) = durable_file::read(&file)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).attempt(|| format!("understand {}", file.display()))
    }

    /// Takes it out.
    fn take_out(folder: &Path) -> Result<(), Failure> {
        durable_file::remove_unfinished(&folder.join(Self::FILE))?;
        durable_file::remove(&folder.join(Self::FILE))
    }
}

impl Note for Installed {
    const FILE: &'static str = "pg-runbook.installed.json";
}

impl Note for Kept {
    const FILE: &'static str = "pg-runbook.kept.json";
}

impl Kept {
    /// How long it has been kept.
    #[must_use]
    pub fn age(&self, now: SystemTime) -> Duration {
        let at = humantime::parse_rfc3339(&self.at).unwrap_or(now);
        now.duration_since(at).unwrap_or_default()
    }

    /// Whether the time that it was to be kept for is over.
    #[must_use]
    pub fn is_over(&self, now: SystemTime) -> bool {
        self.keep_for_seconds.is_some_and(|seconds| self.age(now) >= Duration::from_secs(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_directory_is_over_only_when_a_time_was_said_and_has_passed() {
        let now = humantime::parse_rfc3339("2026-11-23T12:00:00Z").unwrap();
        let kept = |keep_for_seconds| Kept { by: "swap".into(), at: "2026-11-23T11:00:00Z".into(), keep_for_seconds };
        assert!(!kept(None).is_over(now));
        assert!(!kept(Some(3601)).is_over(now));
        assert!(kept(Some(3600)).is_over(now));
        let unreadable = Kept { at: "yesterday".into(), ..kept(Some(1)) };
        assert!(!unreadable.is_over(now), "what can't be read keeps it");
    }
}
