//! The same on a cluster of Debian's layout, made under a name of its own and removed whatever happens.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use tests::{Outcome, Sandbox, is_root, on_the_machines_own, skip};

on_the_machines_own!(
    a_debian_cluster_goes_through_its_life,
    settings_go_into_debians_files_and_its_own_options_are_told,
    names_that_debian_can_not_have_are_refused,
    a_configuration_that_can_not_be_read_hides_no_other_cluster,
);

/// Gone when the test ends.
struct DebianCluster<'a> {
    sandbox: &'a Sandbox,
    short: String,
}

impl DebianCluster<'_> {
    fn name(&self) -> String {
        format!("{}/{}", self.sandbox.server.major, self.short)
    }

    fn tool(&self, verb: &str, more: &[&str]) -> Outcome {
        self.sandbox.tool("pg-cluster").args([verb, "--cluster", &self.name()]).args(more).run()
    }

    fn configuration(&self) -> std::path::PathBuf {
        Path::new("/etc/postgresql").join(self.name())
    }

    fn is_listed(&self) -> bool {
        let listed = Command::new("/usr/bin/pg_lsclusters").arg("-h").output().expect("run pg_lsclusters");
        String::from_utf8_lossy(&listed.stdout).contains(&self.short)
    }
}

impl Drop for DebianCluster<'_> {
    fn drop(&mut self) {
        if self.configuration().exists() {
            let major = self.sandbox.server.major.to_string();
            let _ = Command::new("/usr/bin/pg_dropcluster").args(["--stop", &major, &self.short]).status();
            // It leaves a conf.d that has something in it.
            let _ = std::fs::remove_dir_all(self.configuration());
        }
    }
}

fn can_run() -> bool {
    let can = is_root() && Path::new("/usr/bin/pg_createcluster").exists();
    if !can {
        skip("only root can make Debian clusters, and only with postgresql-common");
    }
    can
}

fn a_debian_cluster_goes_through_its_life(sandbox: &Sandbox) {
    if !can_run() {
        return;
    }
    let cluster = DebianCluster { sandbox, short: format!("pgrunbooktest{}", std::process::id()) };
    let port = sandbox.port().to_string();
    let create = || sandbox.tool("pg-cluster").args(["create", &cluster.name(), "-p", &port]).env("LC_ALL", "C").run();
    let planned = sandbox.tool("pg-cluster").args(["create", &cluster.name(), "-p", &port, "--check"]).run().success();
    assert!(planned.changed() && !cluster.configuration().exists(), "{planned}");
    let made = create().success().expect_changed(true).typed().cluster.expect("a cluster");
    assert_eq!((made.layout.as_str(), made.name.as_deref()), ("debian", Some(cluster.short.as_str())));
    assert_eq!((made.owner.as_str(), made.port.to_string()), ("postgres", port.clone()));
    create().success().expect_changed(false);
    assert!(cluster.is_listed());

    serves(&cluster);
    outlives_a_bad_restart(&cluster);
    is_dropped(&cluster);
}

fn settings_go_into_debians_files_and_its_own_options_are_told(sandbox: &Sandbox) {
    if !can_run() {
        return;
    }
    let cluster = DebianCluster { sandbox, short: format!("pgrunbooksettings{}", std::process::id()) };
    let port = sandbox.port().to_string();
    sandbox.tool("pg-cluster").args(["create", &cluster.name(), "-p", &port]).env("LC_ALL", "C").run().success();
    let etc = cluster.configuration();
    let conf =
        |verb: &str, more: &[&str]| sandbox.tool("pg-conf").args([verb, "--cluster", &cluster.name()]).args(more).run();
    let done = conf("set", &["trace_notify=on", "work_mem=7MB"]).success().expect_changed(true);
    let files: Vec<_> = done.typed().changes.into_iter().filter_map(|change| change.file).collect();
    let expected = ["conf.d/90-pg-conf.conf", "postgresql.conf"].map(|name| etc.join(name).display().to_string());
    assert_eq!(files, expected, "{done}");
    let look = |name: &str| etc.join(name).metadata().map(|it| (it.mode(), it.uid(), it.gid())).expect("it");
    assert_eq!(look("conf.d/90-pg-conf.conf"), look("postgresql.conf"));

    let options = etc.join("pg_ctl.conf");
    std::fs::write(&options, "pg_ctl_options = '-o -cwork_mem=5MB'\n").expect("write pg_ctl.conf");
    cluster.tool("start", &[]).success();
    let told = conf("set", &["work_mem=8MB"]).expect_code(3).expect_error("work_mem = 5MB on its command line");
    told.expect_error("pg_ctl.conf").expect_hint("then: pg-cluster restart --cluster");
    std::fs::write(&options, "pg_ctl_options = ''\n").expect("write pg_ctl.conf");
    cluster.tool("restart", &[]).success();
    conf("set", &["work_mem=8MB"]).success().expect_changed(true);
    cluster.tool("stop", &[]).success();
}

