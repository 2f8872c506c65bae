//! Stages 10 and 11 of the runbook: a base backup of the primary is fetched beside the standby's data directory while
//! the old standby serves, and then installed in its place by one exchange.
//!
//! What must always hold: the old data directory is moved aside, and deleted only when it is let go by name; nothing is
//! installed that could come up as a primary; whatever goes wrong, the old directory or the new one is in place, whole.

pub mod args;
mod bounds;
mod catch_up;
mod changeover;
mod commit;
mod completion;
mod copy;
mod destinations;
mod entries;
mod examples;
mod exchange;
mod facts;
mod fetch;
mod findings;
mod footprint;
mod give_up;
mod inspect;
mod install;
mod marker;
mod notes;
pub mod options;
mod orphans;
mod outside;
mod own_files;
mod places;
mod preflight;
mod prepare;
mod private_server;
mod progress;
mod rollback;
mod room;
mod size;
mod slot;
mod source;
mod standby_settings;
mod status;
mod streaming;
mod verify;

pub use args::Arguments;
pub use facts::Facts;

use args::Command;
use pg_runbook::cli::{CommonArguments, Tool, Verb};
use pg_runbook::{Failure, Run};

impl Tool for Arguments {
    const NAME: &'static str = "pg-basebackup-swap";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn verb(&self) -> Verb {
        let verb = |name, disturbs| Verb { name, disturbs, wants_cluster: true };
        match self.command {
            Command::Run(_) => verb("run", true),
            Command::Fetch(_) => verb("fetch", false),
            Command::Swap(_) => verb("swap", true),
            Command::Rollback(_) => verb("rollback", true),
            // Where the tool before it failed, what it lets go is what is needed.
            Command::Commit(_) => verb("commit", true),
            Command::Status => verb("status", false),
        }
    }

    fn run(self, run: &mut Run) -> Result<(), Failure> {
        match self.command {
            Command::Run(arguments) => install::run(run, &arguments),
            Command::Fetch(arguments) => fetch::fetch(run, &arguments),
            Command::Swap(arguments) => install::swap(run, &arguments),
            Command::Rollback(arguments) => rollback::rollback(run, &arguments),
            Command::Commit(arguments) => commit::commit(run, &arguments),
            Command::Status => status::status(run),
        }
    }
}
