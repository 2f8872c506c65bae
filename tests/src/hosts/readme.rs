//! README's pipeline across two hosts, as it is typed there.

use crate::hosts::host::Host;

/// README's own words, but for the standby's address and version.
///
/// # Panics
///
/// Where README no longer has them.
pub fn readmes_pipeline(standby: &Host) -> String {
    let readme = include_str!("../../../README.md");
    let block = readme.split("```").find(|text| text.contains("ssh db1")).expect("README's pipeline");
    let words = block.trim_start_matches("sh\n").trim_end();
    let (address, cluster) = ("192.0.2.7", "17/replica");
    assert!(words.contains(address) && words.contains(cluster), "{words}");
    words.replace(address, &standby.address).replace(cluster, &format!("{}/replica", standby.suite.major))
}
