//! Acting as the cluster's owner.
//!
//! What must always hold: once an owner is known, a tool that root started touches files and sockets with the owner's
//! rights (its effective ids), and is root again only inside [`as_started`].

use crate::failure::{Attempt, Failure};
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{
    AccessFlags, Gid, Uid, User, faccessat, geteuid, getgid, getuid, initgroups, setegid, seteuid, setgroups,
};
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::Mutex;

/// A user of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The login name; the number where the host has no name for it.
    pub name: String,
    /// The user's number.
    pub uid: Uid,
    /// The main group's number.
    pub gid: Gid,
    /// The home directory.
    pub home: PathBuf,
}

impl Owner {
    /// The user with this number.
    pub fn of_uid(uid: u32) -> Result<Self, Failure> {
        let user = User::from_uid(Uid::from_raw(uid)).attempt(|| format!("look up user {uid}"))?;
        Ok(user.map_or_else(
            || Self { name: uid.to_string(), uid: Uid::from_raw(uid), gid: getgid(), home: PathBuf::from("/") },
            Self::from,
        ))
    }

    /// The user with this name.
    pub fn named(name: &str) -> Result<Option<Self>, Failure> {
        Ok(User::from_name(name).attempt(|| format!("look up user {name:?}"))?.map(Self::from))
    }

    /// Whoever started this process.
    pub fn starter() -> Result<Self, Failure> {
        Self::of_uid(getuid().as_raw())
    }
}

impl From<User> for Owner {
    fn from(user: User) -> Self {
        Self { name: user.name, uid: user.uid, gid: user.gid, home: user.dir }
    }
}

static ACTING: Mutex<Option<Owner>> = Mutex::new(None);

/// Who the tool acts as, where root started it and an owner is known.
#[must_use]
pub fn acting() -> Option<Owner> {
    ACTING.lock().ok().and_then(|acting| acting.clone())
}

/// Whether root started this process.
#[must_use]
pub fn started_by_root() -> bool {
    getuid().is_root()
}

/// From here on acts as `owner`, if root started this process; anyone else stays who they are.
pub fn act_as(owner: &Owner) -> Result<(), Failure> {
    if !started_by_root() || geteuid() == owner.uid {
        return Ok(());
    }
    if acting().is_some() {
        raise()?;
    }
    if let Ok(mut acting) = ACTING.lock() {
        *acting = Some(owner.clone());
    }
    lower(owner)
}

/// Runs `work` with the rights that this process was started with: for systemctl, packages, and Debian's wrappers.
pub fn as_started<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let Some(owner) = acting() else { return work() };
    raise()?;
    let result = work();
    lower(&owner)?;
    result
}

/// The owner's groups too: a TLS key may be readable by a group only (Debian's ssl-cert).
fn lower(owner: &Owner) -> Result<(), Failure> {
    let doing = || format!("act as {}", owner.name);
    let known = User::from_uid(owner.uid).attempt(doing)?.is_some();
    if known {
        initgroups(&CString::new(owner.name.as_str()).attempt(doing)?, owner.gid).attempt(doing)?;
    } else {
        setgroups(&[owner.gid]).attempt(doing)?;
    }
    setegid(owner.gid).attempt(doing)?;
    seteuid(owner.uid).attempt(doing)
}

fn raise() -> Result<(), Failure> {
    let doing = || "act as root again";
    seteuid(getuid()).attempt(doing)?;
    setegid(getgid()).attempt(doing)?;
    setgroups(&[getgid()]).attempt(doing)
}

/// Whether the rights in force (not those that the tool was started with) allow to write into a folder.
#[must_use]
pub fn may_write(folder: &std::path::Path) -> bool {
    faccessat(AT_FDCWD, folder, AccessFlags::W_OK, AtFlags::AT_EACCESS).is_ok()
}

/// Whether the rights in force reach what belongs to `uid`.
#[must_use]
pub fn reaches(uid: u32) -> bool {
    geteuid().is_root() || geteuid().as_raw() == uid
}
