//! `pg-conf set` and `pg-conf unset`: names and values as they were typed, turned into settings of this version.

use crate::args::{SetArguments, UnsetArguments};
use crate::settings::translation;
use crate::settings::{self, Wanted, World};
use pg_runbook::{Failure, Run};

/// `pg-conf set`
pub fn set(run: &mut Run, arguments: &SetArguments) -> Result<(), Failure> {
    let typed = arguments.settings.iter().map(|text| assignment(text)).collect::<Result<Vec<_>, _>>()?;
    let cluster = run.cluster()?;
    run.lock(&cluster)?;
    let mut world = World { overriding: arguments.overriding, ..World::of(&cluster)? };
    let mut wanted: Vec<Wanted> = Vec::new();
    for (name, value) in typed {
        let segment = translation::segment_bytes(&cluster.data_directory);
        let (name, value) = match translation::translate(&name, &value, cluster.major, segment)? {
            Some(translated) => {
                run.warn(translated.warning);
                (translated.name.to_owned(), translated.value)
            }
            None => (name, value),
        };
        world.require_known(&name)?;
        add(&mut wanted, Wanted { name, value: Some(value) })?;
    }
    settings::change(run, &cluster, &mut world, &wanted, &arguments.connection)
}

/// `pg-conf unset`
pub fn unset(run: &mut Run, arguments: &UnsetArguments) -> Result<(), Failure> {
    if let Some(text) = arguments.names.iter().find(|name| name.contains('=')) {
        let name = text.split('=').next().unwrap_or_default();
        return Err(Failure::usage(format!("{text:?} is not a name")).hint(format!("pg-conf unset {name}")));
    }
    let cluster = run.cluster()?;
    run.lock(&cluster)?;
    let mut world = World { overriding: arguments.overriding, ..World::of(&cluster)? };
    let mut wanted = Vec::new();
    for name in &arguments.names {
        let name = name.trim().to_ascii_lowercase();
        // What stands in a file can be taken out, also where this version would not know it.
        if world.to_take_out(&name).is_some() {
            add(&mut wanted, Wanted { name, value: None })?;
            continue;
        }
        let name = match translation::translate_name(&name, cluster.major) {
            Some(here) => {
                run.warn(format!("PostgreSQL {} has {name} as {here}", cluster.major));
                here.to_owned()
            }
            None => name,
        };
        world.require_known(&name)?;
        add(&mut wanted, Wanted { name, value: None })?;
    }
    settings::change(run, &cluster, &mut world, &wanted, &arguments.connection)
}

/// `wal_level=replica`
fn assignment(text: &str) -> Result<(String, String), Failure> {
    let (name, value) = text.split_once('=').ok_or_else(|| {
        Failure::usage(format!("{text:?} is not NAME=VALUE")).hint(format!("pg-conf set {}=VALUE", text.trim()))
    })?;
    // In `name = value` the blanks are the user's style; otherwise they belong to the value (`log_line_prefix=%m `).
    let value = if name.ends_with(' ') { value.trim_start() } else { value };
    let name = name.trim().to_ascii_lowercase();
    if name == "config_file" {
        return Err(Failure::usage("config_file can't be set in a configuration file")
            .because("it is what the server finds that file by, on its command line"));
    }
    Ok((name, value.to_owned()))
}

fn add(wanted: &mut Vec<Wanted>, one: Wanted) -> Result<(), Failure> {
    match wanted.iter().find(|known| known.name == one.name) {
        Some(known) if *known == one => Ok(()),
        Some(known) => {
            let values = [known, &one].map(|wanted| wanted.value.clone().unwrap_or_default());
            Err(Failure::usage(format!("{} is asked to be {} and {}", one.name, values[0], values[1])))
        }
        None => {
            wanted.push(one);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_in_any_case_and_values_with_equals_signs() {
        let typed = assignment("Primary_Conninfo = host=db1 port=5432").unwrap();
        assert_eq!(typed, ("primary_conninfo".into(), "host=db1 port=5432".into()));
        assert_eq!(assignment("archive_command=").unwrap().1, "");
        assert_eq!(assignment("log_line_prefix=%m ").unwrap().1, "%m ");
        assert_eq!(assignment("wal_level").unwrap_err().hint.unwrap(), "pg-conf set wal_level=VALUE");
        assert!(assignment("config_file=/etc/x").is_err());
    }

    #[test]
    fn takes_one_value_for_a_name() {
        let wanted = |value: &str| Wanted { name: "port".into(), value: Some(value.into()) };
        let mut list = vec![wanted("1")];
        add(&mut list, wanted("1")).unwrap();
        assert_eq!(list.len(), 1);
        let failure = add(&mut list, wanted("2")).unwrap_err();
        assert_eq!(failure.message, "port is asked to be 1 and 2");
    }
}
