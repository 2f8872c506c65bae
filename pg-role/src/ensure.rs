//! `pg-role ensure`: the role as it should be.

use crate::args::EnsureArguments;
use crate::plan::{Plan, Wanted, plan};
use crate::role::{self, Role, Stored};
use crate::session::{self, Session};
use crate::verifier::{Answer, scram_verifier};
use crate::{apply, name};
use pg_runbook::cli::password;
use pg_runbook::server::Server;
use pg_runbook::{Code, Failure, Run, Secret};

/// `pg-role ensure NAME`
pub fn ensure(run: &mut Run, arguments: &EnsureArguments) -> Result<(), Failure> {
    name::check_own(&arguments.name)?;
    arguments.member_of.iter().try_for_each(|group| name::check(group))?;
    // Beside a server that is named, $PGPASSWORD is how to get in.
    let mut given = run.password(&arguments.password, !session::names_any_server(run, &arguments.connection))?;
    let Some(mut session) = session::open(run, &arguments.connection)? else { return Ok(()) };
    session.refuse_standby("ensure", &arguments.name)?;
    let present = role::find(&mut session.server, &arguments.name)?;
    if present.is_none() && given.is_none() && !run.check() {
        given = ask(&arguments.name)?;
    }
    let wanted = inspect(&mut session, arguments, present.as_ref(), given.as_ref())?;
    let plan = plan(present.as_ref(), &wanted);
    let outcome = plan.outcome(present.as_ref());
    warn(run, &mut session.server, &outcome, &plan, given.is_some())?;
    if !run.check() && !plan.is_empty() {
        let verifier = given.as_ref().map(|password| Secret::new(scram_verifier(password)));
        let statements = plan.statements(verifier.as_ref())?;
        apply::apply(&mut session.server, &statements, plan.sets_password())
            .map_err(|failure| refused_by_server(failure, &arguments.name))?;
        see_it_done(&mut session, arguments, given.as_ref())?;
    }
    report(run, present.as_ref(), &outcome, &plan);
    Ok(())
}

fn refused_by_server(failure: Failure, name: &str) -> Failure {
    let denied = failure.causes.iter().any(|cause| cause.contains("42501"));
    let failure = failure.while_doing(format!("set up role {name:?}"));
    if denied { failure.hint("connect as a superuser: -U postgres") } else { failure }
}

/// A new role's password, typed twice; `None` where there is no terminal.
fn ask(name: &str) -> Result<Option<Secret>, Failure> {
    let Some(first) = password::prompt(&format!("Password for the new role {name}"))? else { return Ok(None) };
    if password::prompt("Enter it again")?.as_ref() != Some(&first) {
        return Err(Failure::usage("the two passwords are not the same"));
    }
    Ok(Some(first))
}

/// What is asked for, in the server's terms.
fn inspect(
    session: &mut Session,
    arguments: &EnsureArguments,
    present: Option<&Role>,
    given: Option<&Secret>,
) -> Result<Wanted, Failure> {
    let password_differs = match given {
        Some(password) => {
            see_that_passwords_can_be_set(session, &arguments.name)?;
            present.is_none() || role::has_password(&mut session.server, &arguments.name, password)? != Answer::Same
        }
        None => false,
    };
    for group in &arguments.member_of {
        if role::find(&mut session.server, group)?.is_none() {
            return Err(Failure::usage(format!(
                "there is no role {group:?} that {:?} could be a member of",
                arguments.name
            ))
            .hint("psql -c '\\du' shows the roles"));
        }
    }
    let text = arguments.valid_until.as_deref();
    Ok(Wanted {
        name: arguments.name.clone(),
        connection_limit: arguments.connection_limit,
        valid_until: text.map(|text| timestamp(&mut session.server, text)).transpose()?,
        member_of: arguments.member_of.clone(),
        password_differs,
    })
}

