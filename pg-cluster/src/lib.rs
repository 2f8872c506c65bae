//! Stages 1, 5, 6, 8 and 12 of the runbook: which clusters there are, their servers started, stopped, restarted and
//! reloaded, new ones made, unused ones dropped, and a standby watched until it streams.
//!
//! `pg-conf` says in the document what a change needs; `pg-cluster` does it, and takes the need away.

mod advertise;
pub mod args;
mod completion;
mod create;
mod drop;
mod examples;
mod facts;
mod fall_back;
mod lag;
mod readiness;
mod require;
mod restart;
mod running;
mod serve;
mod shown;
mod status;
mod wait;
mod watch;

pub use args::Arguments;
pub use facts::Facts;

use args::Command;
use pg_runbook::cli::{CommonArguments, Tool, Verb};
use pg_runbook::{Failure, Run};

impl Tool for Arguments {
    const NAME: &'static str = "pg-cluster";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn verb(&self) -> Verb {
        let verb = |name, disturbs, wants_cluster| Verb { name, disturbs, wants_cluster };
        match self.command {
            Command::List => verb("list", false, false),
            Command::Status(_) => verb("status", false, true),
            Command::Require(_) => verb("require", false, false),
            Command::Create(_) => verb("create", false, false),
            // It never takes the document's cluster, so one that is only planned is no obstacle.
            Command::Drop(_) => verb("drop", true, false),
            Command::Start(_) => verb("start", false, true),
            Command::Stop(_) => verb("stop", true, true),
            Command::Restart(_) => verb("restart", true, true),
            Command::Reload(_) => verb("reload", false, true),
            Command::Promote(_) => verb("promote", true, true),
            Command::Wait(_) => verb("wait", false, true),
            // Standbys of a planned standby are told of it all the same, or a plan would end there.
            Command::Advertise(_) => verb("advertise", false, false),
        }
    }

    fn run(self, run: &mut Run) -> Result<(), Failure> {
        match self.command {
            Command::List => {
                status::list(run);
                Ok(())
            }
            Command::Status(arguments) => status::status(run, &arguments),
            Command::Require(arguments) => require::require(run, &arguments),
            Command::Create(arguments) => create::create(run, &arguments),
            Command::Drop(arguments) => drop::drop(run, &arguments),
            Command::Start(arguments) => serve::start(run, &arguments),
            Command::Stop(arguments) => serve::stop(run, &arguments),
            Command::Restart(arguments) => restart::restart(run, &arguments),
            Command::Reload(arguments) => restart::reload(run, &arguments),
            Command::Promote(arguments) => serve::promote(run, &arguments),
            Command::Wait(arguments) => wait::wait(run, &arguments),
            Command::Advertise(arguments) => advertise::advertise(run, &arguments),
        }
    }
}
