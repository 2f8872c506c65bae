//! What makes a copy a standby: the signal, and where its primary is.
//!
//! What must always hold: they are ours and minimal. What a newer `pg_basebackup -R` writes names options that an older
//! libpq doesn't know; and no password is in them, only the password file's name.

use pg_runbook::cluster::version;
use pg_runbook::configuration::{ALTER_SYSTEM_FILE, ConfFile, EntryKind};
use pg_runbook::server::Target;
use pg_runbook::server::parameters::quote_value;
use pg_runbook::{Failure, durable_file};
use std::path::{Path, PathBuf};

/// libpq's parameters that a walreceiver of every version from 10 on understands.
const CONNECTION: [&str; 10] =
    ["host", "hostaddr", "port", "user", "passfile", "sslmode", "sslrootcert", "sslcert", "sslkey", "application_name"];

/// `primary_conninfo` for this target.
#[must_use]
pub fn primary_conninfo(target: &Target) -> String {
    let pairs = target.parameters().into_iter().filter(|(key, _)| CONNECTION.contains(key));
    pairs.map(|(key, value)| format!("{key}={}", quote_value(&value))).collect::<Vec<_>>().join(" ")
}

/// Writes them into a copy. `own` is the standby's own postgresql.auto.conf, which stays its own.
pub fn write(copy: &Path, major: u32, own: &[u8], target: &Target, slot: Option<&str>) -> Result<(), Failure> {
    let settings =
        [("primary_conninfo", Some(primary_conninfo(target))), ("primary_slot_name", slot.map(str::to_owned))];
    if version::has_recovery_conf(major) {
        let recovery = recovery_conf(&settings)?;
        durable_file::replace(&copy.join(ALTER_SYSTEM_FILE), own, 0o600)?;
        // 10 and 11 write their WAL's own timeline only until told to follow the primary's.
        durable_file::replace(&copy.join("recovery.conf"), &recovery, 0o600)?;
        return Ok(());
    }
    durable_file::replace(&copy.join(ALTER_SYSTEM_FILE), &with_settings(own, &settings)?, 0o600)?;
    // 12 and later refuse to start where recovery.conf exists; the primary may have kept an old one.
    durable_file::remove(&copy.join("recovery.conf"))?;
    durable_file::remove(&copy.join("recovery.signal"))?;
    durable_file::replace(&copy.join("standby.signal"), b"", 0o600).map(drop)
}

/// What is being copied has a control file before it is made a standby: whoever starts it then gets no primary.
pub fn keep_from_coming_up(copy: &Path, major: u32) -> Result<(), Failure> {
    let text = if version::has_recovery_conf(major) { recovery_conf(&[])? } else { Vec::new() };
    durable_file::replace(&copy.join(signal_file(major)), &text, 0o600).map(drop)
}

/// Where a copy's primary is, and its slot: what was written into it, or changed since.
fn written(copy: &Path, major: u32) -> Result<[Option<String>; 2], Failure> {
    let file = if version::has_recovery_conf(major) { "recovery.conf" } else { ALTER_SYSTEM_FILE };
    let file = ConfFile::parse(&durable_file::read(&copy.join(file))?.unwrap_or_default());
    Ok(["primary_conninfo", "primary_slot_name"].map(|wanted| {
        file.entries().iter().rev().find_map(|entry| match &entry.kind {
            EntryKind::Assignment { name, value } if name == wanted => Some(value.clone()),
            _ => None,
        })
    }))
}

/// The way to its primary that stands in a copy.
pub fn conninfo_of(copy: &Path, major: u32) -> Result<Option<String>, Failure> {
    let [conninfo, _] = written(copy, major)?;
    Ok(conninfo)
}

/// The slot that a copy is to use.
pub fn slot_of(copy: &Path, major: u32) -> Result<Option<String>, Failure> {
    let [_, slot] = written(copy, major)?;
    Ok(slot.filter(|slot| !slot.is_empty()))
}

/// The standby's own postgresql.auto.conf as it is now, for a copy that was fetched before.
pub fn renew(copy: &Path, major: u32, own: &[u8]) -> Result<(), Failure> {
    if version::has_recovery_conf(major) {
        return durable_file::replace(&copy.join(ALTER_SYSTEM_FILE), own, 0o600).map(drop);
    }
    let [conninfo, slot] = written(copy, major)?;
    let settings = [("primary_conninfo", conninfo), ("primary_slot_name", slot)];
    durable_file::replace(&copy.join(ALTER_SYSTEM_FILE), &with_settings(own, &settings)?, 0o600).map(drop)
}

