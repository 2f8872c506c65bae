//! What a server wrote into its log since a moment before it was told something.

use crate::cluster::{Cluster, Layout, debian, plain};
use crate::invocation::last_lines;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A place in the log, or in both where the server's own collector takes over from the startup log.
#[derive(Clone, Debug)]
pub struct Log {
    data_directory: PathBuf,
    startup: Option<PathBuf>,
    startup_offset: u64,
    collected: Option<PathBuf>,
    collected_offset: u64,
}

impl Log {
    /// Remembers how far the log goes now.
    #[must_use]
    pub fn mark(cluster: &Cluster) -> Self {
        let startup = startup_file(cluster);
        let collected = collected_file(&cluster.data_directory);
        Self {
            data_directory: cluster.data_directory.clone(),
            startup_offset: length(startup.as_deref()),
            startup,
            collected_offset: length(collected.as_deref()),
            collected,
        }
    }

    /// The whole log.
    #[must_use]
    pub fn whole(cluster: &Cluster) -> Self {
        Self { startup_offset: 0, collected_offset: 0, ..Self::mark(cluster) }
    }

    /// The newest line with one of these words, and what is indented below it.
    #[must_use]
    pub fn newest_with(&self, words: &[&str]) -> Option<String> {
        let text = self.all_since();
        let lines: Vec<&str> = text.lines().collect();
        let found = lines.iter().rposition(|line| words.iter().any(|word| line.contains(word)))?;
        let below = lines[found + 1..].iter().take_while(|line| line.starts_with(['\t', ' '])).count();
        Some(lines[found..=found + below].join("\n"))
    }

    /// The last lines since then, newest last.
    #[must_use]
    pub fn since(&self) -> String {
        last_lines(&self.all_since(), 12)
    }

    /// Everything since then.
    #[must_use]
    pub fn all_since(&self) -> String {
        let mut text = self.startup.as_deref().map(|path| read_from(path, self.startup_offset)).unwrap_or_default();
        if let Some(path) = collected_file(&self.data_directory) {
            let offset = if self.collected.as_ref() == Some(&path) { self.collected_offset } else { 0 };
            text.push_str(&read_from(&path, offset));
        }
        text
    }

    /// Where to read on.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.startup.as_deref()
    }
}

/// Where the server's messages go until its own collector, if it has one, takes over.
fn startup_file(cluster: &Cluster) -> Option<PathBuf> {
    match cluster.layout {
        Layout::Debian => debian::log_file(cluster),
        Layout::Plain => Some(plain::log_file(&cluster.data_directory)),
    }
}

/// `current_logfiles` says where the collector writes (10 and later): `stderr log/postgresql-….log`.
fn collected_file(data_directory: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(data_directory.join("current_logfiles")).ok()?;
    let line = text.lines().find(|line| line.starts_with("stderr ")).or_else(|| text.lines().next())?;
    Some(data_directory.join(line.split_once(' ')?.1))
}

fn length(path: Option<&Path>) -> u64 {
    path.and_then(|path| std::fs::metadata(path).ok()).map_or(0, |metadata| metadata.len())
}

/// At most the last 64 kB: the end of a log is what explains.
fn read_from(path: &Path, offset: u64) -> String {
    let length = length(Some(path));
    let from = if length < offset { 0 } else { offset }.max(length.saturating_sub(65536));
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
