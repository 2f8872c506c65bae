//! The runbook on two hosts and more: systemd, Debian's clusters, a network in between.

mod faults;
mod left_behind;
mod pipeline;
mod reclone;
