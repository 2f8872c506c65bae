//! What is there, and whether it may be replaced: the looks that come before anything is touched.
//!
//! What must always hold: a cluster that holds what could be somebody's only copy is refused unless its system
//! identifier names it; a running primary of the same system is refused always, for it may be the primary itself.

use crate::args::{FetchArguments, ReplacedArguments, Space};
use crate::outside;
use crate::places::Places;
use crate::source::{self, Source};
use crate::standby_settings;
use crate::streaming::{self, Goal};
use pg_runbook::cluster::{Role, contents, plain, version};
use pg_runbook::configuration::{ConfFile, EntryKind};
use pg_runbook::invocation::shell_word;
use pg_runbook::server::place;
use pg_runbook::{Cluster, Failure, GivenUp, Run, durable_file, signals, standby};
use std::path::PathBuf;

/// What a cluster is to a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It streams from this system: nothing to do. From where, if not from the source itself.
    Streams(Option<String>),
    /// It is a standby of this system, and its server is down: a start shows whether it needs a copy.
    Down,
    /// It may be replaced, for this reason.
    Replaceable(&'static str),
}

/// The primary, and what the cluster is to it, as far as it could be found out; what could not is told with everything
/// else that stands in the way.
pub struct Situation {
    /// The primary, or why it can't be asked.
    pub source: Result<Source, Failure>,
    /// What the cluster is to it, or why it may not be replaced; `None` where the primary isn't known.
    pub standing: Result<Option<Standing>, Failure>,
    /// Whether the cluster's own system identifier was given: it is meant, whatever it holds.
    pub named: bool,
    /// What becomes of the old data.
    pub space: Space,
}

impl Situation {
    /// Looks. Only what was typed wrong fails at once.
    pub fn look(
        run: &mut Run,
        cluster: &mut Cluster,
        arguments: &FetchArguments,
        replaced: &ReplacedArguments,
    ) -> Result<Self, Failure> {
        let target = source::way(run, cluster, arguments)?;
        let source = Source::ask(run, cluster, target, arguments);
        let standing = match &source {
            Ok(source) if source.expected.is_none() => {
                let goal = Goal::current(source.system_identifier(), source.primary.timeline);
                judge(run, cluster, &goal, replaced).map(|standing| Some(beside(run, cluster, standing, source)))
            }
            _ => Ok(None),
        };
        signals::safe_point("while looking at the primary and the cluster")?;
        let named = replaced.replace.is_some() && replaced.replace == cluster.system_identifier;
        let is_given_up = GivenUp::of(&cluster.data_directory)?.is_some();
        Ok(Self { source, standing, named, space: if is_given_up { Space::Replace } else { Space::Keep } })
    }

    /// What the cluster is, where that is known and nothing forbids it.
    #[must_use]
    pub fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref().ok().and_then(Option::as_ref)
    }
}

/// Another server of this system (the primary itself, another standby) has the same data: whether it is to follow this
/// one instead is not for us to say.
fn beside(run: &mut Run, cluster: &Cluster, standing: Standing, source: &Source) -> Standing {
    let Standing::Streams(Some(sender)) = standing else { return standing };
    let target = &source.target;
    let hosts = [Some(target.host.clone()), target.hostaddr.map(|address| address.to_string())];
    if hosts.into_iter().flatten().any(|host| place(&host, target.port) == sender) {
        return Standing::Streams(None);
    }
    run.warn(format!(
        "{} streams from {sender}, not from {}; if these are two servers, --force clones it from the latter",
        cluster.title(),
        target.address()
    ));
    Standing::Streams(Some(sender))
}

