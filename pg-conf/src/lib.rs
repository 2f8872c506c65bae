//! Stages 3, 4 and 9 of the runbook: postgresql.conf and `pg_hba.conf`, edited where they are in force, judged by the
//! server before they are installed, and matched to a primary's.
//!
//! `pg-conf` says in the document what the server must do before a change is in force; `pg-cluster` has it done.

pub mod args;
mod check;
mod completion;
mod examples;
mod facts;
mod install;
mod put_back;
mod rules;
mod running;
mod settings;
mod undo;

pub use args::Arguments;
pub use facts::Facts;
pub use rules::hba_file;
pub use settings::versions;

use args::Command;
use pg_runbook::cli::{CommonArguments, Tool, Verb};
use pg_runbook::{Failure, Run};
use rules::{allow, disallow, explain, show};
use settings::{bounds, get, set};

impl Tool for Arguments {
    const NAME: &'static str = "pg-conf";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn verb(&self) -> Verb {
        let name = match self.command {
            Command::Set(_) => "set",
            Command::Unset(_) => "unset",
            Command::Get(_) => "get",
            Command::Check(_) => "check",
            Command::Match(_) => "match",
            Command::Allow(_) => "allow",
            Command::Disallow(_) => "disallow",
            Command::Rules => "rules",
            Command::Undo(_) => "undo",
            Command::Explain(_) => "explain",
        };
        Verb { name, disturbs: false, wants_cluster: true }
    }

    fn run(self, run: &mut Run) -> Result<(), Failure> {
        match self.command {
            Command::Set(arguments) => set::set(run, &arguments),
            Command::Unset(arguments) => set::unset(run, &arguments),
            Command::Get(arguments) => get::get(run, &arguments),
            Command::Check(arguments) => check::check(run, &arguments),
            Command::Match(arguments) => bounds::match_primary(run, &arguments),
            Command::Allow(arguments) => allow::allow(run, &arguments),
            Command::Disallow(arguments) => disallow::disallow(run, &arguments),
            Command::Rules => show::rules(run),
            Command::Undo(arguments) => undo::undo(run, &arguments),
            Command::Explain(arguments) => explain::explain(run, &arguments),
        }
    }
}
