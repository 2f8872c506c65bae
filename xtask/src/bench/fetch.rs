//! `cargo xtask bench fetch`: how long a copy takes beside `pg_basebackup`, and what compression does for a slow link.
//!
//! What must always hold: both copy the same servers onto the same disk with the same options, in turns and each first
//! as often as the other; what a copy leaves is removed, and synced, outside its time.

use super::figures::{median, range_of_ratios, ratio};
use super::servers::{self, Pair};
use super::slow_link::SlowLink;
use crate::ground::Outcome;
use crate::materials::{Materials, Profile};
use std::time::Duration;

/// What can be asked.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    servers: servers::Arguments,
    /// How much the slow link carries; it is measured with the smallest size, 0 leaves it out
    #[arg(long, value_name = "MB", default_value_t = 20)]
    link_mb_per_s: u32,
}

/// A command, and how long each of its runs took. The first of several is the yardstick.
struct Measured {
    name: String,
    command: Command,
    took: Vec<Duration>,
}

enum Command {
    /// As the servers' owner types it.
    Owner(String),
    /// One of our tools.
    Ours(String),
}

/// Prints the figures.
pub fn run(arguments: &Arguments) -> Outcome<()> {
    pg_runbook::signals::listen().map_err(|failure| failure.to_string())?;
    let materials = Materials::get(Profile::Release, false)?;
    let smallest = arguments.servers.sizes.iter().min();
    for size in &arguments.servers.sizes {
        let pair = Pair::make(&materials, &arguments.servers, *size)?;
        beside_pg_basebackup(&pair, arguments)?;
        if arguments.link_mb_per_s > 0 && Some(size) == smallest {
            over_a_slow_link(&pair, arguments)?;
        }
    }
    let typed = arguments.servers.typed();
    println!(
        "\nThese figures are printed by: cargo xtask bench fetch {typed} --link-mb-per-s {}",
        arguments.link_mb_per_s
    );
    Ok(())
}

fn beside_pg_basebackup(pair: &Pair, arguments: &Arguments) -> Outcome<()> {
    let port = pair.ground.primary_port;
    let mut all = [
        plain(pair, port),
        fetch("fetch --verify none", port, "--verify none"),
        fetch("fetch (verified, the default)", port, ""),
    ];
    take_turns(pair, &mut all, arguments.servers.runs)?;
    println!("\nOn one host, {} MB, {} runs of each", pair.size, arguments.servers.runs);
    print(&all);
    Ok(())
}

fn over_a_slow_link(pair: &Pair, arguments: &Arguments) -> Outcome<()> {
    let link = SlowLink::open(pair.ground.primary_port, arguments.link_mb_per_s)?;
    pair.tools(&format!(
        "pg-pass set -h 127.0.0.1 -p {} -U replicator --passfile pgpass --owner {} --password-file secret --no-input",
        link.port,
        pair.ground.owner()?
    ))?;
    let mut all = vec![
        plain(pair, link.port),
        fetch("fetch --verify none", link.port, "--verify none"),
        fetch("fetch --verify none --compress gzip:1", link.port, "--verify none --compress gzip:1"),
    ];
    let built_with = pair.psql(pair.ground.primary_port, "SELECT setting FROM pg_config WHERE name = $$CONFIGURE$$")?;
    for (method, option) in [("lz4", "--with-lz4"), ("zstd:1", "--with-zstd")] {
        if pair.ground.major >= 15 && built_with.contains(option) {
            let more = format!("--verify none --compress {method}");
            all.push(fetch(&format!("fetch {more}"), link.port, &more));
        } else {
            println!("  {method} was not measured: the server was built without it");
        }
    }
    take_turns(pair, &mut all, arguments.servers.runs)?;
    println!(
        "\nOver a link of {} MB/s, {} MB, {} runs of each",
        arguments.link_mb_per_s, pair.size, arguments.servers.runs
    );
    print(&all);
    Ok(())
}

fn plain(pair: &Pair, port: u16) -> Measured {
    let command = format!("pg_basebackup -D plain -X stream -c fast -d '{}'", pair.way(port));
    Measured { name: "pg_basebackup".into(), command: Command::Owner(command), took: Vec::new() }
}

fn fetch(name: &str, port: u16, options: &str) -> Measured {
    let command = format!(
        "pg-basebackup-swap fetch --force -D standby --input primary.json --passfile pgpass -p {port} --progress none \
         {options}"
    );
    Measured { name: name.into(), command: Command::Ours(command), took: Vec::new() }
}

fn take_turns(pair: &Pair, all: &mut [Measured], runs: u64) -> Outcome<()> {
    for round in 1..=runs {
        // Whoever is first finds another machine than whoever is last.
        all.rotate_left(1);
        for measured in all.iter_mut() {
            pair.settle()?;
            let took = match &measured.command {
                Command::Owner(command) => pair.timed_owner(command)?,
                Command::Ours(command) => pair.timed_tools(command)?,
            };
            println!("  {round}. {}: {:.2} s", measured.name, took.as_secs_f64());
            measured.took.push(took);
            pair.owner("rm -rf plain standby.incoming")?;
        }
    }
    // Back to the order in which it is told.
    let turned = usize::try_from(runs).unwrap_or_default() % all.len();
    all.rotate_right(turned);
    Ok(())
}

fn print(all: &[Measured]) {
    let Some(yardstick) = all.first() else { return };
    println!("  {:40} {:>15}   {:>15} {:>10}", "", "× pg_basebackup", "in each round", "median");
    for Measured { name, took, .. } in all {
        let (least, most) = range_of_ratios(took, &yardstick.took);
        println!(
            "  {name:40} {:>15.2}   {:>15} {:>8.2} s",
            ratio(median(took), median(&yardstick.took)),
            format!("{least:.2} to {most:.2}"),
            median(took).as_secs_f64()
        );
    }
}
