//! Waiting for what can be observed.

use std::time::{Duration, Instant};

/// Waits until `holds`, and panics with `what` when the limit is over.
pub fn wait_for(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < deadline, "waited {limit:?} in vain: {what}");
        // Not what is waited for, only how often it is looked at.
        std::thread::sleep(Duration::from_millis(5));
    }
}
