//! The primary as its walsender describes it, the way there, and the slot that is used on it.
//!
//! What must always hold: the login is the one that `pg_basebackup` and the walreceiver will make, with the same
//! password file.

use crate::args::FetchArguments;
use crate::inspect;
use crate::options;
use pg_runbook::cluster::Role;
use pg_runbook::document::Primary;
use pg_runbook::replication::{self, Walsender};
use pg_runbook::server::{Defaults, Target};
use pg_runbook::{Cluster, Failure, Run};

/// A primary that answered.
#[derive(Clone, Debug)]
pub struct Source {
    /// How it was reached, and how the standby will reach it.
    pub target: Target,
    /// What it said.
    pub primary: Primary,
    /// The slot that the standby is to use.
    pub slot: Option<String>,
    /// Whether the primary has that slot; `None` where it is too old to say.
    pub slot_is_there: Option<bool>,
    /// Whether the old standby uses it while the copy is fetched: the copy then has a temporary one.
    pub slot_is_busy: bool,
    /// The system identifier that the document told of, where another one answered.
    pub expected: Option<String>,
}

/// The way to the primary, by the command line and the document, or else the standby's own; nobody is asked.
pub fn way(run: &Run, cluster: &Cluster, arguments: &FetchArguments) -> Result<Target, Failure> {
    let owner = cluster.owner()?;
    let defaults = Defaults { home: Some(owner.home), user: Some(owner.name), ..Defaults::default() };
    let told = run.document.primary.as_ref();
    let mut connection = arguments.connection.clone();
    if told.is_none() && !connection.names_a_server() && !environment_names_a_server() {
        connection.conninfo = inspect::own_way(cluster)?;
    }
    let mut target = replication::target(&connection, told, &defaults)?;
    if let Some(file) = &arguments.passfile {
        target.passfile = Some(std::path::absolute(file).unwrap_or_else(|_| file.clone()));
    }
    refuse_itself(&target, cluster)?;
    match wanted_slot(run, arguments) {
        Some(slot) => options::slot(&slot).map(drop).map_err(|why| {
            Failure::usage(format!("{slot:?} can't be a replication slot's name")).because(why).hint("--slot NAME")
        })?,
        None if arguments.create_slot => {
            return Err(Failure::usage("which replication slot is to be made?")
                .because("neither the command line nor a document names one")
                .hint("--slot NAME --create-slot"));
        }
        None => {}
    }
    Ok(target)
}

fn environment_names_a_server() -> bool {
    ["PGHOST", "PGHOSTADDR", "PGSERVICE"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// A standby of itself would stream, and from nobody.
fn refuse_itself(target: &Target, cluster: &Cluster) -> Result<(), Failure> {
    let answers = target.is_here() && target.port == cluster.port && cluster.has_process();
    // A primary is refused as one, by name or not.
    if !answers || cluster.role != Some(Role::Standby) {
        return Ok(());
    }
    Err(Failure::refused(format!("{} can't be a copy of itself", cluster.title()))
        .because(format!("it is what answers at {}", target.address()))
        .hint("name the primary: -h HOST -p PORT; or another cluster: -D DIRECTORY"))
}

fn wanted_slot(run: &Run, arguments: &FetchArguments) -> Option<String> {
    let told = || run.document.primary.as_ref().and_then(|told| told.slot.clone());
    arguments.slot.clone().or_else(told).filter(|slot| !slot.is_empty())
}

impl Source {
    /// Logs in there, and asks.
    pub fn ask(run: &mut Run, cluster: &Cluster, target: Target, arguments: &FetchArguments) -> Result<Self, Failure> {
        let primary = Walsender::new(target.clone())?.describe()?;
        let told = run.document.primary.as_ref().and_then(|told| told.system_identifier.clone());
        let expected = told.filter(|told| primary.system_identifier.as_ref() != Some(told));
        let slot = wanted_slot(run, arguments);
        let mut source = Self { target, primary, slot, slot_is_there: None, slot_is_busy: false, expected };
        let own = inspect::own_slot(cluster)?;
        let same = cluster.system_identifier.is_some() && cluster.system_identifier == source.primary.system_identifier;
        if let Some(own) = own.as_deref().filter(|_| arguments.slot.is_none() && source.slot.is_none() && same) {
            source.keep_slot(run, cluster, own)?;
        }
        if let Some(slot) = &source.slot {
            source.slot_is_there = source.has_slot(slot)?;
        }
        source.slot_is_busy = source.slot.is_some() && source.slot == own && cluster.has_process();
        Ok(source)
    }

    /// A slot that nobody uses any more keeps the primary's WAL until its disk is full, so the standby's own stays.
    fn keep_slot(&mut self, run: &mut Run, cluster: &Cluster, own: &str) -> Result<(), Failure> {
        if self.has_slot(own)? == Some(false) {
            run.warn(format!("{} used the replication slot {own:?}, which the primary doesn't have", cluster.title()));
        } else {
            self.slot = Some(own.to_owned());
        }
        Ok(())
    }

    fn has_slot(&self, name: &str) -> Result<Option<bool>, Failure> {
        self.walsender()?.has_slot(name, self.major())
    }

    /// A way to ask it more.
    pub fn walsender(&self) -> Result<Walsender, Failure> {
        Walsender::new(self.target.clone())
    }

    /// How large a segment of its write-ahead log is; `None` where it doesn't say.
    #[must_use]
    pub fn wal_segment(&self) -> Option<u64> {
        let said = self.walsender().and_then(|walsender| walsender.show(&["wal_segment_size"])).ok()?;
        let (number, unit) = said.first()?.split_at_checked(said.first()?.len().checked_sub(2)?)?;
        let unit = match unit {
            "MB" => 1 << 20,
            "GB" => 1 << 30,
            _ => return None,
        };
        Some(number.parse::<u64>().ok()? * unit)
    }

    /// The primary's system identifier.
    #[must_use]
    pub fn system_identifier(&self) -> &str {
        self.primary.system_identifier.as_deref().unwrap_or_default()
    }

    /// The primary's major version.
    #[must_use]
    pub fn major(&self) -> u32 {
        self.primary.major.unwrap_or_default()
    }
}
