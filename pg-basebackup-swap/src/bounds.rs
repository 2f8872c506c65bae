//! The settings that a standby must not be below its primary in.
//!
//! What must always hold: what no file says is asked of the server itself, for defaults differ by version.

use crate::source::Source;
use pg_runbook::cluster::{State, programs, version};
use pg_runbook::invocation::Invocation;
use pg_runbook::server::ConnectionArguments;
use pg_runbook::{Cluster, Failure, Run};

/// The standby's bounds that are below the primary's: each as a sentence.
pub fn low(run: &mut Run, cluster: &Cluster, source: &Source) -> Result<Vec<String>, Failure> {
    let configuration = cluster.configuration()?;
    let names = version::standby_bounds(cluster.major);
    let defaults = defaults(run, cluster, &names);
    let mut low = Vec::new();
    for name in names {
        let Some(there) = source.primary.settings.get(name).and_then(serde_json::Value::as_u64) else { continue };
        let written = configuration.in_force(name).map(|found| found.value.clone());
        let by_default = || defaults.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let known = written.or_else(by_default).and_then(|value| value.parse::<u64>().ok());
        match known.map_or_else(|| as_the_server_reads_it(cluster, name), |value| Ok(Some(value)))? {
            Some(here) if here < there => low.push(format!("{name} is {here} here and {there} on the primary")),
            _ => {}
        }
    }
    Ok(low)
}

/// What a running server has where no file says anything; one question instead of a process for each.
fn defaults(run: &mut Run, cluster: &Cluster, names: &[&str]) -> Vec<(String, String)> {
    if cluster.state != State::Running {
        return Vec::new();
    }
    let list = names.join("', '");
    let asked = run.connect(cluster, &ConnectionArguments::default()).and_then(|mut server| {
        server.texts(&format!("SELECT name, boot_val FROM pg_settings WHERE name IN ('{list}')"))
    });
    let pair = |row: Vec<Option<String>>| {
        let mut values = row.into_iter().flatten();
        Some((values.next()?, values.next()?))
    };
    asked.unwrap_or_default().into_iter().filter_map(pair).collect()
}

fn as_the_server_reads_it(cluster: &Cluster, name: &str) -> Result<Option<u64>, Failure> {
    let said = Invocation::new(programs::server(cluster.major, "postgres")?)
        .args(["-C", name, "-D"])
        .arg(&cluster.data_directory)
        .arg("-c")
        .arg(format!("config_file={}", cluster.config_file.display()))
        .run()?
        .stdout;
    Ok(said.trim().parse().ok())
}
