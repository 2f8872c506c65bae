//! `pg-pass check`: whether libpq reads the file, which line wins, and whether the replication login works with it.
//!
//! What must always hold: the login is libpq's own, with exactly this file; a password that no server asked for is not
//! called right.

use crate::args::CheckArguments;
use crate::file::{self, Disk, Found};
use crate::key;
use crate::location::{self, Place};
use pg_runbook::document::{Primary, SYSTEM_IDENTIFIER};
use pg_runbook::owner::Owner;
use pg_runbook::passfile::{Entry, Key};
use pg_runbook::replication::Walsender;
use pg_runbook::server::Target;
use pg_runbook::{Code, Failure, Run};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;

/// What a password file has to say of a login, as the document has it under `passfile`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ExaminedPasswordFile")]
pub struct Examined {
    /// The file that libpq reads.
    file: PathBuf,
    /// Its mode in octal, such as `0600`; null where there is no such file.
    mode: Option<String>,
    /// The user that it belongs to; null where there is no such file.
    owner: Option<String>,
    /// The line that wins, counted from 1; null where none is for this login.
    line: Option<usize>,
    /// Why it gives no password; null where it does.
    problem: Option<String>,
}

/// What a replication login came to, as the document has it under `login`.
#[derive(Serialize, JsonSchema)]
pub struct Login {
    /// The server's system identifier, in decimal digits.
    #[schemars(regex(pattern = SYSTEM_IDENTIFIER))]
    system_identifier: Option<String>,
    /// The timeline it writes.
    timeline: Option<u32>,
    /// Its major version, such as 17.
    major: Option<u32>,
}

/// What the file has to say of this login.
struct Examination {
    /// The line that wins.
    winner: Option<Entry>,
    /// Why it gives no password, and the command that mends it.
    problem: Option<(String, String)>,
}

/// `pg-pass check`
pub fn check(run: &mut Run, arguments: &CheckArguments) -> Result<(), Failure> {
    let place = location::find(run, &arguments.file)?;
    let (key, target) = key::of_server(run, &arguments.server, &place)?;
    let found = file::read(&place)?;
    let examined = examine(&place, &found, &key);
    tell_of_file(run, &place, &found, &examined)?;
    if run.follows_plans() {
        if let Some((problem, _)) = examined.problem {
            run.warn(format!("so far, {problem}"));
        }
        run.message(format!(
            "the login of {} at {} was not tried: the steps before this one have not been taken",
            key.username,
            target.address()
        ));
        return Ok(());
    }
    let walsender = Walsender::new(target.clone())?;
    match walsender.describe() {
        Ok(primary) => {
            see_that_it_is_the_primary(run, &primary, &target)?;
            let tried = is_tried(run, &examined, &target, &place)?;
            let line = examined.winner.map(|winner| winner.line).filter(|_| tried);
            accept(run, &place, &found, line, primary);
            Ok(())
        }
        Err(failure) => Err(explain(failure, examined, &place)),
    }
}

fn examine(place: &Place, found: &Found, key: &Key) -> Examination {
    let file = place.path.display();
    let winner = found.lines.find(key);
    let problem = match (found.disk, &winner) {
        (None, _) => Some((format!("there is no password file {file}"), key::command_to_set(key, place))),
        (Some(disk), _) if disk.problem().is_some() => {
            let reason = disk.problem().unwrap_or_default();
            Some((format!("libpq ignores the password file {file}: {reason}"), format!("chmod 0600 {file}")))
        }
        (Some(_), None) => {
            let text = format!("no line of {file} is for {}", key::shown(key));
            Some((text, key::command_to_set(key, place)))
        }
        (Some(_), Some(_)) => None,
    };
    Examination { winner, problem }
}

