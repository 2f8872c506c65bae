//! What a host tells of itself where its scenario failed: its commands, its journal, its servers' logs.

use crate::hosts::host::Host;

impl Host {
    /// On stderr; it must not panic, for it runs while one is under way.
    pub(super) fn tell_its_story(&self) {
        eprintln!("--- host {} ({}, {}): what ran on it", self.name, self.suite.name, self.address);
        eprintln!("{}", self.told());
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for (title, script) in [
                ("clusters", "pg_lsclusters; ls -la /var/lib/postgresql/*/ 2>/dev/null"),
                ("processes", "ps -eo pid,ppid,user,args --forest | tail -n 60"),
                ("servers' logs", "tail -n 60 /var/log/postgresql/*.log"),
                ("journal", "journalctl --no-pager --lines 80"),
            ] {
                eprintln!("--- host {}: {title}\n{}", self.name, self.tells(script));
            }
        }));
        if told.is_err() {
            eprintln!("--- host {} doesn't answer any more", self.name);
        }
    }
}
