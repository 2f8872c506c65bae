//! What a change of settings comes to, before anything is done.

#![allow(clippy::disallowed_methods)] // The tests set their own scenery.

use super::*;
use crate::running::{Live, Running, Snapshot};
use crate::settings::catalogue::Catalogue;
use pg_runbook::Code;
use pg_runbook::configuration::Configuration;
use pg_runbook::configuration::judge::Judge;
use serde_json::json;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const CATALOGUE: &str = "wal_level\tpostmaster\t\nwork_mem\tuser\t\nwal_keep_size\tsighup\t\n";

fn world(files: &[(&str, &str)], running: Running) -> (TempDir, World) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let main = folder.path().join("postgresql.conf");
    let cluster = json!({
        "host_id": "x", "major": 17, "layout": "plain", "data_directory": folder.path(), "config_file": main,
        "hba_file": folder.path().join("pg_hba.conf"), "port": 5433, "socket_directory": "/run/postgresql",
        "owner": "postgres", "state": "running"
    });
    let world = World {
        cluster: serde_json::from_value(cluster).unwrap(),
        configuration: Configuration::load(&main, Some(folder.path())).unwrap(),
        judge: Judge::default(),
        catalogue: Catalogue::parse(CATALOGUE),
        command_line: Vec::new(),
        pg_ctl_options: None,
        overriding: false,
        concerns: Vec::new(),
        running,
    };
    (folder, world)
}

fn subject(name: &str, wanted: Option<&str>, asked: &str, present: &str) -> Subject {
    Subject {
        name: name.into(),
        wanted: wanted.map(Into::into),
        asked: asked.into(),
        present: Some(present.into()),
        on_command_line: None,
    }
}

fn live(name: &str, shown: &str, reset_value: &str, context: &str) -> Live {
    Live {
        name: name.into(),
        shown: shown.into(),
        reset_value: reset_value.into(),
        context: context.into(),
        source: "configuration file".into(),
        ..Live::default()
    }
}

fn server() -> Running {
    let settings = vec![
        live("wal_level", "replica", "replica", "postmaster"),
        live("work_mem", "4MB", "4096", "user"),
        live("wal_keep_size", "0", "0", "sighup"),
    ];
    Running::Answers(Snapshot { settings, loaded: 9e9, started: 9e9, standbys: Vec::new() })
}

/// The plan as a person would tell it, without the folder's accidental name.
fn told(plan: &Plan, folder: &Path) -> String {
    let mut text: Vec<String> = plan.changes.iter().map(|change| change.line(true)).collect();
    text.extend(plan.needs.iter().map(|(level, name)| format!("{level:?} for {name}")));
    text.extend(plan.notes.iter().chain(&plan.warnings).cloned());
    for edit in &plan.edits {
        text.push(format!(
            "{}:\n{}",
            edit.path.display(),
            String::from_utf8_lossy(edit.after.as_deref().unwrap_or_default())
        ));
    }
    text.join("\n").replace(&folder.display().to_string(), "")
}

