//! Settings that came or went, as far as administrators of standbys and upgrades meet them: the release notes of 9.2 to
//! 18, in one table.
//!
//! What must always hold: the table only explains. Whether a setting is known is always the server's own word.

use pg_runbook::cluster::version;

/// A setting that some versions don't have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// In lower case.
    pub name: &'static str,
    /// The first version that has it; empty where all of 10 and later do, or did.
    pub came: &'static str,
    /// The first version that doesn't have it any more; empty where there is none.
    pub went: &'static str,
    /// The setting to look at instead; empty where there is none.
    pub instead: &'static str,
    /// What to know besides.
    pub words: &'static str,
}

impl Setting {
    /// Whether a server of this major has it.
    #[must_use]
    pub fn is_in(&self, major: u32) -> bool {
        number(self.came).is_none_or(|came| came <= major) && number(self.went).is_none_or(|went| major < went)
    }
}

/// 9 of `9.5`, 17 of `17`.
fn number(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

const fn came(name: &'static str, came: &'static str) -> Setting {
    Setting { name, came, went: "", instead: "", words: "" }
}

const fn went(name: &'static str, went: &'static str, instead: &'static str, words: &'static str) -> Setting {
    Setting { name, came: "", went, instead, words }
}

/// What came or went.
pub const SETTINGS: [Setting; 62] = [
    came("allow_alter_system", "17"),
    came("archive_library", "15"),
    came("autovacuum_worker_slots", "18"),
    came("client_connection_check_interval", "14"),
    came("compute_query_id", "14"),
    came("debug_parallel_query", "16"),
    came("extension_control_path", "18"),
    came("hash_mem_multiplier", "13"),
    came("huge_page_size", "14"),
    came("idle_replication_slot_timeout", "18"),
    came("idle_session_timeout", "14"),
    came("io_combine_limit", "17"),
    came("io_method", "18"),
    came("jit", "11"),
    came("log_recovery_conflict_waits", "14"),
    came("log_startup_progress_interval", "15"),
    came("log_statement_sample_rate", "13"),
    came("logical_decoding_work_mem", "13"),
    came("maintenance_io_concurrency", "13"),
    came("max_active_replication_origins", "18"),
    came("max_slot_wal_keep_size", "13"),
    came("plan_cache_mode", "12"),
    came("recovery_init_sync_method", "14"),
    came("recovery_prefetch", "15"),
    came("reserved_connections", "16"),
    came("scram_iterations", "16"),
    came("shared_memory_size", "15"),
    came("shared_memory_type", "12"),
    came("ssl_crl_dir", "14"),
    came("ssl_groups", "18"),
    came("ssl_max_protocol_version", "12"),
    came("ssl_min_protocol_version", "12"),
    came("summarize_wal", "17"),
    came("sync_replication_slots", "17"),
    came("synchronized_standby_slots", "17"),
    came("tcp_user_timeout", "12"),
    came("track_wal_io_timing", "14"),
    came("transaction_timeout", "17"),
    came("vacuum_buffer_usage_limit", "16"),
    came("vacuum_failsafe_age", "14"),
    came("wal_decode_buffer_size", "15"),
    came("wal_init_zero", "12"),
    came("wal_receiver_create_temp_slot", "13"),
    came("wal_recycle", "12"),
    came("wal_skip_threshold", "13"),
    came("wal_summary_keep_time", "17"),
    went("checkpoint_segments", "9.5", "max_wal_size", "about three times as many segments of 16 MB"),
    went("custom_variable_classes", "9.2", "", "names with a dot need no leave any more"),
    went("db_user_namespace", "17", "", "users of one database only are gone"),
    went("force_parallel_mode", "16", "debug_parallel_query", "it is the same under another name"),
    went("lc_collate", "16", "", "each database has its own: SELECT datcollate FROM pg_database"),
    went("lc_ctype", "16", "", "each database has its own: SELECT datctype FROM pg_database"),
    went("max_fsm_pages", "8.4", "", "free space is tracked on disk, without a bound"),
    went(
        "min_parallel_relation_size",
        "10",
        "min_parallel_table_scan_size",
        "indexes have min_parallel_index_scan_size",
    ),
    went("old_snapshot_threshold", "17", "", "snapshots don't grow too old any more"),
    went("operator_precedence_warning", "14", "", "it told of queries that 9.5 reads otherwise"),
    went("replacement_sort_tuples", "11", "", "sorts don't work that way any more"),
    went("sql_inheritance", "10", "", "SELECT FROM ONLY leaves the child tables out"),
    went("stats_temp_directory", "15", "", "statistics live in shared memory"),
    went("unix_socket_directory", "9.3", "unix_socket_directories", "it takes a list"),
    Setting { came: "11", ..went("vacuum_cleanup_index_scale_factor", "14", "", "it had no effect from 13.3 on") },
    went("vacuum_defer_cleanup_age", "16", "hot_standby_feedback", "or a replication slot"),
];

/// What to say of a setting that this major doesn't have: why, and what to type instead, which takes a cluster.
#[must_use]
pub fn elsewhere(name: &str, major: u32) -> Option<(String, Option<String>)> {
    if let Some((why, hint)) = of_recovery(name, major) {
        return Some((why.to_owned(), Some(hint.to_owned())));
    }
    let found = SETTINGS.iter().find(|setting| setting.name == name && !setting.is_in(major))?;
    let when = match number(found.came).filter(|came| major < *came) {
        Some(came) => format!("it came with PostgreSQL {came}"),
        None => format!("it went with PostgreSQL {}", found.went),
    };
    let instead = Some(found.instead).filter(|instead| !instead.is_empty());
    let parts = [Some(when), instead.map(|name| format!("there is {name} instead")), Some(found.words.to_owned())];
    let why = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
    Some((why, instead.map(|name| format!("pg-conf get {name}"))))
}

/// What recovery.conf had, until it went with 12.
fn of_recovery(name: &str, major: u32) -> Option<(&'static str, &'static str)> {
    let own = matches!(name, "primary_conninfo" | "primary_slot_name" | "restore_command" | "archive_cleanup_command")
        || name.starts_with("recovery_") && !matches!(name, "recovery_init_sync_method" | "recovery_prefetch");
    let before = version::has_recovery_conf(major);
    match name {
        _ if own && before => Some(("before 12 it stands in recovery.conf", "pg-basebackup-swap run")),
        "standby_mode" if before => Some(("before 12 it stands in recovery.conf", "pg-basebackup-swap run")),
        "standby_mode" => Some(("from 12 on the file standby.signal takes its place", "pg-basebackup-swap run")),
        "trigger_file" if before => Some(("before 12 it stands in recovery.conf", "pg-cluster promote")),
        "promote_trigger_file" if before => {
            Some(("before 12 it is trigger_file in recovery.conf", "pg-cluster promote"))
        }
        "trigger_file" if major < 16 => {
            Some(("from 12 on it is promote_trigger_file", "pg-conf get promote_trigger_file"))
        }
        "trigger_file" | "promote_trigger_file" => {
            Some(("from 16 on a standby is only promoted by being told so", "pg-cluster promote"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_when_a_setting_came_or_went_and_what_there_is_instead() {
        let said = |name: &str, major: u32| elsewhere(name, major).map(|(why, hint)| (why, hint.unwrap_or_default()));
        let why =
            "it went with PostgreSQL 9.5; there is max_wal_size instead; about three times as many segments of 16 MB";
        assert_eq!(said("checkpoint_segments", 15), Some((why.into(), "pg-conf get max_wal_size".into())));
        assert_eq!(said("summarize_wal", 15), Some(("it came with PostgreSQL 17".into(), String::new())));
        assert_eq!(said("summarize_wal", 17), None);
        assert_eq!(said("stats_temp_directory", 14), None);
        assert!(said("stats_temp_directory", 15).unwrap().0.contains("shared memory"));
    }

    #[test]
    fn says_where_the_settings_of_recovery_went() {
        let said = |name: &str, major: u32| elsewhere(name, major).map(|(why, _)| why).unwrap_or_default();
        assert!(said("primary_conninfo", 10).contains("recovery.conf"));
        assert_eq!(said("primary_conninfo", 12), "");
        assert!(said("standby_mode", 10).contains("recovery.conf"));
        assert!(said("standby_mode", 12).contains("standby.signal"));
        assert!(said("trigger_file", 12).contains("promote_trigger_file"));
        assert!(said("promote_trigger_file", 16).contains("promoted"));
        assert!(said("recovery_prefetch", 10).contains("came with PostgreSQL 15"));
    }

    #[test]
    fn each_setting_is_told_once_and_came_before_it_went() {
        for (index, setting) in SETTINGS.iter().enumerate() {
            assert!(
                SETTINGS[..index].iter().all(|other| other.name != setting.name),
                "{} is there twice",
                setting.name
            );
            assert!(!setting.came.is_empty() || !setting.went.is_empty(), "{}", setting.name);
        }
    }
}
