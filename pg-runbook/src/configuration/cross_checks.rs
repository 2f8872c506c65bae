//! What the server only notices when it starts: settings that are each valid and don't go together
//! (`PostmasterMain`, postmaster.c).
//!
//! What must always hold: a violation is told in the server's own words, with both values.

use super::judge::Judge;
use crate::Failure;

/// The settings that these checks look at; a server that lacks one has no value for it.
pub const NAMES: [&str; 7] = [
    "wal_level",
    "archive_mode",
    "max_wal_senders",
    "max_connections",
    "superuser_reserved_connections",
    "reserved_connections",
    "summarize_wal",
];

/// Settings that don't go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The setting whose line is to be shown.
    pub name: &'static str,
    /// The setting that it does not go with.
    pub other: &'static str,
    /// What the server would say at its start.
    pub message: String,
}

/// What does not go together in the configuration that `judge` reads.
pub fn of_configuration(judge: &Judge, major: u32) -> Result<Vec<Violation>, Failure> {
    let mut values = Vec::new();
    for name in NAMES {
        if let Ok(value) = judge.value(name)? {
            values.push((name, value));
        }
    }
    Ok(violations(major, &|name| values.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())))
}

/// Judges canonical values.
#[must_use]
pub fn violations(major: u32, value: &dyn Fn(&str) -> Option<String>) -> Vec<Violation> {
    let number = |name: &str| value(name).and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    let on = |name: &str| value(name).is_some_and(|text| text != "off");
    let mut found = Vec::new();
    if value("wal_level").as_deref() == Some("minimal") {
        if on("archive_mode") {
            found.push(Violation {
                name: "archive_mode",
                other: "wal_level",
                message: "WAL archival cannot be enabled when wal_level is \"minimal\"".to_owned(),
            });
        }
        let senders = number("max_wal_senders");
        if senders > 0 {
            let message =
                format!("WAL streaming (max_wal_senders = {senders}) requires wal_level \"replica\" or \"logical\"");
            found.push(Violation { name: "max_wal_senders", other: "wal_level", message });
        }
        if on("summarize_wal") {
            found.push(Violation {
                name: "summarize_wal",
                other: "wal_level",
                message: "WAL cannot be summarized when wal_level is \"minimal\"".to_owned(),
            });
        }
    }
    let connections = number("max_connections");
    for (name, what, reserved) in reservations(major, &number) {
        if reserved >= connections {
            let message = format!("{what} ({reserved}) must be less than max_connections ({connections})");
            found.push(Violation { name, other: "max_connections", message });
        }
    }
    found
}

/// What must leave room in `max_connections`: until 11 the walsenders are taken from it too.
fn reservations(major: u32, number: &dyn Fn(&str) -> i64) -> Vec<(&'static str, &'static str, i64)> {
    let superusers = number("superuser_reserved_connections");
    let (senders, others) = (number("max_wal_senders"), number("reserved_connections"));
    match major {
        ..=10 => vec![
            ("superuser_reserved_connections", "superuser_reserved_connections", superusers),
            ("max_wal_senders", "max_wal_senders", senders),
        ],
        11 => vec![(
            "superuser_reserved_connections",
            "superuser_reserved_connections plus max_wal_senders",
            superusers + senders,
        )],
        12..=15 => vec![("superuser_reserved_connections", "superuser_reserved_connections", superusers)],
        _ => vec![(
            "superuser_reserved_connections",
            "superuser_reserved_connections plus reserved_connections",
            superusers + others,
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(major: u32, values: &[(&str, &str)]) -> Vec<String> {
        let value = |name: &str| values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        violations(major, &value).into_iter().map(|violation| violation.message).collect()
    }

    #[test]
    fn sees_that_minimal_wal_feeds_neither_standbys_nor_archives() {
        let values = [
            ("wal_level", "minimal"),
            ("max_wal_senders", "10"),
            ("archive_mode", "always"),
            ("max_connections", "100"),
        ];
        let found = judged(15, &values);
        assert_eq!(found.len(), 2);
        assert!(found[1].contains("max_wal_senders = 10"), "{found:?}");
        assert!(judged(15, &[("wal_level", "replica"), values[1], values[2], values[3]]).is_empty());
    }

    #[test]
    fn leaves_room_for_those_who_are_not_superusers() {
        let values =
            [("max_connections", "10"), ("superuser_reserved_connections", "3"), ("reserved_connections", "7")];
        assert_eq!(judged(15, &values).len(), 0);
        let expected =
            "superuser_reserved_connections plus reserved_connections (10) must be less than max_connections (10)";
        assert_eq!(judged(16, &values), [expected]);
        assert_eq!(judged(10, &[("max_connections", "10"), ("max_wal_senders", "10")]).len(), 1);
        assert_eq!(judged(12, &[("max_connections", "10"), ("max_wal_senders", "10")]).len(), 0);
    }
}
