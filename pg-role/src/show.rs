//! `pg-role show`: the role as it is. Changes nothing.

use crate::args::ShowArguments;
use crate::role::{self, Role};
use crate::{name, session};
use pg_runbook::invocation::shell_word;
use pg_runbook::{Failure, Run};

/// `pg-role show NAME`
pub fn show(run: &mut Run, arguments: &ShowArguments) -> Result<(), Failure> {
    name::check(&arguments.name)?;
    let Some(mut session) = session::open(run, &arguments.connection)? else { return Ok(()) };
    let Some(role) = role::find(&mut session.server, &arguments.name)? else {
        return Err(Failure::failed(format!("{} has no role {:?}", session.title, arguments.name))
            .hint(format!("pg-role ensure {}", shell_word(arguments.name.as_ref()))));
    };
    if role.password.is_none() {
        let user = session.server.target().user.clone();
        run.warn(format!("{user} may not read pg_authid, so how the password is stored can't be told"));
    }
    run.message(format!("role {} of {}", role.name, session.title));
    put_into_document(run, &role);
    Ok(())
}

/// The fact, the account, and the name that standbys are told of.
pub fn put_into_document(run: &mut Run, role: &Role) {
    run.show_list(&role.facts());
    run.fact("role", role);
    if role.replication {
        run.document.primary_mut().username = Some(role.name.clone());
    }
}
