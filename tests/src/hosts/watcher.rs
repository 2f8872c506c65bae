//! Looks over everybody's shoulder for a secret: command lines and environments while a scenario runs, and afterwards
//! whatever its hosts keep.
//!
//! What must always hold: it sees more than any user of a host could; its own needle is in no command line.

use crate::hosts::host::Host;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Watches from its making on.
#[derive(Debug)]
pub struct Watcher {
    secret: String,
    over: Arc<AtomicBool>,
    looks: Arc<AtomicU64>,
    watching: Option<JoinHandle<Vec<String>>>,
}

impl Watcher {
    /// Begins to look; the hosts' processes are among this machine's own.
    pub fn of(secret: &str) -> Self {
        let (over, looks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (needle, until, count) = (secret.to_owned(), Arc::clone(&over), Arc::clone(&looks));
        let watching = std::thread::spawn(move || {
            let mut seen = Vec::new();
            while !until.load(Ordering::Relaxed) {
                look(needle.as_bytes(), &mut seen);
                count.fetch_add(1, Ordering::Relaxed);
                // The scenario needs its processors too.
                std::thread::sleep(Duration::from_millis(2));
            }
            seen
        });
        Self { secret: secret.to_owned(), over, looks, watching: Some(watching) }
    }

    /// Ends looking at processes, and expects that the secret was in no command line and in no environment.
    #[track_caller]
    pub fn expect_nothing_in_processes(mut self) -> Self {
        self.over.store(true, Ordering::Relaxed);
        let seen = self.watching.take().map(|thread| thread.join().expect("the watcher")).unwrap_or_default();
        assert!(self.looks.load(Ordering::Relaxed) > 50, "it hardly looked");
        assert!(seen.is_empty(), "a secret was seen:\n{}", seen.join("\n"));
        self
    }

    /// Expects that the secret is in no file of a host but these, in no journal, and in nothing that a command said.
    #[track_caller]
    pub fn expect_nothing_on(&self, host: &Host, but: &[&str]) {
        assert!(!host.told().contains(&self.secret), "{} said it", host.name);
        // Its pattern comes from a file: the pattern of a search is in its command line.
        let needle = "/exchange/needle";
        let everywhere = "/etc /home /opt /root /run /srv /tmp /var";
        // The pattern's own file has to be found, or the search has proved nothing.
        let but = [but, &[needle]].concat();
        let found = host.says(&format!(
            "journalctl --no-pager | grep -c -F -f {needle} | grep -v '^0$'; \
             grep -r -l -a -F -f {needle} --devices=skip {everywhere} {needle} 2>/dev/null; true"
        ));
        let unexpected: Vec<&str> = found.lines().filter(|path| !but.contains(path)).collect();
        assert!(unexpected.is_empty(), "the secret is on {} in {unexpected:?}", host.name);
        let expected: Vec<&&str> = but.iter().filter(|path| !found.lines().any(|line| line == **path)).collect();
        assert!(expected.is_empty(), "the search on {} missed {expected:?}, so it proves nothing", host.name);
    }
}

/// One that nobody waits for would take the scenario's processors until the end.
impl Drop for Watcher {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn look(needle: &[u8], seen: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir("/proc") else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.file_name().and_then(|name| name.to_str()).is_none_or(|name| name.parse::<u32>().is_err()) {
            continue;
        }
        for what in ["cmdline", "environ"] {
            let held = std::fs::read(path.join(what)).unwrap_or_default();
            if held.windows(needle.len()).any(|window| window == needle) {
                seen.push(format!("{what} of {}", named(&path)));
            }
        }
    }
}

fn named(process: &Path) -> String {
    let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
    format!("{} ({})", name.trim(), process.display())
}
