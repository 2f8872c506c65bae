//! Replication slots that runs make and that are killed before anybody came to use them: the next run takes them on or
//! drops them, and nobody else's is touched.

#[path = "mid_copy/scene.rs"]
#[allow(dead_code, reason = "each user needs a part of it")]
mod scene;

use scene::{PATIENCE, Scene, scene};
use tests::{Outcome, Sandbox, on_each_major, on_the_machines_own, pair, wait_for};

on_each_major!(
    a_killed_runs_slot_is_dropped_by_the_next_run_that_has_no_use_for_it,
    a_killed_runs_slot_is_taken_on_by_the_next_run_that_names_it,
);
on_the_machines_own!(a_slot_that_was_there_stays_after_a_killed_run, a_killed_runs_slot_on_another_primary_is_told_of,);

const MAKE: [&str; 3] = ["--slot", "fresh", "--create-slot"];

fn killed(scene: &Scene<'_>, options: &[&str]) {
    scene.under_way("fetch", options).kill();
    scene.proxy.heal();
    // Its process that receives the write-ahead log doesn't hear of it.
    assert_eq!((slots(scene).as_str(), is_used(scene)), ("fresh", true));
}

fn slots(scene: &Scene<'_>) -> String {
    // pg_basebackup's own temporary slots go with its last process.
    let query = "SELECT string_agg(slot_name, ' ') FROM pg_replication_slots WHERE NOT temporary";
    scene.pair.primary.sql(query)
}

fn is_used(scene: &Scene<'_>) -> bool {
    scene.pair.primary.sql("SELECT active FROM pg_replication_slots WHERE slot_name = 'fresh'") == "t"
}

fn fetch(scene: &Scene<'_>, options: &[&str]) -> Outcome {
    let port = scene.proxy.port.to_string();
    scene.pair.swap("fetch").args(["--force", "-p", &port]).args(options).run()
}

fn told(run: &Outcome) -> Vec<String> {
    let changes = run.typed().changes;
    let slots = changes.iter().filter(|change| change.kind == "replication_slot" && change.name == "fresh");
    slots.map(|change| change.after.clone().unwrap_or_default()).collect()
}

fn a_killed_runs_slot_is_dropped_by_the_next_run_that_has_no_use_for_it(sandbox: &Sandbox) {
    let scene = scene(pair(sandbox));
    killed(&scene, &MAKE);
    let checked = fetch(&scene, &["--check"]).success();
    assert!(checked.stderr.contains("would drop the replication slot fresh"), "{checked}");
    assert_eq!(slots(&scene), "fresh");
    let fetched = fetch(&scene, &[]).success().expect_stderr("dropped the replication slot fresh");
    assert_eq!(told(&fetched), ["dropped the replication slot"], "{fetched}");
    scene.nothing_is_left(&fetched);
    let again = fetch(&scene, &[]).success();
    assert!(told(&again).is_empty(), "{again}");
}

fn a_killed_runs_slot_is_taken_on_by_the_next_run_that_names_it(sandbox: &Sandbox) {
    let scene = scene(pair(sandbox));
    killed(&scene, &MAKE);
    let fetched = fetch(&scene, &MAKE).success();
    assert_eq!(told(&fetched), ["made the replication slot"], "{fetched}");
    assert!(scene.pair.beside("outside").is_empty(), "{fetched}");
    assert_eq!(slots(&scene), "fresh");
    // From here on it is the copy's: a run that doesn't use it has no business with it.
    fetch(&scene, &[]).success();
    assert_eq!(slots(&scene), "fresh");
    scene.pair.primary.sql("SELECT pg_drop_replication_slot('fresh')");
    // Where no copy comes of it this time either, it goes.
    killed(&scene, &MAKE);
    let running = scene.under_way("fetch", &MAKE);
    scene.proxy.reset();
    scene.proxy.heal();
    let failed = running.end().expect_code(5);
    assert_eq!(slots(&scene), "", "{failed}");
    scene.nothing_is_left(&failed);
}

fn a_slot_that_was_there_stays_after_a_killed_run(sandbox: &Sandbox) {
    let scene = scene(pair(sandbox));
    scene.pair.primary.sql("SELECT pg_create_physical_replication_slot('fresh')");
    killed(&scene, &MAKE);
    let fetched = fetch(&scene, &[]).success();
    assert!(told(&fetched).is_empty() && slots(&scene) == "fresh", "{fetched}");
}

fn a_killed_runs_slot_on_another_primary_is_told_of(sandbox: &Sandbox) {
    let scene = scene(pair(sandbox));
    killed(&scene, &MAKE);
    // The same server here, and another address: nobody can tell.
    let fetched = scene.pair.swap("fetch").arg("--force").run().success();
    let address = format!("made the replication slot fresh at 127.0.0.1:{}", scene.proxy.port);
    let fetched = fetched.expect_warning(&address).expect_warning("pg_drop_replication_slot('fresh')");
    assert_eq!(slots(&scene), "fresh", "{fetched}");
    wait_for("nobody to use it", PATIENCE, || !is_used(&scene));
    scene.pair.primary.sql("SELECT pg_drop_replication_slot('fresh')");
    let again = scene.pair.swap("fetch").arg("--force").run().success();
    assert!(again.typed().warnings.iter().all(|text| !text.contains("replication slot")), "told once: {again}");
}
