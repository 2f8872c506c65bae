//! `pg-conf get`: settings as the files have them, and as the server runs with them. Changes nothing.

use crate::args::GetArguments;
use crate::running;
use crate::settings::World;
use crate::settings::command_line;
use pg_runbook::cli::colour::Mark;
use pg_runbook::cli::table::{Cell, Column, Table};
use pg_runbook::configuration::Located;
use pg_runbook::configuration::judge::{self, Rejection};
use pg_runbook::secret;
use pg_runbook::{Failure, Run};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// One setting, as the document has it under `settings`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Setting")]
pub struct Shown {
    /// Its name.
    name: String,
    /// What the files make it; the default where they don't say.
    value: Option<String>,
    /// The file that says so; null where none does.
    file: Option<PathBuf>,
    /// The line there, counted from 1.
    line: Option<usize>,
    /// Whether ALTER SYSTEM says it.
    from_alter_system: bool,
    /// What the running server's command line says, which beats the files; null where it says nothing.
    command_line: Option<String>,
    /// The assignments that lose, in the server's order.
    overridden: Vec<Loser>,
    /// What the server runs with, as `SHOW` says it; null where it could not be asked.
    running: Option<String>,
    /// Whether what the files say waits for a restart, by the server's word: it has to have read them (a reload); null
    /// where it could not be asked.
    pending_restart: Option<bool>,
    /// The built-in default, in canonical form.
    default: Option<String>,
    /// What a bare number counts, such as `8kB` or `ms`; null where there is none, and where the server doesn't
    /// tell.
    unit: Option<String>,
    /// The server's word for when it takes effect, as in `changes`.
    context: Option<String>,
}

/// An assignment without effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "OverriddenAssignment")]
struct Loser {
    /// Its file.
    file: PathBuf,
    /// Its line, counted from 1.
    line: usize,
    /// The value that has no effect.
    value: String,
}

/// `pg-conf get`
pub fn get(run: &mut Run, arguments: &GetArguments) -> Result<(), Failure> {
    let cluster = run.cluster()?;
    let mut world = World::of(&cluster)?;
    let names = if arguments.names.is_empty() { assigned(&world) } else { named(&world, &arguments.names)? };
    world.running = running::look(run, &cluster, &names, &arguments.connection)?;
    let nothing = judge::empty_folder()?;
    let shown = names
        .iter()
        .map(|name| shown(&world, name, !arguments.names.is_empty(), nothing.path()))
        .collect::<Result<Vec<_>, _>>()?;
    run.message(match shown.len() {
        1 => "1 setting".to_owned(),
        count => format!("{count} settings"),
    });
    let folder = cluster.config_file.parent().unwrap_or(&cluster.data_directory);
    run.show_table(&Table::new(COLUMNS, shown.iter().map(|shown| row(shown, folder))));
    run.fact("settings", &shown);
    Ok(())
}

/// Every name that the files or ALTER SYSTEM say, once, in the order in which it is last said.
fn assigned(world: &World) -> Vec<String> {
    let in_force = |located: &&Located| world.configuration.in_force(&located.name) == Some(*located);
    let mut names: Vec<String> =
        world.configuration.assignments().iter().filter(in_force).map(|located| located.name.clone()).collect();
    names.dedup();
    names
}

