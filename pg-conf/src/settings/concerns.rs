//! What deserves a look about settings that the server takes: what this host doesn't have.
//!
//! What must always hold: nothing here refuses anything, and only what is asked about is told.

use super::World;
use crate::settings::libraries;
use crate::settings::room::{self, Host};
use crate::settings::translation;
use pg_runbook::Failure;
use std::collections::BTreeMap;

/// Every setting that may be of concern.
pub fn names() -> Vec<String> {
    room::NAMES.into_iter().chain([libraries::NAME]).map(str::to_owned).collect()
}

/// Of these settings; `asked` has the values that the files don't have yet.
pub fn of(world: &World, names: &[String], asked: &dyn Fn(&str) -> Option<String>) -> Result<Vec<String>, Failure> {
    let is_asked = |name: &str| names.iter().any(|known| known == name);
    let host_names: Vec<&str> = room::NAMES.into_iter().filter(|name| is_asked(name)).collect();
    let mut told = Vec::new();
    if !host_names.is_empty() {
        let values = values(world, &room::NAMES, asked)?;
        let data = &world.cluster.data_directory;
        let host = Host::look(data, translation::segment_bytes(data));
        told.extend(host_names.iter().filter_map(|name| host.concern(name, &|name| values.get(name).cloned())));
    }
    if is_asked(libraries::NAME) {
        let values = values(world, &[libraries::NAME, "dynamic_library_path"], asked)?;
        if let (Some(list), Some(path)) = (values.get(libraries::NAME), values.get("dynamic_library_path")) {
            told.extend(libraries::concern(world.cluster.major, list, path));
        }
    }
    Ok(told)
}

/// In canonical form; of names that this version doesn't have there is none.
fn values<'a>(
    world: &World,
    names: &[&'a str],
    asked: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<&'a str, String>, Failure> {
    let mut values = BTreeMap::new();
    for name in names.iter().filter(|name| world.catalogue.find(name).is_some()) {
        let answer = match asked(name) {
            Some(value) => world.judge.value_of(name, &value)?,
            None => world.judge.value(name)?,
        };
        values.extend(answer.ok().map(|value| (*name, value)));
    }
    Ok(values)
}
