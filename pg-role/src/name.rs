//! Which names a role can have.
//!
//! What must always hold: a name that passes is stored as it was typed, letter case included; the server would cut a
//! longer one short, and then this tool would never find it again.

use pg_runbook::Failure;

/// `NAMEDATALEN` less the NUL, in every server that was not built otherwise.
const LONGEST: usize = 63;

/// A name that a role may have, its own or one of the server's.
pub fn check(name: &str) -> Result<(), Failure> {
    let bad = |reason: String| Err(Failure::usage(format!("{name:?} can't be the name of a role")).because(reason));
    match name {
        "" => bad("it is empty".into()),
        name if name.len() > LONGEST => {
            bad(format!("it has {} bytes, and the server cuts names off after {LONGEST}", name.len()))
        }
        name if name.contains('\0') => bad("it holds a NUL".into()),
        _ => Ok(()),
    }
}

/// A name that a role of the user's may have.
pub fn check_own(name: &str) -> Result<(), Failure> {
    check(name)?;
    let reserved = name.starts_with("pg_") || matches!(name, "public" | "none");
    if reserved {
        return Err(Failure::usage(format!("{name:?} can't be the name of a role of yours"))
            .because("PostgreSQL keeps public, none and all names that begin with pg_ for itself"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pg_runbook::Code;

    #[test]
    fn takes_names_that_need_quoting() {
        for name in ["replicator", "Größe", "a \"b\" c", "o'neil", "1", "pgpool", &"x".repeat(63)] {
            assert!(check_own(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn refuses_names_that_the_server_would_cut_short_or_keeps_for_itself() {
        for name in ["", &"x".repeat(64), &"é".repeat(32), "pg_monitor", "public", "none"] {
            assert_eq!(check_own(name).unwrap_err().code, Code::Usage, "{name}");
        }
        assert!(check("pg_monitor").is_ok());
    }
}