fn named(world: &World, typed: &[String]) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> = Vec::new();
    for name in typed.iter().map(|name| name.trim().to_ascii_lowercase()) {
        if world.configuration.in_force(&name).is_none() {
            world.require_known(&name)?;
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// The server program is only asked for defaults where a name was given and no running server tells them.
fn shown(world: &World, name: &str, was_named: bool, nothing: &Path) -> Result<Shown, Failure> {
    let found = world.configuration.in_force(name);
    let live = world.running.live(name);
    let default = match live {
        Some(live) => Some(live.boot_value.clone()),
        None if was_named => world.judge.over_nothing(nothing).value(name)?.ok(),
        None => None,
    };
    let unit = match live {
        Some(live) => live.unit.clone(),
        None if was_named => world.judge.over_nothing(nothing).value_of(name, TOO_SMALL)?.err().and_then(unit_of),
        None => None,
    };
    let known = world.catalogue.find(name).map(|known| known.context.clone());
    let loser = |located: &Located| Loser {
        file: located.file.clone(),
        line: located.line,
        value: secret::shown(&located.value),
    };
    Ok(Shown {
        name: name.to_owned(),
        // As people write it, where the server says so: 4MB for 4096.
        value: found.map(|found| secret::shown(&found.value)).or_else(|| match live {
            Some(live) if live.source == "default" => Some(live.shown.clone()),
            _ => default.clone(),
        }),
        file: found.map(|found| found.file.clone()),
        line: found.map(|found| found.line),
        from_alter_system: found.is_some_and(|found| found.from_alter_system),
        command_line: command_line::value(&world.command_line, name).map(secret::shown),
        overridden: world.configuration.overridden(name).into_iter().map(loser).collect(),
        running: live.map(|live| secret::shown(&live.shown)),
        pending_restart: live.map(|live| live.pending_restart),
        default,
        unit,
        context: live.map(|live| live.context.clone()).or(known),
    })
}

/// Of no setting a value: in refusing it the server program names the unit, from 12 on.
const TOO_SMALL: &str = "-2147483648";

/// `-2147483648 8kB is outside the valid range for parameter "shared_buffers" (16 .. 1073741823)`
fn unit_of(rejection: Rejection) -> Option<String> {
    let words = |line: String| {
        let (number, _) = line.split_once(" is outside the valid range")?;
        number.split_once(' ').map(|(_, unit)| unit.to_owned())
    };
    rejection.lines.into_iter().find_map(words)
}

/// A bare number with what it counts: `90 s`, `1048576 × 8kB`.
fn with_unit(value: &str, unit: Option<&str>) -> String {
    let is_bare = value != "0" && !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match unit.filter(|_| is_bare) {
        Some(unit) if unit.starts_with(|letter: char| letter.is_ascii_digit()) => format!("{value} × {unit}"),
        Some(unit) => format!("{value} {unit}"),
        None => value.to_owned(),
    }
}

const COLUMNS: [Column; 5] = [
    Column::text("NAME"),
    Column::words("VALUE"),
    Column::path("WHERE"),
    Column::words("RUNNING"),
    Column::words("REMARKS"),
];

/// `folder` is where the configuration is: a file in it is told by its name alone.
fn row(shown: &Shown, folder: &Path) -> [Cell; 5] {
    let place = match (&shown.file, shown.line) {
        (Some(file), Some(line)) => format!("{}:{line}", file.display()),
        _ => "(default)".into(),
    };
    let mut remarks = Vec::new();
    let mut is_beaten = false;
    if let Some(value) = &shown.command_line {
        remarks.push(format!("overridden by the command line: {value}"));
        is_beaten = true;
    }
    if shown.from_alter_system {
        remarks.push("by ALTER SYSTEM".into());
    }
    for loser in &shown.overridden {
        let file = loser.file.strip_prefix(folder).unwrap_or(&loser.file).display();
        remarks.push(format!("overrides {} in {file}:{}", loser.value, loser.line));
    }
    if shown.pending_restart == Some(true) {
        remarks.push("restart pending".into());
        is_beaten = true;
    }
    let running = Cell::from(match &shown.running {
        Some(running) if shown.value.as_ref() == Some(running) => "same",
        Some(running) => running,
        None => "-",
    });
    let remarks = Cell::from(remarks.join("; "));
    [
        shown.name.clone().into(),
        shown.value.as_ref().map_or_else(|| "?".into(), |value| with_unit(value, shown.unit.as_deref())).into(),
        place.into(),
        if is_beaten { running.marked(Mark::Warning) } else { running },
        if is_beaten || !shown.overridden.is_empty() { remarks.marked(Mark::Warning) } else { remarks },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_numbers_are_shown_with_what_they_count() {
        assert_eq!(with_unit("1048576", Some("8kB")), "1048576 × 8kB");
        assert_eq!(with_unit("90", Some("s")), "90 s");
        for (value, unit) in [("8GB", Some("8kB")), ("0", Some("ms")), ("-1", Some("ms")), ("100", None)] {
            assert_eq!(with_unit(value, unit), value);
        }
    }

    #[test]
    fn finds_the_unit_in_the_words_of_a_refusal() {
        let unit = |line: &str| unit_of(Rejection { lines: vec![line.to_owned()] });
        let words = "is outside the valid range for parameter";
        assert_eq!(unit(&format!("-2147483648 8kB {words} \"shared_buffers\" (16 .. 1073741823)")), Some("8kB".into()));
        assert_eq!(unit(&format!("-2.14748e+09 ms {words} \"vacuum_cost_delay\"")), Some("ms".into()));
        assert_eq!(unit(&format!("-2147483648 {words} \"max_connections\" (1 .. 262143)")), None);
    }
}
