//! `pg-pass set`: the password that libpq finds for one server and role.
//!
//! What must always hold: afterwards the line that wins holds this password, in a file that libpq reads.

use crate::args::{LineArguments, SetArguments};
use crate::file::{self, Found, PRIVATE};
use crate::key;
use crate::location::{self, Place};
use pg_runbook::cli::password;
use pg_runbook::document::Change;
use pg_runbook::passfile::{self, Key, PassFile};
use pg_runbook::{Failure, Run, Secret, durable_file, signals};

/// What has to be done.
struct Plan {
    /// The mode that is not private enough.
    loose_mode: Option<String>,
    /// The file's new lines, and what is new in them; `None` where the line is as it should be.
    lines: Option<(PassFile, Change)>,
}

/// `pg-pass set`
pub fn set(run: &mut Run, arguments: &SetArguments) -> Result<(), Failure> {
    let place = location::find(run, &arguments.file)?;
    let key = key::of_line(run, &arguments.line, &place)?;
    let password = password(run, arguments, &key)?;
    run.lock_folder(&location::folder(&place.path))?;
    let found = file::read(&place)?;
    let plan = plan(&place, &found, &key, &password)?;
    if !run.check() {
        apply(&place, &plan)?;
        see_it_done(&place, &key, &password)?;
    }
    report(run, &place, &found, plan, &key);
    tell_the_next(run, &arguments.line, &key, &place);
    Ok(())
}

fn password(run: &Run, arguments: &SetArguments, key: &Key) -> Result<Secret, Failure> {
    if let Some(given) = run.password(&arguments.password, true)? {
        return Ok(given);
    }
    password::prompt(&format!("Password of {} at {}:{}", key.username, key.host, key.port))?.ok_or_else(|| {
        Failure::usage(format!("which password does {} have?", key.username))
            .because("no option gives it, $PGPASSWORD is not set, and there is no terminal to ask on")
            .hint("--password-file FILE, or --password-command COMMAND")
    })
}

fn plan(place: &Place, found: &Found, key: &Key, password: &Secret) -> Result<Plan, Failure> {
    let loose = found.disk.filter(|disk| disk.problem().is_some());
    let winner = found.lines.find(key).map(|entry| key::shown_entry(&entry));
    let rival = winner.filter(|winner| *winner != key::shown(key));
    let mut lines = found.lines.clone();
    let (before, line) = match lines.set(key, password)? {
        passfile::Change::Unchanged => {
            return Ok(Plan { loose_mode: loose.map(file::Disk::octal), lines: None });
        }
        passfile::Change::Added { line } => (None, line),
        passfile::Change::Replaced { line } => (Some("(old)".to_owned()), line),
    };
    let change = Change::value("password_line", key::shown(key), before, Some("(new)".into()));
    let change = change.at(&place.path, Some(line));
    let change = match rival {
        Some(rival) => change.remark(format!("placed before {rival}, which would win")),
        None => change,
    };
    Ok(Plan { loose_mode: loose.map(file::Disk::octal), lines: Some((lines, change)) })
}

fn apply(place: &Place, plan: &Plan) -> Result<(), Failure> {
    signals::safe_point("before anything was changed")?;
    // First, so that nobody reads the new password on the way.
    if plan.loose_mode.is_some() {
        durable_file::set_mode(&place.path, PRIVATE)?;
    }
    match &plan.lines {
        Some((lines, _)) => file::write(place, lines),
        None => Ok(()),
    }
}

fn see_it_done(place: &Place, key: &Key, password: &Secret) -> Result<(), Failure> {
    let now = file::read(place)?;
    let holds = now.lines.find(key).and_then(|entry| entry.password).as_ref() == Some(password);
    let problem = now.disk.and_then(file::Disk::problem);
    if holds && problem.is_none() {
        return Ok(());
    }
    Err(Failure::failed(format!("{} was written, and does not give the password that was set", place.path.display()))
        .because(problem.unwrap_or_else(|| "another program may have changed it meanwhile".into())))
}

fn report(run: &mut Run, place: &Place, found: &Found, plan: Plan, key: &Key) {
    let file = place.path.display();
    if let Some(mode) = plan.loose_mode {
        let change = Change::value("password_file", format!("{file} mode"), Some(mode), Some("0600".into()));
        run.change(change.at(&place.path, None).remark("libpq ignores a password file that others can read"));
    }
    let shown = key::shown(key);
    run.message(match (&plan.lines, run.check()) {
        (None, _) => format!("{file} has the password of {shown}"),
        (Some(_), true) => format!("would set the password of {shown} in {file}"),
        (Some(_), false) => format!("set the password of {shown} in {file}"),
    });
    if let Some((lines, change)) = plan.lines {
        let old = found.lines.entries().into_iter().find(|entry| key::shown_entry(entry) == shown);
        let before = file::masked(&found.lines, old.map(|entry| entry.line), "(old)");
        run.show_difference(&file.to_string(), &before, &file::masked(&lines, change.line, "(new)"));
        run.change(change);
    }
}

/// The document carries which file it is, and which server the line is for.
fn tell_the_next(run: &mut Run, line: &LineArguments, key: &Key, place: &Place) {
    if line.dbname != key::REPLICATION && line.dbname != "*" {
        return;
    }
    let server = &line.server;
    let told = |option: &Option<String>, value: &str| {
        let typed = option.is_some() || server.conninfo.is_some();
        Some(value.to_owned()).filter(|value| typed && value != "*")
    };
    let port = told(&server.port, &key.port).and_then(|port| port.parse().ok());
    let primary = run.document.primary_mut();
    primary.passfile = Some(place.path.clone());
    primary.host = told(&server.host, &key.host).or(primary.host.take());
    primary.port = port.or(primary.port);
    primary.username = told(&server.username, &key.username).or(primary.username.take());
}
