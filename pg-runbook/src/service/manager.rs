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
    /// The way that whoever started the tool can go: only root may tell systemd to start and stop.
    pub fn of(cluster: &Cluster) -> Result<Self, Failure> {
        if owner::started_by_root() { Self::seen(cluster) } else { Ok(Self::past_systemd(cluster)) }
    }

    fn past_systemd(cluster: &Cluster) -> Self {
        if cluster.layout == Layout::Debian { Self::Wrapper } else { Self::PgCtl }
    }

    /// Who looks after the cluster's server now, or would after a start: systemd tells everybody.
    pub fn seen(cluster: &Cluster) -> Result<Self, Failure> {
        let process = postmaster::look(&cluster.data_directory).process();
        let ours = Self::past_systemd(cluster);
        if !has_systemd() {
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
            Some(process) if Unit::look(&unit)?.has(process.pid) => Self::Systemd { unit },
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

/// Whether the cluster's unit, if it has one, has ended all that it does once its server is gone. Debian's then stops
/// the cluster by its name: a server that was started past it meanwhile would be stopped.
pub(super) fn unit_is_at_rest(cluster: &Cluster) -> bool {
    let Some(unit) = cluster.service.as_ref().filter(|_| has_systemd()) else { return true };
    // Who can't ask can't wait either.
    Unit::look(unit).map_or(true, |unit| unit.is_at_rest())
}

/// What systemd knows of a unit.
#[derive(Debug, Default, PartialEq, Eq)]
struct Unit {
    main_pid: i32,
    state: String,
}

impl Unit {
    fn look(name: &str) -> Result<Self, Failure> {
        let properties = ["show", "--property", "MainPID", "--property", "ActiveState", name];
        let shown = Invocation::new(system_program("systemctl")?).args(properties).as_started().run()?;
        Ok(Self::parse(&shown.stdout))
    }

    fn parse(text: &str) -> Self {
        let value = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            lines.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        Self { main_pid: value("MainPID").parse().unwrap_or_default(), state: value("ActiveState") }
    }

    /// While it starts, it doesn't know its main process yet.
    fn has(&self, pid: i32) -> bool {
        self.main_pid == pid || self.state == "activating"
    }

    fn is_at_rest(&self) -> bool {
        ["inactive", "failed"].contains(&self.state.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_has_the_server_that_it_started_or_is_starting() {
        let unit = Unit::parse("MainPID=42\nActiveState=active\n");
        assert!(unit.has(42) && !unit.has(43) && !unit.is_at_rest());
        assert!(Unit::parse("ActiveState=activating\nMainPID=0\n").has(42));
        let stops = Unit::parse("MainPID=0\nActiveState=deactivating\n");
        assert!(!stops.has(42) && !stops.is_at_rest());
        assert!(Unit::parse("MainPID=0\nActiveState=failed\n").is_at_rest());
    }
}
