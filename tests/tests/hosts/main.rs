//! The runbook on two hosts and more: systemd, Debian's clusters, a network in between.

mod encrypted;
mod faults;
mod ipv6;
mod left_behind;
mod operations;
mod pipeline;
mod reclone;
mod the_wiki;
mod topologies;
mod two_halves;
