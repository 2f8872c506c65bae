//! A network of its own for a run: a namespace, and one line to this host, which can be taken away in silence.
//!
//! What must always hold: both are gone at the end; the addresses are of the range for such tests (RFC 2544), so nobody
//! is really there.

use crate::account::is_root;
use crate::command::ToolCommand;
use crate::skipped::skip;
use std::process::{Command, Stdio};

/// A namespace with a line to this host.
#[derive(Debug)]
pub struct Network {
    name: String,
    /// This host's end of the line.
    pub host: String,
    /// The other end.
    pub inside: String,
}

impl Network {
    /// Makes one; where that can't be done, says so.
    pub fn make() -> Option<Self> {
        if !is_root() {
            skip("only root can make a network");
            return None;
        }
        let process = std::process::id();
        let [high, low] = [process % 32768 / 64, process % 64 * 4];
        let address = |end: u32| format!("198.{}.{}.{}", 18 + high / 256, high % 256, low + end);
        let network = Self { name: format!("pgrt{process}"), host: address(1), inside: address(2) };
        let (name, here, there) = (&network.name, network.end("h"), network.end("i"));
        let made = [
            format!("netns add {name}"),
            format!("link add {here} type veth peer name {there} netns {name}"),
            format!("addr add {}/30 dev {here}", network.host),
            format!("-n {name} addr add {}/30 dev {there}", network.inside),
            format!("link set {here} up"),
            format!("-n {name} link set {there} up"),
        ];
        if made.iter().all(|words| ip(words)) {
            return Some(network);
        }
        skip("a network can't be made here (apt-get install iproute2; not in every container)");
        None
    }

    /// From now on nothing comes through, and nobody is told.
    pub fn cut(&self) {
        assert!(ip(&format!("link set {} down", self.end("h"))), "the line can't be cut");
    }

    fn end(&self, which: &str) -> String {
        format!("{}{which}", self.name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Its one line goes with either end.
        ip(&format!("link del {}", self.end("h")));
        ip(&format!("netns del {}", self.name));
    }
}

impl ToolCommand<'_> {
    /// Runs it in there.
    #[must_use]
    pub fn in_network(self, network: &Network) -> Self {
        self.behind("/usr/sbin/ip", &["netns", "exec", &network.name])
    }
}

fn ip(words: &str) -> bool {
    let mut command = Command::new("/usr/sbin/ip");
    command.args(words.split(' ')).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|end| end.success())
}
