//! What is said where a copy does not fit, or is not known to.

use super::{Disk, What, megabytes};
use crate::args::Space;
use pg_runbook::invocation::shell_word;
use pg_runbook::{Cluster, Failure};

impl Disk {
    /// The refusal where what comes does not fit; and, where `must_be_sure`, where it may not.
    #[must_use]
    pub fn refusal(&self, cluster: &Cluster, role: &str, must_be_sure: bool) -> Option<Failure> {
        if self.is_too_small() {
            return Some(self.too_small(cluster, role));
        }
        (must_be_sure && self.most > self.free).then(|| self.may_be_too_small(role))
    }

    /// The refusal, in numbers.
    #[must_use]
    pub fn too_small(&self, cluster: &Cluster, role: &str) -> Failure {
        let (free, folder, what) = (megabytes(self.free), self.folder.display(), self.what());
        // A guess that proved too low is no number to tell.
        let message = match self.bytes.filter(|bytes| self.holds_all || *bytes > self.free) {
            Some(bytes) => format!("the copy needs {}{what}, and {free} are free beside {folder}", megabytes(bytes)),
            None => format!("the copy{what} needs more than the {free} that are free beside {folder}"),
        };
        let failure = Failure::refused(message).because(match self.space {
            _ if self.holds_only_wal() => "a segment comes with the copy, and another one as it catches up",
            Space::Keep => "the old directory is kept until the new one streams, so both must fit",
            Space::Replace => "the old data is counted as free already",
        });
        let way_out = self.way_out(cluster);
        if !self.is_guessed {
            return failure.hint(way_out);
        }
        failure
            .because("the primary tells this role no tablespace's size, so the old standby's are the measure")
            .hint(format!("{way_out}; or have the primary say their sizes: {}", asking_by_sql(role)))
    }

    fn may_be_too_small(&self, role: &str) -> Failure {
        Failure::refused(format!(
            "it is not known whether the copy will fit: up to {} may come{}, and {} are free beside {}",
            megabytes(self.most),
            self.what(),
            megabytes(self.free),
            self.folder.display()
        ))
        .because("the old data is counted as free already, and would be gone")
        .because("the primary tells this role no tablespace's size")
        .hint(asking_by_sql(role))
    }

    /// For which parts, where there are others; the write-ahead log has no size before it is written.
    fn what(&self) -> String {
        let only_wal = self.holds_only_wal();
        let named = self.parts.iter().filter(|part| only_wal || part.what != What::Wal);
        let named: Vec<String> = named.map(|part| part.what.to_string()).collect();
        let parts = if self.holds_all { String::new() } else { format!(" for {}", named.join(" and ")) };
        if self.has_wal && !only_wal { format!("{parts} and the WAL that is written meanwhile") } else { parts }
    }

    fn way_out(&self, cluster: &Cluster) -> String {
        let option = cluster.option();
        let folder = shell_word(self.folder.as_os_str());
        let look = format!("df -h {folder}; and what may be removed there: pg-basebackup-swap status {option}");
        if self.holds_only_wal() {
            return format!("{look}; or name another place: --waldir DIRECTORY");
        }
        let helps = |bytes| bytes <= self.free + self.old_data(&cluster.data_directory);
        if self.space == Space::Keep && self.bytes.is_none_or(helps) {
            return format!(
                "{look}; or, with no way back and nobody served while the copy is fetched: pg-basebackup-swap run {option} \
                 --force --space replace"
            );
        }
        look
    }
}

/// What has the primary tell a role all sizes.
pub fn asking_by_sql(role: &str) -> String {
    let role = shell_word(role.as_ref());
    format!(
        "on the primary: pg-role ensure {role} --member-of pg_monitor; pg-conf allow {role} --database postgres --from \
         ADDRESS; here: pg-pass set --dbname postgres …"
    )
}
