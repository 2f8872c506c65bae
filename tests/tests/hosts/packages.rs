//! What `cargo xtask dist` made: the packages and the tarball on hosts that have nothing else of ours.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use crate::pipeline::pipeline;
use std::path::PathBuf;
use std::time::Duration;
use tests::hosts::{Host, Hosts, OLDEST, with_hosts};
use tests::{made, on_each_suite, on_the_newest_suite, wait_for};

on_each_suite!(packages_are_installed_used_and_purged);
on_the_newest_suite!(the_tarball_is_installed_as_readme_says_and_removed_as_it_says_itself);

/// Debian 11, which the test of the other suites has no name for.
#[test]
fn packages_are_installed_used_and_purged_on_bullseye_with_13() {
    with_hosts(OLDEST, packages_are_installed_used_and_purged);
}

/// README's command that begins so.
fn readme(start: &str) -> String {
    let readme = include_str!("../../../README.md");
    let command = readme.lines().find(|line| line.starts_with(start)).expect("README tells how to install");
    command.replace("x86_64", std::env::consts::ARCH)
}

const TOOLS: [&str; 5] = ["pg-role", "pg-conf", "pg-cluster", "pg-pass", "pg-basebackup-swap"];

const PURGE: &str = "apt-get purge -y pg-role pg-conf pg-cluster pg-pass pg-basebackup-swap pg-runbook";

/// Debian's image for containers leaves out what is to be read, which no host does.
const AS_HOSTS_ARE: &str = "rm -f /etc/dpkg/dpkg.cfg.d/docker";

/// The hosts see it as `/exchange/NAME`.
fn share(hosts: &Hosts, files: &[PathBuf]) {
    for file in files {
        let name = file.file_name().expect("a file has a name");
        std::fs::copy(file, hosts.exchange().join(name)).expect("share a file with the hosts");
    }
}

/// All that could be left behind: what dpkg and logs write down of a run is meant to stay.
fn everything(host: &Host) -> Vec<String> {
    let said = host.says(
        "find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /exchange -o -path /var/log \
         -o -path /var/cache -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/lib/systemd \\) -prune -o -print | sort",
    );
    said.lines().map(str::to_owned).collect()
}

fn packages_are_installed_used_and_purged(hosts: &Hosts) {
    let Some(packages) = made(".deb") else { return };
    assert_eq!(packages.len(), TOOLS.len() + 1, "{packages:?}");
    share(hosts, &packages);
    let secret = "correct horse battery staple";
    hosts.file("s", &format!("{secret}\n"));
    let hosts = ["work", "db1", "db2"].map(|name| hosts.host(name).without_tools().boot());
    let [work, db1, db2] = &hosts;
    db1.main_cluster();
    installs_whole_and_leaves_nothing(db1);
    db2.says(&format!("{AS_HOSTS_ARE}; cd /exchange && {}", readme("apt-get")));
    for host in [db1, db2] {
        host.lets_in(work, "root");
        host.says("install -m 600 /exchange/s /root/s");
    }
    let done = pipeline(work, db2).success();
    assert!(done.typed().changed, "{done}");
    db1.sql(5432, "CREATE TABLE proof AS SELECT 42 AS answer");
    wait_for("the row to arrive", Duration::from_secs(20), || {
        db2.try_sql(5434, "SELECT answer FROM proof").as_deref() == Some("42")
    });
    let again = pipeline(work, db2).success();
    assert!(!again.typed().changed, "{again}");
    let started = db2.sql(5434, "SELECT pg_postmaster_start_time()");
    db2.says(PURGE);
    assert_eq!(db2.sql(5434, "SELECT pg_postmaster_start_time()"), started, "the standby serves on");
}

/// Installed, installed again over itself, removed and purged, and installed to stay.
fn installs_whole_and_leaves_nothing(host: &Host) {
    host.says(AS_HOSTS_ARE);
    let before = everything(host);
    host.says(&format!("cd /exchange && {}", readme("apt-get")));
    for tool in TOOLS {
        host.says(&format!("{tool} --version | grep -F 0.1.0 && {tool} --help > /dev/null"));
        host.says(&format!("dpkg -L {tool} | grep -x /usr/bin/{tool} && dpkg -V {tool}"));
        // Pages that man finds, and none that is empty.
        host.says(&format!("zcat /usr/share/man/man1/{tool}.1.gz | grep -F '.SH SYNOPSIS'"));
        host.says(&format!(". /usr/share/bash-completion/completions/{tool} && complete -p {tool}"));
        host.says(&format!("grep -q '^#compdef {tool}' /usr/share/zsh/vendor-completions/_{tool}"));
        host.says(&format!("grep -q -e '--command {tool} ' /usr/share/fish/vendor_completions.d/{tool}.fish"));
        host.says(&format!("zcat /usr/share/doc/{tool}/changelog.gz | grep -i changelog"));
        host.says(&format!("grep -F 'Permission to use, copy' /usr/share/doc/{tool}/copyright"));
    }
    host.says("zcat /usr/share/man/man1/pg-basebackup-swap-run.1.gz | grep -F -- force");
    host.says("zcat /usr/share/man/man7/pg-runbook.7.gz | grep -F 'THE WHOLE RUNBOOK'");
    host.says("cd /usr/share/doc/pg-runbook && ls README.md docs/document.md docs/jobs/wiki.md examples/Makefile");
    host.says("ls /usr/share/doc/pg-runbook/examples/ansible/plugins/modules/pg_cluster");
    host.says("apt-get install -y --reinstall /exchange/*.deb && pg-cluster list");
    host.says("apt-get remove -y pg-runbook && ! ls /usr/share/doc/pg-runbook && pg-cluster --version");
    host.says(PURGE);
    assert_eq!(host.says("dpkg-query --show 'pg-*' 2>/dev/null | wc -l"), "0");
    let after = everything(host);
    let left: Vec<&String> = after.iter().filter(|path| !before.contains(path)).collect();
    assert!(left.is_empty(), "left behind on {}: {left:#?}", host.name);
    host.says("apt-get install -y /exchange/*.deb");
}

fn the_tarball_is_installed_as_readme_says_and_removed_as_it_says_itself(hosts: &Hosts) {
    let Some(tarballs) = made(".tar.gz") else { return };
    share(hosts, &tarballs);
    let host = hosts.host("db1").without_tools().boot();
    let before = host.says("find /usr/local -type f | sort");
    host.says(&format!("cp /exchange/*.tar.gz /srv && cd /srv && {}", readme("tar")));
    for tool in TOOLS {
        host.says(&format!("{tool} --version && zcat /usr/local/share/man/man1/{tool}.1.gz > /dev/null"));
    }
    assert_eq!(host.says("stat -c '%U %a' /usr/local/bin/pg-cluster"), "root 755");
    host.main_cluster();
    host.says("pg-conf set work_mem=9MB | pg-cluster restart");
    assert_eq!(host.sql(5432, "SHOW work_mem"), "9MB");
    host.says(
        "cd /srv/pg-runbook-*/ && ls README.md LICENSE COPYRIGHT CHANGELOG.md docs/document.md examples/Makefile",
    );
    let told = host.says("cat /srv/pg-runbook-*/INSTALL");
    let commands: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let [install, remove] = commands[..] else { panic!("{told}") };
    for command in [install, remove] {
        host.says(&format!("cd /srv/pg-runbook-*/ && {command}"));
    }
    assert_eq!(host.says("find /usr/local -type f | sort"), before);
}
