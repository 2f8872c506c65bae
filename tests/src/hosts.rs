//! Hosts of their own for a scenario: containers with systemd as their init, on a private network, under names.
//!
//! What must always hold: containers, volumes and networks carry a label that names the process that made them, and
//! never outlive it: it removes them at its end, and where it was killed, the next run does.

mod ansible;
mod builder;
mod docker;
mod files;
mod host;
mod image;
mod network;
mod pair;
mod readers;
mod readme;
mod ssh;
mod store;
mod story;
mod watcher;

pub use ansible::{ControlNode, Played, Recap};
pub use docker::{Docker, LABEL};
pub use host::Host;
pub use image::{HostImage, OLDEST, SUITES, Suite};
pub use network::{Hosts, KEEP, Protocols, with_hosts, with_hosts_on};
pub use pair::{Pair, SLOW_COPY, Serving};
pub use readers::Readers;
pub use readme::readmes_pipeline;
pub use watcher::Watcher;
