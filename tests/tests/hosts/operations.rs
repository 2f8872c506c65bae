//! A cluster's daily life: restarts and reloads, reboots and power cuts, people who may not do everything, passwords
//! that change.

mod limited;
mod rebooted;
mod rotated;
mod seen;
mod stray;

use tests::Outcome;
use tests::hosts::Host;

/// The runbook's first half, as root of the primary; what it says goes to the standby's host.
#[track_caller]
fn on_the_primary(db1: &Host, standby: &str) -> Outcome {
    db1.run(&format!(
        "set -o pipefail
         pg-role ensure replicator --password-file /root/s \
         | pg-conf set wal_level=replica wal_keep_size=1GB 'listen_addresses=*' \
         | pg-conf allow replicator --from {standby} \
         | pg-cluster restart | pg-cluster advertise --host db1 | tee /exchange/primary.json"
    ))
    .success()
}

/// Its second half, as root of the standby.
#[track_caller]
fn on_the_standby(db2: &Host) -> Outcome {
    let major = db2.suite.major;
    db2.run(&format!(
        "set -o pipefail
         pg-pass set --input /exchange/primary.json --password-file /root/s | pg-pass check \
         | pg-cluster create {major}/replica -p 5434 | pg-conf match \
         | pg-basebackup-swap run | pg-cluster start | pg-cluster wait --for streaming"
    ))
    .success()
}

/// What systemd, postmaster.pid and Debian's list say of a cluster: its unit's state, whether the unit's main process
/// is the server's, and its status.
#[track_caller]
fn told_of(host: &Host, name: &str) -> String {
    let major = host.suite.major;
    let unit = format!("postgresql@{major}-{name}");
    host.says(&format!(
        "main=$(systemctl show --property MainPID --value {unit})
         pid=$(head -n 1 /var/lib/postgresql/{major}/{name}/postmaster.pid 2>/dev/null || echo 0)
         [ $main = $pid ] && same=same || same=\"unit $main, server $pid\"
         echo \"$(systemctl is-active {unit}), $same, $(pg_lsclusters -h {major} {name} | awk '{{ print $4 }}')\""
    ))
}

/// They agree that it runs.
const UP: &str = "active, same, online";

/// They agree that it doesn't.
const DOWN: &str = "inactive, same, down";