/// What a private server on a copy is told besides: another name, and no slot that somebody else uses. Until 11 that
/// can only stand in recovery.conf; the copy's own lies beside it meanwhile.
pub fn for_private_server(
    copy: &Path,
    major: u32,
    name: &str,
    takes_slot: bool,
) -> Result<Vec<(&'static str, String)>, Failure> {
    let [conninfo, slot] = written(copy, major)?;
    // libpq takes the last one of a name.
    let conninfo = format!("{} application_name={name}", conninfo.unwrap_or_default());
    let slot = slot.filter(|_| takes_slot);
    if !version::has_recovery_conf(major) {
        let slot = slot.unwrap_or_default();
        return Ok(vec![("primary_conninfo", conninfo), ("primary_slot_name", slot)]);
    }
    if !set_aside(copy).exists() {
        let own = durable_file::read(&copy.join("recovery.conf"))?.unwrap_or_default();
        durable_file::replace(&set_aside(copy), &own, 0o600)?;
    }
    let private = recovery_conf(&[("primary_conninfo", Some(conninfo)), ("primary_slot_name", slot)])?;
    durable_file::replace(&copy.join("recovery.conf"), &private, 0o600)?;
    Ok(Vec::new())
}

/// Gives a copy its own recovery.conf back.
pub fn after_private_server(copy: &Path, major: u32) -> Result<(), Failure> {
    if let Some(own) = durable_file::read(&set_aside(copy))?.filter(|_| version::has_recovery_conf(major)) {
        durable_file::replace(&copy.join("recovery.conf"), &own, 0o600)?;
    }
    durable_file::remove(&set_aside(copy))
}

fn set_aside(copy: &Path) -> PathBuf {
    copy.join("pg-runbook.recovery.conf")
}

/// The file whose presence keeps a data directory from coming up as a primary.
#[must_use]
pub fn signal_file(major: u32) -> &'static str {
    if version::has_recovery_conf(major) { "recovery.conf" } else { "standby.signal" }
}

fn recovery_conf(settings: &[(&str, Option<String>)]) -> Result<Vec<u8>, Failure> {
    let mut file = ConfFile::parse(b"");
    file.insert("standby_mode", "on")?;
    file.insert("recovery_target_timeline", "latest")?;
    for (name, value) in settings {
        if let Some(value) = value {
            file.insert(name, value)?;
        }
    }
    Ok(file.to_bytes())
}

fn with_settings(own: &[u8], settings: &[(&str, Option<String>)]) -> Result<Vec<u8>, Failure> {
    let mut file = ConfFile::parse(own);
    for (name, value) in settings {
        while let Some(line) = last_line_of(&file, name) {
            file.remove(line)?;
        }
        if let Some(value) = value {
            file.insert(name, value)?;
        }
    }
    Ok(file.to_bytes())
}

fn last_line_of(file: &ConfFile, wanted: &str) -> Option<usize> {
    let mine = |kind: &EntryKind| matches!(kind, EntryKind::Assignment { name, .. } if name == wanted);
    file.entries().iter().rev().find(|entry| mine(&entry.kind)).map(|entry| entry.line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_standbys_own_settings_and_replaces_the_old_primary() {
        let own = b"# Do not edit this file manually!\nwork_mem = '8MB'\nprimary_conninfo = 'host=old'\nprimary_slot_name = 's'\n";
        let settings = [("primary_conninfo", Some("host=db1 user=replicator".to_owned())), ("primary_slot_name", None)];
        let text = String::from_utf8(with_settings(own, &settings).unwrap()).unwrap();
        assert_eq!(
            text,
            "# Do not edit this file manually!\nwork_mem = '8MB'\nprimary_conninfo = 'host=db1 user=replicator'\n"
        );
    }

    #[test]
    fn tells_10_and_11_to_follow_the_latest_timeline() {
        let settings = [("primary_conninfo", Some("host=db1".to_owned()))];
        let text = String::from_utf8(recovery_conf(&settings).unwrap()).unwrap();
        assert_eq!(text, "standby_mode = on\nrecovery_target_timeline = latest\nprimary_conninfo = 'host=db1'\n");
    }

    #[test]
    fn the_signal_follows_the_version() {
        assert_eq!(
            (signal_file(11), signal_file(12), signal_file(19)),
            ("recovery.conf", "standby.signal", "standby.signal")
        );
    }
}