fn tell_of_file(run: &mut Run, place: &Place, found: &Found, examined: &Examination) -> Result<(), Failure> {
    let file = place.path.display();
    let owner = found.disk.map(|disk| Owner::of_uid(disk.uid)).transpose()?;
    if let Some(other) = owner.as_ref().filter(|other| other.uid != place.owner.uid) {
        run.warn(format!("{file} belongs to {}, not to {}", other.name, place.owner.name));
    }
    for number in found.lines.malformed() {
        run.warn(format!("line {number} of {file} gives no password: it has not the five fields of a password line"));
    }
    if let Some(winner) = &examined.winner {
        run.account(format!("line:   {} of {file} ({})", winner.line, key::shown_entry(winner)));
    }
    let fact = Examined {
        file: place.path.clone(),
        mode: found.disk.map(Disk::octal),
        owner: owner.map(|owner| owner.name),
        line: examined.winner.as_ref().map(|winner| winner.line),
        problem: examined.problem.as_ref().map(|(problem, _)| problem.clone()),
    };
    run.fact("passfile", &fact);
    Ok(())
}

/// A standby that followed another system would throw its data away.
fn see_that_it_is_the_primary(run: &Run, answered: &Primary, target: &Target) -> Result<(), Failure> {
    let known = run.document.primary.as_ref().and_then(|primary| primary.system_identifier.as_deref());
    let said = answered.system_identifier.as_deref().unwrap_or_default();
    match known {
        Some(known) if known != said => Err(Failure::failed(format!("another system answers at {}", target.address()))
            .because(format!("the document's primary has the system identifier {known}, this one {said}"))
            .hint("on the primary: pg-cluster advertise --host HOST, with the host that standbys reach it by")),
        _ => Ok(()),
    }
}

/// Whether it was the file's password that let it in: where the login works without the file too, it was not.
fn is_tried(run: &mut Run, examined: &Examination, target: &Target, place: &Place) -> Result<bool, Failure> {
    let file = place.path.display();
    if let Some((problem, _)) = &examined.problem {
        run.warn(format!("{problem}; the server lets {} in without a password", target.user));
        return Ok(false);
    }
    let without = Target { passfile: Some("/dev/null".into()), ..target.clone() };
    let unasked = Walsender::new(without)?.identify().is_ok();
    if unasked {
        run.warn(format!("the server lets {} in without a password, so the one in {file} was not tried", target.user));
    }
    Ok(!unasked)
}

fn accept(run: &mut Run, place: &Place, found: &Found, line: Option<usize>, answered: Primary) {
    let login = Login {
        system_identifier: answered.system_identifier.clone(),
        timeline: answered.timeline,
        major: answered.major,
    };
    run.fact("login", &login);
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let role = text(&answered.username);
    let at = format!("{}:{}", text(&answered.host), answered.port.unwrap_or_default());
    let by = line.map(|line| format!(" by line {line} of {}", place.path.display())).unwrap_or_default();
    run.message(format!("{role} logs in for replication at {at}{by}"));
    run.account(format!(
        "server: PostgreSQL {}, system {}, timeline {}",
        answered.major.unwrap_or_default(),
        text(&answered.system_identifier),
        answered.timeline.unwrap_or_default()
    ));
    let known = run.document.primary.take().unwrap_or_default();
    run.document.primary = Some(Primary {
        slot: known.slot,
        rest: known.rest,
        passfile: found.disk.map(|_| place.path.clone()).or(known.passfile),
        ..answered
    });
}

/// The file's own trouble first, where it is why the server got no password.
fn explain(failure: Failure, examined: Examination, place: &Place) -> Failure {
    let about_password = failure.hint.as_ref().is_some_and(|hint| hint.starts_with("pg-pass set"));
    match (examined.problem, examined.winner) {
        (Some((problem, hint)), _) if about_password => {
            let causes = std::iter::once(failure.message).chain(failure.causes);
            causes.fold(Failure::new(Code::Failed, problem).hint(hint), Failure::because)
        }
        (Some((problem, _)), _) => failure.because(problem),
        (None, Some(winner)) if about_password => {
            let (line, file) = (winner.line, place.path.display());
            failure.because(format!("the password is that of line {line} of {file} ({})", key::shown_entry(&winner)))
        }
        (None, _) => failure,
    }
}