fn see_that_passwords_can_be_set(session: &mut Session, name: &str) -> Result<(), Failure> {
    if session.is_superuser()? {
        return Ok(());
    }
    let user = session.server.target().user.clone();
    Err(Failure::failed(format!("compare and set the password of {name:?}: {user:?} is not a superuser"))
        .because("only a superuser may read pg_authid, and keep a statement out of the server's log")
        .hint("connect as a superuser: -U postgres; or leave the password alone"))
}

/// As the server writes it.
fn timestamp(server: &mut Server, text: &str) -> Result<String, Failure> {
    let rows = server.query("SELECT $1::text::timestamptz::text", &[&text]).map_err(|failure| match failure.code {
        Code::Failed => Failure { code: Code::Usage, ..failure }
            .while_doing(format!("--valid-until {text:?} is not a timestamp"))
            .hint("write it as 2030-12-31, as '2030-12-31 18:00+01', or infinity"),
        _ => failure,
    })?;
    rows.first().map(|row| row.get(0)).ok_or_else(|| Failure::failed(format!("read the timestamp {text:?}")))
}

fn warn(run: &mut Run, server: &mut Server, outcome: &Role, plan: &Plan, given: bool) -> Result<(), Failure> {
    let name = &outcome.name;
    if plan.creates() && !given {
        run.warn(format!("role {name} has no password: it gets in only where pg_hba.conf asks for none"));
    }
    if given && !plan.sets_password() && outcome.password == Some(Stored::Md5) {
        run.warn(format!(
            "the password of {name} is right and stored as md5, which pg_hba.conf's scram-sha-256 does not take; a new password, or the same one after ALTER ROLE … PASSWORD NULL, is stored as SCRAM"
        ));
    }
    if outcome.superuser {
        run.warn(format!("{name} is a superuser, which a replication role need not be"));
    }
    if let Some(end) = &outcome.valid_until {
        let rows = server.query("SELECT $1::text::timestamptz < now()", &[end])?;
        if rows.first().is_some_and(|row| row.get(0)) {
            run.warn(format!("the password of {name} ended at {end}: the server refuses it"));
        }
    }
    Ok(())
}

/// Success is what the server says afterwards.
fn see_it_done(session: &mut Session, arguments: &EnsureArguments, given: Option<&Secret>) -> Result<(), Failure> {
    let now = role::find(&mut session.server, &arguments.name)?;
    let wanted = inspect(session, arguments, now.as_ref(), given)?;
    let left = plan(now.as_ref(), &wanted);
    if left.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = left.changes().iter().map(|change| change.line(true)).collect();
    Err(Failure::failed(format!("role {:?} was set up, and is not as it should be", arguments.name))
        .because(lines.join(", "))
        .because("another session may have changed it meanwhile"))
}

fn report(run: &mut Run, present: Option<&Role>, outcome: &Role, plan: &Plan) {
    let name = &outcome.name;
    let changes = plan.changes();
    run.message(match (plan.creates(), run.check(), changes.len()) {
        (_, _, 0) => format!("role {name} is as it should be"),
        (true, true, _) => format!("would create role {name}"),
        (true, false, _) => format!("created role {name}"),
        (false, true, count) => format!("would change role {name} in {count} {}", points(count)),
        (false, false, count) => format!("changed role {name} in {count} {}", points(count)),
    });
    for change in changes {
        run.change(change);
    }
    let text = |role: &Role, new_password: bool| {
        let mut lines = role.lines();
        if let Some(last) = lines.last_mut().filter(|_| new_password) {
            *last = "password:         (new)".into();
        }
        lines.join("\n") + "\n"
    };
    let before = present.map(|role| text(role, false)).unwrap_or_default();
    run.show_difference(&format!("role {name}"), &before, &text(outcome, plan.sets_password()));
    crate::show::put_into_document(run, outcome);
}

fn points(count: usize) -> &'static str {
    if count == 1 { "point" } else { "points" }
}
