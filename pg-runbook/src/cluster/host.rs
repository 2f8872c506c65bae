//! Which host this is.
//!
//! What must always hold: two hosts made from one image differ (the name is part of it), and the machine id itself,
//! which machine-id(5) asks to keep to the host, is not told.

use sha2::{Digest, Sha256};
use std::fmt::Write;

/// 32 hexadecimal digits that stay the same over reboots.
#[must_use]
pub fn id() -> String {
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let name = nix::unistd::gethostname().unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(b"pg-runbook host\n");
    hash.update(machine.trim());
    hash.update(b"\n");
    hash.update(name.as_encoded_bytes());
    hash.finalize().iter().take(16).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