fn serves(cluster: &DebianCluster) {
    cluster.tool("start", &[]).success().expect_changed(true);
    cluster.tool("start", &[]).success().expect_changed(false);
    let before = cluster.tool("status", &[]).success();
    assert_eq!(before.typed().cluster.expect("a cluster").state, "running");
    assert_eq!(before.document["start_policy"], "auto", "{before}");
    cluster.tool("restart", &[]).success().expect_changed(true);
    cluster.tool("reload", &[]).success().expect_changed(true);
    // By its data directory and by its configuration's folder it is the same cluster.
    let data = before.typed().cluster.expect("a cluster").data_directory;
    for folder in [Path::new(&data), &cluster.configuration()] {
        let status = cluster.sandbox.tool("pg-cluster").arg("status").arg("-D").arg(folder).run().success();
        assert_eq!(status.typed().cluster.and_then(|known| known.name), Some(cluster.short.clone()));
    }
    let dash = format!("{}-{}", cluster.sandbox.server.major, cluster.short);
    cluster.sandbox.tool("pg-cluster").arg("status").env("PGCLUSTER", dash).run().success();
}

fn outlives_a_bad_restart(cluster: &DebianCluster) {
    let file = cluster.configuration().join("postgresql.conf");
    let before = std::fs::read(&file).expect("postgresql.conf");
    let pg_conf = |arguments: &[&str]| {
        cluster.sandbox.tool("pg-conf").args(arguments).args(["--cluster", &cluster.name()]).run().success()
    };
    let changed = pg_conf(&["set", "shared_preload_libraries=nosuch"]).expect_changed(true);
    let failed = cluster.sandbox.tool("pg-cluster").arg("restart").after(&changed).run().expect_code(1);
    let failed = failed.expect_error("could not access file \"nosuch\"").expect_error("it runs again");
    assert_eq!(failed.typed().cluster.expect("a cluster").state, "running");
    assert_eq!(std::fs::read(&file).expect("postgresql.conf"), before);
    assert!(cluster.configuration().join(".pg-conf").is_dir());
    pg_conf(&["undo"]).expect_changed(false);
    // A folder that is included gets a file for what has no line elsewhere; it goes with the cluster.
    pg_conf(&["set", "myapp.level=3"]).expect_changed(true);
    assert!(cluster.configuration().join("conf.d/90-pg-conf.conf").is_file());
}

fn is_dropped(cluster: &DebianCluster) {
    let drop = |more: &[&str]| cluster.sandbox.tool("pg-cluster").args(["drop", &cluster.name()]).args(more).run();
    drop(&[]).expect_code(3).expect_error("it runs");
    cluster.tool("stop", &[]).success().expect_changed(true);
    cluster.tool("stop", &[]).success().expect_changed(false);
    drop(&["--check"]).success().expect_changed(true);
    assert!(cluster.is_listed());
    drop(&[]).success().expect_changed(true);
    assert!(!cluster.is_listed() && !cluster.configuration().exists());
    drop(&[]).success().expect_changed(false);
    cluster.tool("status", &[]).expect_code(2).expect_error("there is no cluster");
}

fn names_that_debian_can_not_have_are_refused(sandbox: &Sandbox) {
    for name in ["main", "15/", "15/a-b", "15/..", "x/main"] {
        sandbox.tool("pg-cluster").args(["create", name]).run().expect_code(2);
    }
    sandbox.tool("pg-cluster").args(["create", "15/x", "--layout", "plain"]).run().expect_code(2);
    sandbox
        .tool("pg-cluster")
        .args(["create", "--layout", "debian"])
        .run()
        .expect_code(2)
        .expect_hint("pg-cluster create");
}

fn a_configuration_that_can_not_be_read_hides_no_other_cluster(sandbox: &Sandbox) {
    let served = sandbox.cluster("served").create();
    let etc = sandbox.path().join("etc");
    let major = sandbox.server.major;
    let configure = |name: &str, lines: &str| {
        let folder = etc.join(major.to_string()).join(name);
        std::fs::create_dir_all(&folder).expect("make a configuration's folder");
        std::fs::write(folder.join("postgresql.conf"), lines).expect("write a configuration");
    };
    let data = served.data.display();
    configure("served", &format!("data_directory = '{data}'\n"));
    configure("torn", "include 'gone.conf'\n");
    let cluster = |words: &[&str]| sandbox.tool("pg-cluster").args(words).env("PG_CLUSTER_CONF_ROOT", &etc).run();
    let (known, torn) = (format!("{major}/served"), format!("{major}/torn"));

    let listed = cluster(&["list"]).success().expect_warning(&format!("{torn} can't be told of"));
    let clusters = listed.document["clusters"].as_array().expect("clusters").iter();
    assert!(clusters.clone().any(|cluster| cluster["name"] == "served"), "{listed}");
    assert_eq!(listed.document["unreadable"][0]["name"], "torn", "{listed}");
    if is_root() && Path::new("/usr/bin/pg_createcluster").exists() {
        let taken = cluster(&["create", &format!("{major}/other"), "--check"]).expect_code(3);
        taken.expect_error(&format!("which port {torn} has can't be told")).expect_hint("-p PORT");
    }
    let named = cluster(&["status", "-D", &data.to_string()]).success().typed().cluster.expect("a cluster");
    assert_eq!((named.layout.as_str(), named.name.as_deref()), ("debian", Some("served")));
    cluster(&["status"]).expect_code(2).expect_error(&known).expect_error(&format!("{torn} (its configuration can't"));
    let folder = etc.join(&torn).display().to_string();
    cluster(&["status", "-D", &folder]).expect_code(1).expect_error("postgresql.conf");
}
