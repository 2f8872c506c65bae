//! A private network for one scenario: addresses that stay, names that resolve, and no way out of the machine needed.
//!
//! What must always hold: two scenarios at the same time never share a network.

use crate::hosts::builder::HostBuilder;
use crate::hosts::docker::{Docker, KEPT, LABEL, Maker};
use crate::hosts::host::Host;
use crate::hosts::image::{HostImage, Suite};
use crate::skipped::{in_ci, skip};
use std::cell::Cell;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The variable that has a failed scenario keep its hosts.
pub const KEEP: &str = "PG_RUNBOOK_TEST_KEEP";

/// What the label of all that a scenario makes says: who made it, or that it is kept.
pub(super) fn maker() -> String {
    if std::env::var_os(KEEP).is_some() { KEPT.to_owned() } else { Maker::this() }
}

/// One scenario's hosts.
#[derive(Debug)]
pub struct Hosts {
    /// What they run.
    pub suite: Suite,
    pub(super) protocols: Protocols,
    network: String,
    number: u8,
    next: Cell<u8>,
    exchange: tempfile::TempDir,
}

/// What their network speaks; where it is both, a host's name stands for both of its addresses, IPv6 first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocols {
    /// IPv4 only.
    One,
    /// IPv4 and IPv6.
    Both,
}

/// Runs a scenario with hosts of a suite; says so where there can't be any, and fails then in CI.
pub fn with_hosts(suite: Suite, scenario: fn(&Hosts)) {
    with_hosts_on(suite, Protocols::One, scenario);
}

/// The same, on a network of one protocol or two.
pub fn with_hosts_on(suite: Suite, protocols: Protocols, scenario: fn(&Hosts)) {
    let image = HostImage::of(suite);
    let missing = match Docker::answers() {
        Err(missing) => missing,
        Ok(()) if !image.exists() => format!("there is no image {}: cargo xtask image", image.name()),
        Ok(()) => return scenario(&Hosts::new(suite, protocols)),
    };
    assert!(!in_ci(), "{missing}, and CI skips nothing for want of it");
    skip(&missing);
}

/// Makes tests of scenarios (`fn(&Hosts)`), one for each suite of Debian.
#[macro_export]
macro_rules! on_each_suite {
    ($($scenario:ident),* $(,)?) => {$(
        mod $scenario {
            #[test]
            fn on_bookworm_with_15() {
                $crate::hosts::with_hosts($crate::hosts::SUITES[0], super::$scenario);
            }
            #[test]
            fn on_trixie_with_17() {
                $crate::hosts::with_hosts($crate::hosts::SUITES[1], super::$scenario);
            }
        }
    )*};
}

/// Makes tests of scenarios where the suite makes no difference: on the newest.
#[macro_export]
macro_rules! on_the_newest_suite {
    ($($scenario:ident),* $(,)?) => {$(
        mod $scenario {
            #[test]
            fn on_trixie_with_17() {
                $crate::hosts::with_hosts($crate::hosts::SUITES[1], super::$scenario);
            }
        }
    )*};
}

impl Hosts {
    fn new(suite: Suite, protocols: Protocols) -> Self {
        Docker::reap();
        let maker = maker();
        let first = u8::try_from(std::process::id() % 250).unwrap_or_default();
        // Another scenario, or somebody else, may have that one.
        let mut tried = (0..250).map(|step| (u16::from(first) + step) % 250);
        let made = tried.find_map(|number| {
            let number = u8::try_from(number).ok()?;
            make(&maker, number, protocols).ok().map(|network| (network, number))
        });
        let (network, number) =
            made.unwrap_or_else(|| panic!("no network can be made: {:?}", make(&maker, first, protocols)));
        let exchange = tempfile::Builder::new()
            .prefix("pg-runbook-test-exchange-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()
            .expect("a folder that hosts share");
        Self { suite, protocols, network, number, next: Cell::new(10), exchange }
    }

    /// Boots hosts of these names, at the same time; each is up when this returns.
    #[track_caller]
    pub fn boot<const COUNT: usize>(&self, names: [&str; COUNT]) -> [Host; COUNT] {
        boot(names.map(|name| self.host(name)))
    }

    /// The same, with their clusters on disks, where those outlive reboots.
    #[track_caller]
    pub fn boot_on_disks<const COUNT: usize>(&self, names: [&str; COUNT]) -> [Host; COUNT] {
        boot(names.map(|name| self.host(name).on_a_disk()))
    }

    /// A host that is not started yet.
    pub fn host(&self, name: &str) -> HostBuilder<'_> {
        HostBuilder::new(self, name)
    }

    /// A file that all of the hosts see as `/exchange/NAME`: what goes through it is in nobody's command line.
    #[track_caller]
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.exchange.path().join(name);
        std::fs::write(&path, text).expect("write a file for the hosts");
        path
    }

    /// The folder that they see as `/exchange`.
    pub fn exchange(&self) -> &Path {
        self.exchange.path()
    }

    /// The IPv4 network, as `pg_hba.conf` writes it.
    pub fn subnet(&self) -> String {
        format!("10.213.{}.0/24", self.number)
    }

    pub(super) fn network(&self) -> &str {
        &self.network
    }

    pub(super) fn next_addresses(&self) -> (String, String) {
        let next = self.next.get();
        self.next.set(next + 1);
        (format!("10.213.{}.{next}", self.number), format!("fd57:{:x}::{next:x}", self.number))
    }
}

#[track_caller]
fn boot<const COUNT: usize>(builders: [HostBuilder<'_>; COUNT]) -> [Host; COUNT] {
    let hosts = builders.map(HostBuilder::start);
    for host in &hosts {
        host.wait_until_up();
    }
    hosts
}

fn make(maker: &str, number: u8, protocols: Protocols) -> Result<String, String> {
    let name = format!("pg-runbook-test-{number}");
    let label = format!("{LABEL}={maker}");
    let [subnet, range, six] =
        [format!("10.213.{number}.0/24"), format!("10.213.{number}.128/25"), format!("fd57:{number:x}::/64")];
    let mut words = vec!["network", "create", "--label", &label, "--subnet", &subnet, "--ip-range", &range];
    if protocols == Protocols::Both {
        words.extend(["--ipv6", "--subnet", &six]);
    }
    words.push(&name);
    Docker::run(&words).map(|_| name)
}

impl Drop for Hosts {
    fn drop(&mut self) {
        if std::thread::panicking() && std::env::var_os(KEEP).is_some() {
            let label = format!("{LABEL}={KEPT}");
            eprintln!("kept: docker ps --filter label={label}; at the next run without --keep they go");
            // What is in it is mounted in them.
            let _ = std::mem::replace(&mut self.exchange, tempfile::tempdir().expect("a folder")).keep();
            return;
        }
        // Its hosts are gone by now: they were made after it, and borrow it.
        if let Err(trouble) = Docker::run(&["network", "rm", &self.network]) {
            eprintln!("{trouble}");
        }
    }
}
