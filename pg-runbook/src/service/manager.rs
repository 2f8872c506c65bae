//! Who looks after a server.
//!
//! What must always hold: systemd is believed only where its unit's main process is the very process of
//! postmaster.pid; a server that was started past it is told apart.

use crate::cluster::postmaster;
use crate::cluster::{Cluster, Layout};
use crate::failure::Failure;
use crate::invocation::{Invocation, system_program};
use crate::owner;
use std::path::Path;

/// The ways to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manager {
    /// Its unit, which root may tell to start and stop.
    Systemd {
        /// Such as `postgresql@17-main.service`.
        unit: String,
    },
    /// Debian's `pg_ctlcluster`, past systemd.
    Wrapper,
    /// It has a unit, but runs outside it.
    Stray {
        /// The unit that should have started it.
        unit: String,
    },
    /// `pg_ctl`.
    PgCtl,
}

impl Manager {
    /// Who looks after the cluster's server now, or would after a start.
    pub fn of(cluster: &Cluster) -> Result<Self, Failure> {
        let process = postmaster::look(&cluster.data_directory).process();
        let ours = if cluster.layout == Layout::Debian { Self::Wrapper } else { Self::PgCtl };
        if !owner::started_by_root() || !has_systemd() {
            return Ok(ours);
        }
        let unit = match (&cluster.service, &process) {
            (Some(unit), _) => Some(unit.clone()),
            (None, Some(process)) => unit_of(process.pid),
            (None, None) => None,
        };
        let Some(unit) = unit else { return Ok(ours) };
        Ok(match process {
            None => Self::Systemd { unit },
            Some(process) if main_pid(&unit)? == Some(process.pid) => Self::Systemd { unit },
            Some(_) if cluster.layout == Layout::Debian => Self::Stray { unit },
            Some(_) => Self::PgCtl,
        })
    }

    /// As people call it.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Systemd { unit } => unit.clone(),
            Self::Wrapper => "pg_ctlcluster".into(),
            Self::Stray { unit } => format!("outside {unit}"),
            Self::PgCtl => "pg_ctl".into(),
        }
    }
}

/// `sd_booted(3)`.
fn has_systemd() -> bool {
    Path::new("/run/systemd/system").exists()
}

/// The unit whose control group a process is in.
fn unit_of(pid: i32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = text.lines().find(|line| line.starts_with("0::") || line.contains(":name=systemd:"))?;
    let unit = path.rsplit('/').next()?;
    unit.ends_with(".service").then(|| unit.to_owned())
}

fn main_pid(unit: &str) -> Result<Option<i32>, Failure> {
    let shown = Invocation::new(system_program("systemctl")?)
        .args(["show", "--property", "MainPID", "--value", unit])
        .as_started()
        .run()?;
    Ok(shown.stdout.trim().parse().ok().filter(|pid| *pid != 0))
}
