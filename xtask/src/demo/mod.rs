//! `cargo xtask demo`: the whole runbook on throwaway servers, through the real pipelines, as a user would type them.
//!
//! What must always hold: everything lives in one temporary folder, and is stopped and gone afterwards, also when a
//! step fails or Ctrl-C ends it (unless `--keep` asks otherwise); no server of this machine is touched.

mod stage;

use crate::clients::{Habit, Readers};
use crate::ground::{Ground, Outcome};
use crate::materials::{Materials, Profile};
use clap::Args;
use pg_runbook::server::{ConnectionArguments, Defaults, Target};
use serde_json::Value;
use stage::Stage;
use std::time::{Duration, Instant};

/// What can be asked of the demo.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Leave the servers running, and say how to connect
    #[arg(long)]
    keep: bool,
    /// Refuse to install PostgreSQL where it is missing
    #[arg(long)]
    no_install: bool,
    /// pgbench's scale; 15 MB each
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    scale: u32,
}

/// Shows it.
pub fn run(arguments: &Arguments) -> Outcome<()> {
    pg_runbook::signals::listen().map_err(|failure| failure.to_string())?;
    let materials = Materials::get(Profile::Debug, arguments.no_install)?;
    let ground = Ground::make(&materials, &std::env::temp_dir(), "demo")?;
    let mut stage = Stage::new(&ground);
    let result = play(&ground, &mut stage, arguments);
    drop(stage);
    if let Err(trouble) = &result {
        println!("\nThe demo ended early: {trouble}");
    }
    if arguments.keep {
        ground.leave();
    }
    result
}

fn play(ground: &Ground, stage: &mut Stage, arguments: &Arguments) -> Outcome<()> {
    make_primary(ground, stage, arguments.scale)?;
    println!("\n(about {} MB are in it)", arguments.scale * 15);

    stage.title("2. The primary's side of the runbook, one pipeline");
    Stage::note(
        "A role with a password, three settings, a line in pg_hba.conf, a restart, and what standbys must know.",
    );
    let prepare = primary_pipeline(ground);
    let primary = stage.document(&prepare)?;
    stage.told(&primary);

    stage.title("3. The standby's side, one pipeline");
    Stage::note(
        "The password file tried by a real login, a new cluster, the primary's bounds, the copy, and the start, while clients\nwrite to the primary.",
    );
    stage.background(&format!("pgbench -n -c 2 -R 100 -T 600 {}", ground.place(ground.primary_port)))?;
    let standby_side = standby_pipeline(ground);
    let standby = stage.document(&standby_side)?;
    stage.told(&standby);

    stage.title("4. What is written on the primary arrives on the standby");
    replicate_a_row(ground, stage)?;

    stage.title("5. A new clone, while clients read from the standby");
    reclone(ground, stage)?;

    stage.title("6. Everything a second time");
    for command in [&prepare, &standby_side] {
        let again = stage.document(command)?;
        stage.told(&again);
        if again["changed"] != Value::Bool(false) {
            return Err(format!("the second run changed something: {}", again["changes"]));
        }
    }
    println!("\nNothing changed, nothing restarted, nothing copied.");

    stage.title("7. A change that would have left the primary down");
    survive_a_bad_change(ground, stage)
}

fn survive_a_bad_change(ground: &Ground, stage: &mut Stage) -> Outcome<()> {
    Stage::note("A library that isn't there: the server's own parser takes it, and the server fails when it starts.");
    stage.fails("pg-conf set shared_preload_libraries=no_such_library -D primary | pg-cluster restart", 1)?;
    stage.plainly(&format!("psql -Atc \"SHOW shared_preload_libraries\" {}", ground.place(ground.primary_port)))?;
    stage.plainly("pg-conf undo --list -D primary --no-input --output text")
}

