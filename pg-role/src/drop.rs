//! `pg-role drop`: a role that nobody needs any more.
//!
//! What must always hold: a role that could be missed (a superuser, the connecting role, an owner of objects, one that
//! standbys replicate by) stays.

use crate::args::DropArguments;
use crate::role::{self, Role};
use crate::{apply, name, session};
use pg_runbook::document::{Act, Change};
use pg_runbook::server::Server;
use pg_runbook::{Code, Failure, Run, Secret};
use postgres_protocol::escape::escape_identifier;

const DROP: Act = Act { plain: "drop", past: "dropped" };

/// `pg-role drop NAME`
pub fn drop(run: &mut Run, arguments: &DropArguments) -> Result<(), Failure> {
    name::check_own(&arguments.name)?;
    let Some(mut session) = session::open(run, &arguments.connection)? else { return Ok(()) };
    session.refuse_standby("drop", &arguments.name)?;
    let server = &mut session.server;
    let Some(role) = role::find(server, &arguments.name)? else {
        run.message(format!("{} has no role {}", session.title, arguments.name));
        return Ok(());
    };
    refuse_what_is_needed(run, server, &role, arguments.force)?;
    if !run.check() {
        let statement = Secret::new(format!("DROP ROLE {}", escape_identifier(&role.name)));
        apply::apply(server, &[statement], false).map_err(|failure| refused_by_server(failure, &role.name))?;
        if role::find(server, &role.name)?.is_some() {
            return Err(Failure::failed(format!("role {:?} was dropped, and is there again", role.name)));
        }
    }
    run.change(Change::act("role", format!("role {}", role.name), DROP));
    run.message(format!("{} role {}", if run.check() { "would drop" } else { "dropped" }, role.name));
    run.show_difference(&format!("role {}", role.name), &(role.lines().join("\n") + "\n"), "");
    if let Some(primary) = &mut run.document.primary {
        primary.username = primary.username.take().filter(|username| *username != role.name);
    }
    Ok(())
}

fn refuse_what_is_needed(run: &mut Run, server: &mut Server, role: &Role, force: bool) -> Result<(), Failure> {
    let name = &role.name;
    if role.superuser {
        return Err(Failure::refused(format!("role {name:?} is a superuser")).hint(format!(
            "if it really is to go: psql -c 'ALTER ROLE {} NOSUPERUSER' first",
            escape_identifier(name)
        )));
    }
    let connecting = server.query("SELECT $1::text IN (session_user::text, current_user::text)", &[name])?;
    if connecting.first().is_some_and(|row| row.get(0)) {
        return Err(Failure::refused(format!("role {name:?} is the one that this connection is made with"))
            .hint("connect as another: -U postgres"));
    }
    let bound = dependencies(server, name)?;
    if !bound.is_empty() {
        return Err(still_bound(name).because(bound.join("\n")));
    }
    let standbys = walsenders(server, name)?;
    match (standbys.is_empty(), force) {
        (true, _) => Ok(()),
        (false, true) => {
            run.warn(format!(
                "{} replicate by role {name}, and can't come back once they lose their connection",
                standbys.join(", ")
            ));
            Ok(())
        }
        (false, false) => Err(Failure::refused(format!("role {name:?} is used for replication right now"))
            .because(format!("by {}", standbys.join(", ")))
            .hint("stop these standbys, or give them another role; --force drops it all the same")),
    }
}

fn still_bound(name: &str) -> Failure {
    let role = escape_identifier(name);
    Failure::refused(format!("role {name:?} owns objects, or has privileges on some")).hint(format!(
        "in each of these databases: psql -c 'REASSIGN OWNED BY {role} TO postgres; DROP OWNED BY {role}'"
    ))
}

/// What the server found that was not looked for here.
fn refused_by_server(failure: Failure, name: &str) -> Failure {
    let bound = failure.causes.iter().any(|cause| cause.contains("2BP01"));
    if !bound {
        return failure.while_doing(format!("drop role {name:?}"));
    }
    let start = still_bound(name).because(&failure.message);
    failure.causes.into_iter().fold(Failure { code: Code::Refused, ..start }, Failure::because)
}

/// In the words of the server's own refusal: what is in this database by name, other databases by theirs.
fn dependencies(server: &mut Server, name: &str) -> Result<Vec<String>, Failure> {
    // A membership goes with its role.
    let query = "SELECT DISTINCT CASE
            WHEN s.dbid NOT IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
                THEN 'objects in database ' || coalesce(d.datname::text, s.dbid::text)
            ELSE CASE s.deptype WHEN 'o' THEN 'owner of ' WHEN 'a' THEN 'privileges for ' ELSE 'target of ' END
                || pg_catalog.pg_describe_object(s.classid, s.objid, s.objsubid) END
        FROM pg_catalog.pg_shdepend s LEFT JOIN pg_catalog.pg_database d ON d.oid = s.dbid
        WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass AND s.classid <> 'pg_catalog.pg_auth_members'::regclass
            AND s.refobjid = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1::text)
        ORDER BY 1 LIMIT 20";
    Ok(server.query(query, &[&name])?.iter().map(|row| row.get(0)).collect())
}

fn walsenders(server: &mut Server, name: &str) -> Result<Vec<String>, Failure> {
    let query = "SELECT coalesce(host(client_addr), 'a local client') || coalesce(' (' || nullif(application_name, '') || ')', '')
        FROM pg_catalog.pg_stat_replication WHERE usename = $1::text ORDER BY 1";
    Ok(server.query(query, &[&name])?.iter().map(|row| row.get(0)).collect())
}
