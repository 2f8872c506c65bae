//! The Ansible modules one by one: who may run them, what they take and what they show.

use tests::hosts::{ControlNode, Hosts};
use tests::on_each_suite;

on_each_suite!(modules_are_run_as_users_of_ansible_run_them);

const SECRET: &str = "correct horse battery staple";
const MODULES: [(&str, &str); 6] = [
    ("pg_role", "valid_until"),
    ("pg_conf", "reset"),
    ("pg_hba", "from"),
    ("pg_cluster", "new_cluster"),
    ("pg_basebackup_swap", "force"),
    ("pg_pass", "passfile"),
];

fn modules_are_run_as_users_of_ansible_run_them(hosts: &Hosts) {
    let Some(node) = ControlNode::of(hosts) else { return };
    let db1 = hosts.host("db1").boot();
    node.knows(&[&db1], &["admin", "dba"]);
    node.file("inventory", "db1 ansible_python_interpreter=/nonexistent\n");
    node.file("modules.yml", &include_str!("modules.yml").replace("17/main", &db1.main_cluster()));
    node.run("ansible-galaxy collection install examples/ansible").expect_done();
    for (module, option) in MODULES {
        let shown = node.run(&format!("ansible-doc -t module pg_runbook.tools.{module}")).expect_done();
        shown.expect_said(option).expect_said("login_port").expect_said("document").expect_said("EXAMPLES");
    }
    plays(&node);
    let told =
        [("work_mem", "12MB"), ("autovacuum_naptime", "90s"), ("log_disconnections", "on"), ("log_timezone", "GMT")];
    for (name, value) in told {
        assert_eq!(db1.sql(5432, &format!("SHOW {name}")), value, "{name}: a reload came with it");
    }
    assert_eq!(db1.says("stat -c %U /etc/postgresql/*/main/postgresql.conf"), "postgres");
}

fn plays(node: &ControlNode) {
    node.file("secret.yml", &format!("secret: {SECRET}\n"));
    let play = |tags: &str, more: &str| {
        node.run(&format!("ansible-playbook -i inventory -e @secret.yml modules.yml --tags {tags} {more}"))
    };
    let diff = play("unprivileged", "--check --diff").expect_done();
    diff.expect_said("+work_mem = 12MB").expect_said("before: /etc/postgresql").expect_said("changed=7");
    play("unprivileged", "").expect_done().expect_said("changed=7");
    play("unprivileged", "").expect_done().expect_said("changed=0");
    play("asynchronous", "").expect_done().expect_said("ok=1").expect_said("ASYNC OK");
    let wrong = play("wrong", "").expect_failed();
    wrong.expect_said("there is no cluster 9/gone").expect_said("(hint: pg-cluster list)");
    let shown = play("secret", "-vvvv --diff").expect_done().expect_said("changed=2");
    shown.expect_said("role replicator").expect_not_said(SECRET);
    play("secret", "").expect_done().expect_said("changed=0");
}