/// Whether the cluster may, and need, be replaced by a copy of the system.
pub fn judge(
    run: &mut Run,
    cluster: &mut Cluster,
    goal: &Goal,
    arguments: &ReplacedArguments,
) -> Result<Standing, Failure> {
    let system = &goal.system_identifier;
    let own = match GivenUp::of(&cluster.data_directory)? {
        Some(_) => return Ok(Standing::Replaceable("its data was given up for a copy")),
        None => cluster.system_identifier.clone(),
    };
    let Some(own) = own else {
        return Err(Failure::refused(format!("{} can't be told from somebody's only copy", cluster.title()))
            .because(format!("{} can't be read", cluster.data_directory.join("global/pg_control").display()))
            .hint("look what it holds; if nothing, move it away and make a new one with pg-cluster create"));
    };
    let named = arguments.replace.as_deref() == Some(own.as_str());
    // The files say what it will be after the next start; the processes, what it is.
    let in_recovery = standby::processes(cluster).in_recovery;
    if own == *system && cluster.role == Some(Role::Standby) && in_recovery != Some(false) {
        if let Some(file) = recovers_to_a_point(cluster)? {
            let why = format!(
                "it is not a standby but a recovery to a point in time ({file}): it may hold what no other server has"
            );
            return if named {
                Ok(Standing::Replaceable("named by --replace"))
            } else {
                Err(refuse(cluster, &own, &why))
            };
        }
        return judge_standby(run, cluster, goal, arguments.force);
    }
    if own == *system {
        if in_recovery == Some(true) {
            let signal = standby_settings::signal_file(cluster.major);
            return Err(Failure::refused(format!("{} runs as a standby, and has no {signal}", cluster.title()))
                .because("after its next start it would be a primary")
                .hint(format!("put it back: {}", signal_back(cluster))));
        }
        if cluster.has_process() {
            return Err(Failure::refused(format!("{} runs as a primary of this very system", cluster.title()))
                .because("it may be the primary itself, or a fork of it that took writes")
                .hint(format!(
                    "if it is to become a standby: pg-cluster stop {}, and run this again",
                    cluster.option()
                )));
        }
        let why = "it has this system's data and was a primary: it may hold what no other server has";
        return if named { Ok(Standing::Replaceable("named by --replace")) } else { Err(refuse(cluster, &own, why)) };
    }
    match contents::user_data(&cluster.data_directory)? {
        None => Ok(Standing::Replaceable("it is empty")),
        Some(_) if named => Ok(Standing::Replaceable("named by --replace")),
        Some(found) => Err(refuse(cluster, &own, &format!("it belongs to another system and holds {found}"))),
    }
}

fn signal_back(cluster: &Cluster) -> String {
    let path = cluster.data_directory.join(standby_settings::signal_file(cluster.major));
    let words =
        ["sudo", "-u", &cluster.owner, "touch", &path.display().to_string()].map(|word| shell_word(word.as_ref()));
    if version::has_recovery_conf(cluster.major) { format!("write {}", path.display()) } else { words.join(" ") }
}

/// The file that asks for a recovery which ends by itself, where there is one: `recovery.signal` without
/// `standby.signal`, until 11 a recovery.conf without `standby_mode`.
fn recovers_to_a_point(cluster: &Cluster) -> Result<Option<&'static str>, Failure> {
    let there = |name: &str| cluster.data_directory.join(name).exists();
    if !version::has_recovery_conf(cluster.major) {
        // 12 and later don't start where recovery.conf exists, so that one is nobody's standby either.
        let left = if there("recovery.signal") { "recovery.signal" } else { "recovery.conf" };
        return Ok((!there("standby.signal")).then_some(left));
    }
    let on = in_recovery_conf(cluster, "standby_mode")?.is_some_and(|value| is_true(&value));
    Ok((!on).then_some("recovery.conf"))
}

/// What the last line of that name in recovery.conf says.
fn in_recovery_conf(cluster: &Cluster, wanted: &str) -> Result<Option<String>, Failure> {
    let bytes = durable_file::read(&cluster.data_directory.join("recovery.conf"))?.unwrap_or_default();
    let file = ConfFile::parse(&bytes);
    Ok(file.entries().iter().rev().find_map(|entry| match entry.kind.clone() {
        EntryKind::Assignment { name, value } if name == wanted => Some(value),
        _ => None,
    }))
}

/// The slot that the cluster, if it is a standby, uses now.
pub fn own_slot(cluster: &Cluster) -> Result<Option<String>, Failure> {
    own(cluster, "primary_slot_name")
}

/// The way to its primary that the cluster, if it is a standby, goes now; one with a password in it is nobody else's.
pub fn own_way(cluster: &Cluster) -> Result<Option<String>, Failure> {
    Ok(own(cluster, "primary_conninfo")?.filter(|text| !text.contains("password")))
}

fn own(cluster: &Cluster, name: &str) -> Result<Option<String>, Failure> {
    if cluster.role != Some(Role::Standby) {
        return Ok(None);
    }
    let value = if version::has_recovery_conf(cluster.major) {
        in_recovery_conf(cluster, name)?
    } else {
        cluster.configuration()?.in_force(name).map(|found| found.value.clone())
    };
    Ok(value.filter(|value| !value.is_empty()))
}