#[test]
fn edits_what_differs_and_says_what_each_change_needs() {
    let files =
        [("postgresql.conf", "wal_level = replica\n#work_mem = 4MB\ninclude 'x'\n"), ("x", "wal_keep_size = 0")];
    let (folder, world) = world(&files, server());
    let subjects = [
        subject("wal_level", Some("logical"), "logical", "replica"),
        subject("work_mem", Some("8MB"), "8192", "4096"),
        subject("wal_keep_size", Some("8GB"), "8192", "0"),
    ];
    insta::assert_snapshot!(told(&plan(&world, &subjects).unwrap(), folder.path()), @"
    would change wal_level: replica → logical (restart needed)
    would change work_mem: 4MB → 8MB (reload needed)
    would change wal_keep_size: 0 → 8GB (reload needed)
    Restart for wal_level
    Reload for work_mem
    Reload for wal_keep_size
    /postgresql.conf:
    wal_level = logical
    #work_mem = 4MB
    work_mem = 8MB
    include 'x'

    /x:
    wal_keep_size = 8GB
    ");
}

#[test]
fn an_equal_value_changes_nothing_and_still_needs_what_the_server_has_not_done() {
    let files = [("postgresql.conf", "wal_level = logical\nwork_mem = 4096kB\n")];
    let (folder, world) = world(&files, server());
    let subjects =
        [subject("wal_level", Some("logical"), "logical", "logical"), subject("work_mem", Some("4MB"), "4096", "4096")];
    insta::assert_snapshot!(told(&plan(&world, &subjects).unwrap(), folder.path()), @"Restart for wal_level");
}

#[test]
fn refuses_what_alter_system_would_override_and_names_the_way_out() {
    let files = [("postgresql.conf", "work_mem = 1MB\n"), ("postgresql.auto.conf", "# x\nwork_mem = '7MB'\n")];
    let (folder, world) = world(&files, server());
    let failure = plan(&world, &[subject("work_mem", Some("8MB"), "8192", "7168")]).unwrap_err();
    assert_eq!(failure.code, Code::Refused);
    let place = format!("{}/postgresql.auto.conf:2", folder.path().display());
    assert!(failure.causes[0].contains("7MB") && failure.causes[0].contains(&place), "{failure}");
    let again = format!("pg-conf set --override -D {} work_mem=8MB", folder.path().display());
    assert_eq!(failure.hint.unwrap(), again);
    let same = plan(&world, &[subject("work_mem", Some("7168kB"), "7168", "7168")]).unwrap();
    assert!(same.edits.is_empty() && same.notes[0].starts_with("work_mem already is 7MB, by ALTER SYSTEM"));
    let unset = plan(&world, &[subject("work_mem", None, "7168", "7168")]).unwrap();
    assert_eq!((unset.edits.len(), unset.changes.len()), (1, 1));
    assert!(unset.warnings[0].starts_with("work_mem stays 7MB"), "{:?}", unset.warnings);
}

#[test]
fn takes_back_what_alter_system_set_through_the_server_where_it_runs() {
    let files = [("postgresql.conf", "work_mem = 1MB\n"), ("postgresql.auto.conf", "# x\nwork_mem = '7MB'\n")];
    let wanted = [subject("work_mem", Some("8MB"), "8192", "7168")];
    let (folder, mut world) = world(&files, server());
    world.overriding = true;
    let running = plan(&world, &wanted).unwrap();
    assert_eq!((running.edits.len(), running.count()), (1, 1));
    assert_eq!(
        running.taken_back.changes[0].line(false),
        "work_mem: 7MB → (not set) (ALTER SYSTEM RESET; reload needed)"
    );
    world.running = Running::Down;
    insta::assert_snapshot!(told(&plan(&world, &wanted).unwrap(), folder.path()), @r"
    would change work_mem: 1MB → 8MB (start needed)
    would change work_mem: 7MB → (not set) (ALTER SYSTEM RESET; start needed)
    Start for work_mem
    /postgresql.conf:
    work_mem = 8MB

    /postgresql.auto.conf:
    # x
    ");
    world.running = Running::Silent;
    assert_eq!(plan(&world, &wanted).unwrap_err().code, Code::GaveUp);
}

#[test]
fn overriding_where_the_file_already_says_so_only_takes_back() {
    let files = [("postgresql.conf", "work_mem = 8MB\n"), ("postgresql.auto.conf", "work_mem = '7MB'\n")];
    let (_folder, mut world) = world(&files, server());
    world.overriding = true;
    let back = plan(&world, &[subject("work_mem", Some("8MB"), "8192", "7168")]).unwrap();
    assert_eq!((back.edits.len(), back.changes.len(), back.taken_back.changes.len()), (0, 0, 1));
    let equal = plan(&world, &[subject("work_mem", Some("7168kB"), "7168", "7168")]).unwrap();
    assert_eq!((equal.edits.len(), equal.count()), (0, 0));
}

#[test]
fn refuses_what_the_command_line_overrides() {
    let (_folder, mut world) = world(&[("postgresql.conf", "")], server());
    let given = Subject { on_command_line: Some("1024".into()), ..subject("work_mem", Some("8MB"), "8192", "4096") };
    let failure = plan(&world, std::slice::from_ref(&given)).unwrap_err();
    assert_eq!(failure.code, Code::Refused);
    assert!(failure.causes[0].contains("work_mem = 1024 on its command line"), "{failure}");
    assert!(failure.hint.unwrap().contains("by a restart: pg-cluster restart -D"));
    world.pg_ctl_options = Some("/etc/postgresql/17/main/pg_ctl.conf".into());
    let hint = plan(&world, &[given]).unwrap_err().hint.unwrap();
    assert!(hint.starts_with("take it out of pg_ctl_options in /etc/postgresql/17/main/pg_ctl.conf, then"), "{hint}");
}

#[test]
fn on_a_primary_with_standbys_the_order_is_told() {
    let (_folder, mut world) = world(&[("postgresql.conf", "")], server());
    let told = |world: &World, asked: &str| {
        plan(world, &[subject("max_connections", Some(asked), asked, "100")]).unwrap().warnings.join("; ")
    };
    assert_eq!(told(&world, "200"), "", "nobody replicates from it");
    if let Running::Answers(snapshot) = &mut world.running {
        snapshot.standbys = vec!["walreceiver at 192.0.2.7".into()];
    }
    let up = told(&world, "200");
    assert!(up.contains("the standbys first (walreceiver at 192.0.2.7)") && up.contains("pauses its replay"), "{up}");
    assert!(told(&world, "50").contains("this server first"));
    assert_eq!(told(&world, "100"), "");
}

#[test]
fn of_a_server_that_is_down_only_a_start_is_asked() {
    let (folder, world) = world(&[("postgresql.conf", "wal_level = replica\n")], Running::Down);
    let subjects =
        [subject("wal_level", Some("replica"), "replica", "replica"), subject("work_mem", Some("4MB"), "4096", "4096")];
    insta::assert_snapshot!(told(&plan(&world, &subjects).unwrap(), folder.path()), @"Start for wal_level");
}

#[test]
fn planning_again_after_the_plan_was_carried_out_plans_nothing() {
    let (folder, world_before) = world(&[("postgresql.conf", "#wal_level = replica\n")], server());
    let wanted = subject("wal_level", Some("logical"), "logical", "replica");
    let first = plan(&world_before, &[wanted]).unwrap();
    let text = String::from_utf8(first.edits[0].after.clone().unwrap()).unwrap();
    drop(folder);
    let (_folder, world_after) = world(&[("postgresql.conf", &text)], server());
    let again = plan(&world_after, &[subject("wal_level", Some("logical"), "logical", "logical")]).unwrap();
    assert!(again.edits.is_empty() && again.changes.is_empty());
}
