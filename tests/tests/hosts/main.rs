//! The runbook on two hosts and more: systemd, Debian's clusters, a network in between.

mod left_behind;
mod faults;
mod pipeline;
mod reclone;
