//! The runbook on two hosts and more: systemd, Debian's clusters, a network in between.

mod encrypted;
mod faults;
mod ipv6;
mod left_behind;
mod pipeline;
mod reclone;
mod topologies;
mod two_halves;
