//! Versions are numbers with named differences, so that a newer major works until shown otherwise.

/// Newer than any: with every difference that is known.
pub const NEWEST: u32 = u32::MAX;

/// Whether a standby is told so by recovery.conf (12 and later refuse to start where it exists).
#[must_use]
pub fn has_recovery_conf(major: u32) -> bool {
    major < 12
}

/// Whether WAL is kept by `wal_keep_segments` (13 renamed it to `wal_keep_size`).
#[must_use]
pub fn wal_keep_is_segments(major: u32) -> bool {
    major < 13
}

/// Whether `max_wal_senders` is one of the bounds that a hot standby must not be below.
#[must_use]
pub fn bounds_wal_senders(major: u32) -> bool {
    major >= 12
}

/// Whether a walsender answers `READ_REPLICATION_SLOT`.
#[must_use]
pub fn reads_replication_slots(major: u32) -> bool {
    major >= 15
}

/// Whether a base backup comes with a manifest of its files, and `pg_verifybackup` with the server.
#[must_use]
pub fn makes_manifests(major: u32) -> bool {
    major >= 13
}

/// Whether a file can promote a standby by being there (until 11 that stands in recovery.conf, and 16 took it away).
#[must_use]
pub fn has_promote_trigger_file(major: u32) -> bool {
    (12..16).contains(&major)
}

/// Whether statistics are kept in files while the server runs (15 has them in shared memory).
#[must_use]
pub fn has_statistics_files(major: u32) -> bool {
    major < 15
}

/// Whether a standby can bring the primary's logical slots (`sync_replication_slots`).
#[must_use]
pub fn synchronizes_slots(major: u32) -> bool {
    major >= 17
}

/// The settings that a hot standby must not be below.
#[must_use]
pub fn standby_bounds(major: u32) -> Vec<&'static str> {
    let mut names =
        vec!["max_connections", "max_worker_processes", "max_prepared_transactions", "max_locks_per_transaction"];
    if bounds_wal_senders(major) {
        names.insert(2, "max_wal_senders");
    }
    names
}
