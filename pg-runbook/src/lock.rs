//! One tool at a time on one cluster.
//!
//! What must always hold: the lock is the kernel's (flock on the data directory itself), so it dies with its holder
//! and leaves no file behind. Whoever exchanges the directory holds the locks of both, so nobody slips in between.

use crate::failure::{Attempt, Failure};
use crate::{process, signals};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Held until dropped.
#[derive(Debug)]
pub struct Lock {
    held: Flock<File>,
}

impl Lock {
    /// Whether this is the lock on the folder that has this name now.
    #[must_use]
    pub fn is_on(&self, folder: &Path) -> bool {
        is_still_there(&self.held, folder)
    }

    /// Who holds the lock on a folder just now, if anybody does.
    pub fn holder(folder: &Path) -> Result<Option<String>, Failure> {
        let file = File::open(folder).attempt(|| format!("look for a lock on {folder:?}"))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(_) => Ok(None),
            Err((file, Errno::EWOULDBLOCK)) => Ok(Some(holder(&file))),
            Err((_, error)) => Err(error).attempt(|| format!("look for a lock on {folder:?}")),
        }
    }

    /// Takes the lock on a folder; waits up to `timeout` (for ever where there is none), and says for whom by `tell`.
    pub fn take(folder: &Path, timeout: Option<Duration>, tell: &mut dyn FnMut(&str)) -> Result<Self, Failure> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let mut told = false;
        loop {
            let mut file = File::open(folder).attempt(|| format!("lock {folder:?}"))?;
            loop {
                match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                    Ok(held) if is_still_there(&held, folder) => return Ok(Self { held }),
                    // It was exchanged while we waited: the folder of that name is another one now.
                    Ok(_) => break,
                    Err((unlocked, Errno::EWOULDBLOCK)) => file = unlocked,
                    Err((_, error)) => return Err(error).attempt(|| format!("lock {folder:?}")),
                }
                let holder = holder(&file);
                if !std::mem::replace(&mut told, true) {
                    tell(&format!("waiting for {holder}, which works on {}", folder.display()));
                }
                signals::safe_point("while waiting for the lock")?;
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    let waited = timeout.unwrap_or_default().as_secs_f32();
                    return Err(Failure::gave_up(format!("lock {folder:?}: {holder} still works on it"))
                        .because(format!("waited {waited} s (--lock-timeout)"))
                        .hint("wait for it, and run this again"));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

fn is_still_there(held: &File, folder: &Path) -> bool {
    let (Ok(ours), Ok(theirs)) = (held.metadata(), std::fs::metadata(folder)) else { return false };
    (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino())
}

fn holder(file: &File) -> String {
    listed(file).unwrap_or_else(|| "another process".into())
}

/// The holder by name and number, from the kernel's own list.
fn listed(file: &File) -> Option<String> {
    let inode = format!(":{}", file.metadata().ok()?.ino());
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let line = locks.lines().find(|line| {
        let mut words = line.split_whitespace();
        words.nth(1) == Some("FLOCK") && words.nth(3).is_some_and(|place| place.ends_with(&inode))
    })?;
    let pid = line.split_whitespace().nth(4)?.parse().ok()?;
    Some(format!("{} (pid {pid})", name(pid).unwrap_or_else(|| "a process".into())))
}

/// By its command line: the kernel's own name for it may be cut short.
fn name(pid: i32) -> Option<String> {
    let words = process::command_line(pid)?;
    Some(Path::new(words.first()?).file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excludes_a_second_holder_says_for_whom_and_lets_it_in_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path(), None, &mut |_| ()).unwrap();
        let mut said = String::new();
        let failure =
            Lock::take(folder.path(), Some(Duration::from_millis(60)), &mut |text| text.clone_into(&mut said))
                .unwrap_err();
        assert_eq!(failure.code, crate::Code::GaveUp);
        let pid = format!("(pid {})", std::process::id());
        assert!(said.contains(&pid), "{said}");
        assert!(Lock::holder(folder.path()).unwrap().is_some_and(|holder| holder.contains(&pid)));
        drop(first);
        assert_eq!(Lock::holder(folder.path()).unwrap(), None);
        Lock::take(folder.path(), Some(Duration::from_millis(60)), &mut |_| ()).unwrap();
    }

    #[test]
    fn leaves_no_file_behind() {
        let folder = tempfile::tempdir().unwrap();
        drop(Lock::take(folder.path(), None, &mut |_| ()).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
