//! The runbook on two hosts and more: systemd, Debian's clusters, a network in between.

mod encrypted;
mod faults;
mod fleet;
mod ipv6;
mod jobs;
mod left_behind;
mod make;
mod modules;
mod operations;
mod packages;
mod pipeline;
mod reclone;
mod secrets;
mod the_wiki;
mod timer;
mod topologies;
mod two_halves;
