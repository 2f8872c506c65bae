//! Which settings a server of this version knows, by its own account (`postgres --describe-config`).
//!
//! What must always hold: nothing here is a list of ours. Developers' and extensions' settings are not in that
//! account, so a name that is missing is only unknown once the server has been asked for it. Its defaults are not
//! used: 15 says 0 for every number.

use pg_runbook::Failure;
use pg_runbook::cluster::programs;
use pg_runbook::invocation::Invocation;

/// The settings of one server version.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    settings: Vec<Known>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// In lower case.
    pub name: String,
    /// When a change takes effect: `postmaster`, `sighup`, `user`, ….
    pub context: String,
    /// `BOOLEAN`, `ENUM`, `INTEGER`, `REAL` or `STRING`.
    pub kind: String,
    /// What it is for, in a sentence.
    pub about: String,
}

impl Catalogue {
    /// Asks the server program of this major.
    pub fn of(major: u32) -> Result<Self, Failure> {
        let said = Invocation::new(programs::server(major, "postgres")?).arg("--describe-config").run()?.stdout;
        Ok(Self::parse(&said))
    }

    /// Name, context, group, type, default, minimum, maximum and descriptions, separated by tabs (`help_config.c`).
    pub fn parse(text: &str) -> Self {
        let known = |line: &str| {
            let fields: Vec<&str> = line.split('\t').collect();
            let field = |number: usize| fields.get(number).copied().unwrap_or_default().to_owned();
            let context = (*fields.get(1)?).to_owned();
            Some(Known { name: field(0).to_ascii_lowercase(), context, kind: field(3), about: field(7) })
        };
        Self { settings: text.lines().filter_map(known).collect() }
    }

    /// All of them, in the server's order.
    pub fn all(&self) -> &[Known] {
        &self.settings
    }

    /// A setting by name, in any case.
    pub fn find(&self, name: &str) -> Option<&Known> {
        self.settings.iter().find(|known| known.name.eq_ignore_ascii_case(name))
    }

    /// The name that was probably meant.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        let distances = self.settings.iter().map(|known| (distance(&known.name, &name), known.name.as_str()));
        let limit = (name.len() / 3).max(2);
        distances.min().filter(|(distance, _)| *distance <= limit).map(|(_, found)| found)
    }
}

/// How many letters must be put in, taken out, changed, or swapped with the next.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut rows = vec![(0..=right.len()).collect::<Vec<usize>>()];
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut best = (rows[i][j] + usize::from(a != b)).min(row[j] + 1).min(rows[i][j + 1] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "max_connections\tpostmaster\tConnections\tINTEGER\t0\t1\t262143\tSets the maximum.\t\n\
        work_mem\tuser\tResource Usage / Memory\tINTEGER\t0\t64\t2147483647\tSets the memory.\t\n\
        TimeZone\tuser\tClient\tSTRING\tGMT\t\t\tSets the time zone.\t\n";

    #[test]
    fn reads_what_the_server_describes() {
        let catalogue = Catalogue::parse(SAID);
        assert_eq!(catalogue.find("MAX_connections").unwrap().context, "postmaster");
        assert_eq!(catalogue.find("timezone").unwrap().name, "timezone");
        let known = catalogue.find("work_mem").unwrap();
        assert_eq!((known.kind.as_str(), known.about.as_str()), ("INTEGER", "Sets the memory."));
        assert!(catalogue.find("timezon").is_none());
    }

    #[test]
    fn guesses_the_name_that_was_meant_and_no_other() {
        let catalogue = Catalogue::parse(SAID);
        assert_eq!(catalogue.nearest("wrok_mem"), Some("work_mem"));
        assert_eq!(catalogue.nearest("max_conections"), Some("max_connections"));
        assert_eq!(catalogue.nearest("entirely_else"), None);
    }
}