/// As `parse_bool` takes it: also any beginning that is not ambiguous.
fn is_true(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    value == "1" || value == "on" || !value.is_empty() && ("true".starts_with(&value) || "yes".starts_with(&value))
}

fn judge_standby(run: &mut Run, cluster: &mut Cluster, goal: &Goal, force: bool) -> Result<Standing, Failure> {
    if force {
        return Ok(Standing::Replaceable("--force"));
    }
    if !cluster.has_process() {
        return Ok(Standing::Down);
    }
    match streaming::wait(run, cluster, goal, streaming::RECONNECTS_WITHIN)? {
        Ok(replication) => Ok(Standing::Streams(replication.sender())),
        Err(missing) => {
            run.say(&format!("{} does not stream: {missing}", cluster.title()));
            Ok(Standing::Replaceable("it does not stream"))
        }
    }
}

fn refuse(cluster: &Cluster, own: &str, why: &str) -> Failure {
    Failure::refused(format!("{} is not a standby of this primary, and not empty", cluster.title()))
        .because(why)
        .hint(format!("if it really is to be replaced, the same command with: --replace {own}"))
}

/// What is mounted further down would go away with the old directory.
pub fn refuse_mount_points(places: &Places) -> Result<&'static str, Failure> {
    let mounts = plain::mount_points(&places.data)?;
    match mounts.iter().find(|place| **place != places.data) {
        Some(place) => Err(Failure::refused(format!("{} is a mount point inside the data directory", place.display()))
            .because("it would stay with the old directory, and what is in it would land on another disk")
            .hint("mount it beside the data directory, and let a symbolic link lead there")),
        None if places.is_mount_point() => {
            Ok("the data directory is one: the copy comes into it, and what is in it changes places")
        }
        None => Ok("none at the data directory or in it"),
    }
}

/// What the old directory has elsewhere keeps its place, where that can be; what does, as a sentence.
pub fn what_lies_elsewhere(places: &Places, arguments: &FetchArguments, space: Space) -> Result<String, Failure> {
    let links = outside::links(&places.data);
    let wal = links.iter().find(|link| link.is_wal());
    let is_there =
        |named: &PathBuf, link: &outside::Link| std::fs::canonicalize(named).is_ok_and(|real| real == link.location);
    let stays = wal.filter(|link| arguments.waldir.as_ref().is_none_or(|named| is_there(named, link)));
    if space == Space::Keep {
        stays.map_or(Ok(()), outside::refuse_an_immovable_wal)?;
    }
    let tablespaces = links.iter().filter(|link| !link.is_wal()).count();
    let plural = if tablespaces == 1 { "tablespace" } else { "tablespaces" };
    Ok(match (tablespaces, stays) {
        (0, None) => "none that leads out of it".into(),
        (0, Some(_)) => "the write-ahead log keeps its place outside".into(),
        (count, None) => format!("{count} {plural}, which keep their places unless they are mapped elsewhere"),
        (count, Some(_)) => format!("the write-ahead log and {count} {plural} keep their places outside"),
    })
}

/// Its own settings stay the standby's own, so what ends recovery by itself would make a primary of the copy, and of the
/// old directory when that is started again.
pub fn refuse_what_would_promote(cluster: &Cluster) -> Result<(), Failure> {
    if version::has_recovery_conf(cluster.major) {
        // There they are in recovery.conf, which is written anew.
        return Ok(());
    }
    let configuration = cluster.configuration()?;
    let refused = |name: &str, value: &str| {
        Failure::refused(format!("{} would end its recovery by itself: {name} = {value}", cluster.title()))
            .because("started on the copy, it would come up as a primary")
    };
    for name in ["", "_lsn", "_name", "_time", "_xid"].map(|kind| format!("recovery_target{kind}")) {
        if let Some(found) = configuration.in_force(&name).filter(|found| !found.value.is_empty()) {
            return Err(refused(&name, &found.value)
                .because(format!("it stands in {}:{}", found.file.display(), found.line))
                .hint(format!("pg-conf unset {} {name}", cluster.option())));
        }
    }
    let trigger = configuration.in_force("promote_trigger_file").filter(|found| !found.value.is_empty());
    match trigger.map(|found| cluster.data_directory.join(&found.value)) {
        Some(file) if file.exists() => Err(refused("promote_trigger_file", &file.display().to_string())
            .because("that file exists")
            .hint(format!("rm {}", shell_word(file.as_os_str())))),
        _ => Ok(()),
    }
}
