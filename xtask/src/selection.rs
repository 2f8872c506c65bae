//! Which tests a run is for.
//!
//! What must always hold: both runners choose the same ones; a major that no test is for is an error, not a run of none.

use crate::shell;
use ::tests::{Servers, Wanted};

/// Which tests.
#[derive(clap::Args, Default)]
pub struct Selection {
    /// Only tests whose names contain this; without the formatter, the lints and the licence check
    #[arg(long, value_name = "FILTER")]
    pub only: Option<String>,
    /// Only tests on servers of this major; likewise
    #[arg(long, value_name = "MAJOR")]
    pub pg: Option<u32>,
}

/// How the names of tests end that run on the machine's own server.
const OWN: [&str; 2] = ["on_the_machines_own", "on_a_disk"];

impl Selection {
    /// Whether nothing is left out.
    pub fn is_all(&self) -> bool {
        self.only.is_none() && self.pg.is_none()
    }

    /// Whether packages are to be made for it; what isn't called so makes do with those that are there.
    pub fn is_for_packages(&self) -> bool {
        self.is_all() || self.only.as_ref().is_some_and(|only| only.contains("packages"))
    }

    /// What follows `cargo nextest run` or `list`: no word of it has a blank.
    pub fn for_nextest(&self) -> String {
        let names = self.only.clone().unwrap_or_default();
        match self.pg {
            None => names,
            Some(major) => format!("{names} -E test(/({})$/)", endings(major).join("|")),
        }
    }

    /// What follows `cargo test`. It knows parts of names only, and either of them: so names are told in full.
    pub fn for_cargo_test(&self) -> Result<String, String> {
        if self.pg.is_none() {
            return Ok(self.only.clone().unwrap_or_default());
        }
        Ok(format!("-- --exact {}", self.names()?.join(" ")))
    }

    /// The names, as `cargo test` knows them.
    pub fn names(&self) -> Result<Vec<String>, String> {
        let said = shell::said("cargo test --workspace --locked --lib --bins --tests -- --list")?;
        let names = said.lines().filter_map(|line| line.strip_suffix(": test"));
        let endings = self.pg.map(endings);
        let names: Vec<String> = names.filter(|name| self.has(name, endings.as_deref())).map(str::to_owned).collect();
        match self.pg {
            Some(major) if names.is_empty() => Err(format!("there is no such test on PostgreSQL {major}")),
            _ => Ok(names),
        }
    }

    fn has(&self, name: &str, endings: Option<&[String]>) -> bool {
        let contains = self.only.as_deref().is_none_or(|part| name.contains(part));
        contains && endings.is_none_or(|endings| endings.iter().any(|ending| name.ends_with(ending)))
    }
}

/// Scenarios on local servers end in `on_17`, those in containers in `on_trixie_with_17`, and who knows no number says
/// whose server it is.
fn endings(major: u32) -> Vec<String> {
    let numbers = ["on", "with", "faked"].map(|word| format!("{word}_{major}"));
    let is_own = Servers::find().get(Wanted::Local).is_ok_and(|server| server.major == major);
    let own = OWN.into_iter().filter(|_| is_own).map(str::to_owned);
    numbers.into_iter().chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(only: Option<&str>, pg: Option<u32>) -> Vec<&'static str> {
        let selection = Selection { only: only.map(str::to_owned), pg };
        let endings = pg.map(endings);
        let names = ["set::on_17", "set::on_18", "run::on_a_faked_19", "get::on_17", "get_on_trixie_with_17", "on_170"];
        names.into_iter().filter(|name| selection.has(name, endings.as_deref())).collect()
    }

    #[test]
    fn a_major_is_the_end_of_a_name_and_goes_with_a_part_of_it() {
        assert_eq!(chosen(None, Some(17)), ["set::on_17", "get::on_17", "get_on_trixie_with_17"]);
        assert_eq!(chosen(Some("get"), Some(17)), ["get::on_17", "get_on_trixie_with_17"]);
        assert_eq!(chosen(None, Some(19)), ["run::on_a_faked_19"]);
        assert_eq!(chosen(Some("set"), None), ["set::on_17", "set::on_18"]);
        assert_eq!(chosen(None, Some(1)), [""; 0]);
    }

    #[test]
    fn nextest_is_told_the_same() {
        let selection = Selection { only: Some("get".into()), pg: Some(9) };
        let told = selection.for_nextest();
        assert_eq!(told, "get -E test(/(on_9|with_9|faked_9)$/)");
    }
}
