//! `cargo xtask bench outage`: for how long a standby's clients get no answers while it gets a new copy.
//!
//! What must always hold: it is measured by clients, not by what a tool says of itself; all ways are taken in turns on
//! the same pair of servers, under the same load.

use super::figures::{longest, median, ratio};
use super::repmgr::Repmgr;
use super::servers::{self, Load, Pair};
use super::ways::{Took, Way};
use crate::clients::Readers;
use crate::ground::Outcome;
use crate::materials::{Materials, Profile};
use std::time::{Duration, Instant};

/// What can be asked.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    servers: servers::Arguments,
    /// What is written on the primary all the while
    #[arg(long, value_name = "LOAD", default_value = "light")]
    load: Load,
}

/// All runs of one way.
struct Measured {
    way: Way,
    outages: Vec<Duration>,
    took: Vec<Took>,
}

/// Prints the figures.
pub fn run(arguments: &Arguments) -> Outcome<()> {
    pg_runbook::signals::listen().map_err(|failure| failure.to_string())?;
    let materials = Materials::get(Profile::Release, false)?;
    for size in &arguments.servers.sizes {
        let pair = Pair::make(&materials, &arguments.servers, *size)?;
        measure(&pair, arguments)?;
    }
    let typed = arguments.servers.typed();
    println!("\nThese figures are printed by: cargo xtask bench outage {typed} --load {}", arguments.load.name());
    Ok(())
}

fn measure(pair: &Pair, arguments: &Arguments) -> Outcome<()> {
    let mut ways = vec![Way::Restart, Way::Swap, Way::Wiki];
    let missing = Repmgr::prepare(pair)?.map(|repmgr| ways.push(Way::Repmgr(repmgr))).err();
    let mut all: Vec<Measured> =
        ways.into_iter().map(|way| Measured { way, outages: Vec::new(), took: Vec::new() }).collect();
    let load = pair.load(arguments.load)?;
    let clients = pair.clients()?;
    let usual = usual_silence(&clients)?;
    let (begun, before) = (Instant::now(), pair.written()?);
    for round in 1..=arguments.servers.runs {
        all.iter_mut().try_for_each(|measured| measured.once(pair, &clients, round))?;
    }
    let flow = flow(before, pair.written()?, begun.elapsed());
    drop((clients, load));
    let (load, runs) = (arguments.load.name(), arguments.servers.runs);
    println!("\n{} MB of databases, load: {load}{flow}, {runs} runs of each", pair.size);
    println!("(a client asks anew about every {} ms, which is how fine this measures)", usual.as_millis());
    print(&all);
    missing.inspect(|missing| println!("  {missing}"));
    Ok(())
}

fn flow(before: Option<u64>, after: Option<u64>, time: Duration) -> String {
    let Some((before, after)) = before.zip(after) else { return String::new() };
    // Bytes a millisecond are kilobytes a second.
    let flow = u128::from(after.saturating_sub(before)) / time.as_millis().max(1);
    format!(" ({flow} kB of write-ahead log a second)")
}

/// What a client sees between two answers while nothing else happens.
fn usual_silence(clients: &Readers) -> Outcome<Duration> {
    const ANSWERS: u32 = 100;
    let begun = Instant::now();
    for _ in 0..ANSWERS {
        clients.until_answered()?;
    }
    Ok(begun.elapsed() / ANSWERS)
}

impl Measured {
    fn once(&mut self, pair: &Pair, clients: &Readers, round: u64) -> Outcome<()> {
        pair.settle()?;
        clients.begin_anew();
        let took = self.way.go(pair)?;
        let outage = clients.until_answered()?.longest;
        self.way.clear_up(pair)?;
        let (seconds, whole) = (outage.as_secs_f64(), took.whole.as_secs_f64());
        println!("  {round}. {}: no answers for {seconds:.3} s, done in {whole:.1} s", self.way.name());
        self.outages.push(outage);
        self.took.push(took);
        Ok(())
    }
}

fn print(all: &[Measured]) {
    let yardstick = all.iter().find(|one| matches!(one.way, Way::Restart)).map(|one| median(&one.outages));
    let yardstick = yardstick.unwrap_or_default();
    let plain: Vec<Duration> = all.iter().flat_map(|one| &one.took).filter_map(|took| took.plain_copy).collect();
    println!("\n  {:36} {:>31}   {:>15}", "", "no answers, × a restart's", "done, ×");
    println!("  {:36} {:>9} {:>9} {:>11}   {:>15}", "", "median", "longest", "median", "pg_basebackup");
    for Measured { way, outages, took } in all {
        let middle = median(outages);
        let whole: Vec<Duration> = took.iter().map(|took| took.whole).collect();
        let whole = match way {
            Way::Restart => "–".to_owned(),
            _ => format!("{:.2}", ratio(median(&whole), median(&plain))),
        };
        println!(
            "  {:36} {:>9.2} {:>9.2} {:>9.3} s   {whole:>15}",
            way.name(),
            ratio(middle, yardstick),
            ratio(longest(outages), yardstick),
            middle.as_secs_f64(),
        );
    }
    println!("  (pg_basebackup beside the standby: {:.1} s in the median)", median(&plain).as_secs_f64());
}
