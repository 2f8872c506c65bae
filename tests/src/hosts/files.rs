//! What lies on a host, so that a run that should change nothing can be held to it.

use crate::hosts::host::Host;

/// What a server writes by itself, all the while.
const ITS_OWN: &str = "/(pg_wal|pg_xlog|pg_xact|pg_subtrans|pg_logical|pg_stat|pg_stat_tmp|global|base|log)/";

impl Host {
    /// Each file that a tool could touch: size, owner, mode, time of change, and where a link leads. (A folder's time is
    /// left out: what came or went in it is seen by its name, and overlaid file systems tell it late.)
    #[track_caller]
    pub fn files(&self) -> Vec<String> {
        let said = self.says(&format!(
            "find /etc /home /opt /root /srv /usr/local /var/lib/postgresql \\( -type d -printf '%p %u %m\\n' \\) -o \
             -printf '%p %s %u %m %C@ %l\\n' | grep -v -E '{ITS_OWN}' | sort"
        ));
        said.lines().map(str::to_owned).collect()
    }

    /// Expects the same files as before.
    #[track_caller]
    pub fn expect_same_files(&self, before: &[String]) {
        let after = self.files();
        let new: Vec<&String> = after.iter().filter(|line| !before.contains(line)).collect();
        let gone: Vec<&String> = before.iter().filter(|line| !after.contains(line)).collect();
        assert!(new.is_empty() && gone.is_empty(), "files changed on {}\nnow: {new:#?}\nbefore: {gone:#?}", self.name);
    }
}
