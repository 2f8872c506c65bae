//! A primary with rules, and the tools that change them.

use tests::{Outcome, Sandbox, TestCluster, ToolCommand};

pub const PASSWORD: &str = "correct horse battery";
pub const CLOSED: &str = "# ours\nlocal   all   all   peer\n";

pub fn allow<'a>(cluster: &'a TestCluster, words: &[&str]) -> ToolCommand<'a> {
    cluster.other_tool("pg-conf", "allow").args(words)
}

pub fn disallow<'a>(cluster: &'a TestCluster, words: &[&str]) -> ToolCommand<'a> {
    cluster.other_tool("pg-conf", "disallow").args(words)
}

pub fn reload(sandbox: &Sandbox, after: &Outcome) -> Outcome {
    sandbox.tool("pg-cluster").arg("reload").after(after).run().success()
}

/// A primary with a role that no rule but `rules` lets in.
pub fn scene<'a>(sandbox: &'a Sandbox, rules: &str) -> TestCluster<'a> {
    let cluster = sandbox.cluster("primary").start();
    make_role(&cluster, "replicator");
    cluster.write("pg_hba.conf", rules);
    cluster.tool("reload").run().success();
    cluster
}

pub fn make_role(cluster: &TestCluster, name: &str) {
    let ensure = cluster.other_tool("pg-role", "ensure").arg(name).env("PGPASSWORD", PASSWORD);
    ensure.run().success().expect_changed(true);
}

pub fn logs_in(cluster: &TestCluster, host: &str) -> bool {
    cluster.login(host, "replicator").with_password(PASSWORD).is_ok()
}

pub fn errors(cluster: &TestCluster) -> String {
    cluster.sql("SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL")
}
