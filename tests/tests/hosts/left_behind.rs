//! Nothing outlives the run that made it: not even what a run that was killed made.

use tests::hosts::{Docker, HostImage, Hosts, LABEL};
use tests::on_the_newest_suite;

on_the_newest_suite!(what_a_killed_run_made_is_removed_by_the_next_and_what_lives_stays);

fn what_a_killed_run_made_is_removed_by_the_next_and_what_lives_stays(hosts: &Hosts) {
    let host = hosts.host("db1").boot();
    // A process number that no kernel gives.
    let killed = format!("{LABEL}=4194305-1");
    let image = HostImage::of(hosts.suite).name();
    let create = ["container", "create", "--label", &killed, "--volume", "/var/lib/postgresql", &image];
    let container = Docker::run(&create).expect("a container");
    let network = Docker::run(&["network", "create", "--label", &killed, "pg-runbook-test-killed"]).expect("a network");
    let volume = "{{range .Mounts}}{{.Name}}{{end}}";
    let volume = Docker::run(&["container", "inspect", "--format", volume, &container]).expect("its volume");
    let exists = |kind: &str, id: &str| Docker::run(&[kind, "inspect", "--format", "there", id]).is_ok();
    assert!(exists("container", &container) && exists("network", &network) && exists("volume", &volume));
    Docker::reap();
    assert!(!exists("container", &container) && !exists("network", &network) && !exists("volume", &volume));
    assert_eq!(host.says("hostname"), "db1");
}
