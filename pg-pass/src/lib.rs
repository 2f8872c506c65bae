//! Stage 7 of the runbook: the password file, its line for the replication role, and whether the login works with it.
//!
//! What must always hold: no password is shown; the file that is examined and tried is the one that the standby's
//! owner has, and after `set` it is one that libpq reads.

pub mod args;
mod check;
mod examples;
mod facts;
mod file;
mod key;
mod list;
mod location;
mod remove;
mod set;

pub use args::Arguments;
pub use facts::Facts;

use args::Command;
use pg_runbook::cli::{CommonArguments, Tool, Verb};
use pg_runbook::{Failure, Run};

impl Tool for Arguments {
    const NAME: &'static str = "pg-pass";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn verb(&self) -> Verb {
        let name = match &self.command {
            Command::Set(_) => "set",
            Command::Remove(_) => "remove",
            Command::List(_) => "list",
            Command::Check(_) => "check",
        };
        Verb { name, disturbs: false, wants_cluster: false }
    }

    fn password_on_stdin(&self) -> bool {
        matches!(&self.command, Command::Set(arguments) if arguments.password.password_stdin)
    }

    fn run(self, run: &mut Run) -> Result<(), Failure> {
        match self.command {
            Command::Set(arguments) => set::set(run, &arguments),
            Command::Remove(arguments) => remove::remove(run, &arguments),
            Command::List(arguments) => list::list(run, &arguments),
            Command::Check(arguments) => check::check(run, &arguments),
        }
    }
}
