//! Stage 2 of the runbook: the replication role and its password, made as they should be, shown, and dropped.
//!
//! What must always hold: a password goes to the server as a SCRAM verifier that was made here, in statements that the
//! server's log doesn't get to see; a second run with the same password changes nothing.

mod apply;
pub mod args;
mod completion;
mod drop;
mod ensure;
mod examples;
mod facts;
mod name;
mod plan;
mod role;
mod session;
mod show;
pub mod verifier;

pub use args::Arguments;
pub use facts::Facts;

use args::Command;
use pg_runbook::cli::{CommonArguments, Tool, Verb};
use pg_runbook::{Failure, Run};

impl Tool for Arguments {
    const NAME: &'static str = "pg-role";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn verb(&self) -> Verb {
        let (name, disturbs, connection) = match &self.command {
            Command::Ensure(arguments) => ("ensure", false, &arguments.connection),
            Command::Show(arguments) => ("show", false, &arguments.connection),
            Command::Drop(arguments) => ("drop", true, &arguments.connection),
        };
        Verb { name, disturbs, wants_cluster: !connection.names_a_server() }
    }

    fn password_on_stdin(&self) -> bool {
        matches!(&self.command, Command::Ensure(arguments) if arguments.password.password_stdin)
    }

    fn run(self, run: &mut Run) -> Result<(), Failure> {
        match self.command {
            Command::Ensure(arguments) => ensure::ensure(run, &arguments),
            Command::Show(arguments) => show::show(run, &arguments),
            Command::Drop(arguments) => drop::drop(run, &arguments),
        }
    }
}