fn make_primary(ground: &Ground, stage: &mut Stage, scale: u32) -> Outcome<()> {
    stage.title("1. A throwaway primary with data in it");
    let command = format!("pg-cluster create --layout plain -D primary -p {} | pg-cluster start", ground.primary_port);
    let made = stage.document(&command)?;
    stage.told(&made);
    let place = ground.place(ground.primary_port);
    stage.plainly(&format!("pgbench -i -q -s {scale} {place}"))?;
    stage.plainly(&format!("psql -qc \"GRANT SELECT ON pgbench_branches TO PUBLIC\" {place}"))
}

fn primary_pipeline(ground: &Ground) -> String {
    let keep = if ground.major < 13 { "wal_keep_segments=64" } else { "wal_keep_size=1GB" };
    format!(
        "pg-role ensure replicator -D primary --password-file secret \\\n    | pg-conf set wal_level=replica {keep} wal_compression=on max_connections=128 \\\n    | pg-conf allow replicator --from 127.0.0.1 \\\n    | pg-cluster restart | pg-cluster advertise --host 127.0.0.1 > primary.json"
    )
}

fn standby_pipeline(ground: &Ground) -> String {
    format!(
        "pg-pass set --input primary.json --passfile pgpass --password-file secret | pg-pass check \\\n    | pg-cluster create --layout plain -D standby -p {} | pg-conf match \\\n    | pg-basebackup-swap run | pg-cluster start | pg-cluster wait --for streaming",
        ground.standby_port
    )
}

fn replicate_a_row(ground: &Ground, stage: &mut Stage) -> Outcome<()> {
    let primary = ground.place(ground.primary_port);
    stage.plainly(&format!("psql -qc \"CREATE TABLE proof AS SELECT 42 AS answer\" {primary}"))?;
    let written = Instant::now();
    let standby = ground.place(ground.standby_port);
    let query = format!("psql -Atc \"SELECT answer FROM proof\" {standby}");
    loop {
        if ground.shell(&query).output().is_ok_and(|output| output.stdout == b"42\n") {
            break;
        }
        if written.elapsed() > Duration::from_secs(30) {
            return Err("the row has not arrived after 30 s".into());
        }
    }
    stage.plainly(&query)?;
    println!("  → there, {:.2} s after the primary had it", written.elapsed().as_secs_f64());
    Ok(())
}

fn reclone(ground: &Ground, stage: &mut Stage) -> Outcome<()> {
    Stage::note("A client asks the standby something all the while, and counts for how long nobody answers.");
    let readers = Readers::start(application(ground)?, Habit::Stays("SELECT sum(bbalance) FROM pgbench_branches"))?;
    let document =
        stage.document("pg-basebackup-swap run --force -D standby --input primary.json --passfile pgpass")?;
    let seen = readers.until_answered()?;
    drop(readers);
    stage.told(&document);
    let copy = document["fetch"]["seconds"].as_f64().unwrap_or_default();
    println!(
        "  → copied in {copy:.1} s, all of it served by the old standby; {} answers meanwhile,\n    and none for {:.2} s in all (the longest while: {:.2} s)",
        seen.answers,
        seen.silent.as_secs_f64(),
        seen.longest.as_secs_f64()
    );
    Ok(())
}

/// By TCP with the replication role's password, which is what an application would do.
fn application(ground: &Ground) -> Outcome<Target> {
    let conninfo =
        format!("host=127.0.0.1 port={} user=replicator dbname=postgres connect_timeout=2", ground.standby_port);
    let arguments = ConnectionArguments { conninfo: Some(conninfo), ..ConnectionArguments::default() };
    let mut target = arguments
        .resolve(&Defaults { beats_environment: true, ..Defaults::default() })
        .map_err(|failure| failure.to_string())?;
    let secret = std::fs::read_to_string(ground.folder.join("secret")).map_err(|error| error.to_string())?;
    target.password = Some(pg_runbook::Secret::new(secret.trim().to_owned()));
    Ok(target)
}
