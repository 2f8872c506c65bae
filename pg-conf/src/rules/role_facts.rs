//! What the running server knows of a role that is to log in, beside the rules.
//!
//! What must always hold: of a password only the kind of its verifier is asked, never the verifier.

use crate::rules::hba_file::Database;
use pg_runbook::Failure;
use pg_runbook::server::Server;

/// A role, as far as logins go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleFacts {
    /// Whether it has LOGIN.
    pub may_log_in: bool,
    /// Whether it has REPLICATION, or is a superuser.
    pub may_replicate: bool,
    /// Whether its password has expired.
    pub has_expired: bool,
    /// How its password is stored.
    pub verifier: Verifier,
}

/// How a password is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verifier {
    /// There is none.
    Missing,
    /// `md5…`
    Md5,
    /// `SCRAM-SHA-256$…`
    Scram,
    /// Who asked may not see.
    Unseen,
}

impl RoleFacts {
    /// Asks for a role; `None` where the server has none of this name.
    pub fn of(server: &mut Server, role: &str) -> Result<Option<Self>, Failure> {
        let sees = server.text("SELECT has_table_privilege('pg_catalog.pg_authid', 'SELECT')")?;
        let (catalog, verifier) = if sees.as_deref() == Some("t") {
            (
                "pg_authid",
                "CASE WHEN rolpassword IS NULL THEN 'missing' WHEN rolpassword LIKE 'md5%' THEN 'md5' \
                ELSE 'scram' END",
            )
        } else {
            ("pg_roles", "'unseen'")
        };
        let query = format!(
            "SELECT rolcanlogin, rolreplication OR rolsuper, coalesce(rolvaliduntil < now(), false), {verifier}
            FROM pg_catalog.{catalog} WHERE rolname = $1"
        );
        let rows = server.query(&query, &[&role])?;
        Ok(rows.first().map(|row| Self {
            may_log_in: row.get(0),
            may_replicate: row.get(1),
            has_expired: row.get(2),
            verifier: match row.get::<_, &str>(3) {
                "missing" => Verifier::Missing,
                "md5" => Verifier::Md5,
                "scram" => Verifier::Scram,
                _ => Verifier::Unseen,
            },
        }))
    }

    /// What keeps this role out although the rule with this method lets it try.
    pub fn obstacles(self, role: &str, database: &Database, method: &str) -> Vec<String> {
        let mut obstacles = Vec::new();
        let mut add = |applies: bool, text: String| obstacles.extend(Some(text).filter(|_| applies));
        let by_password = asks_for_stored_password(method);
        add(!self.may_log_in, format!("{role} may not log in at all (NOLOGIN): pg-role ensure {role}"));
        let wants_replication = *database == Database::Replication;
        add(
            wants_replication && !self.may_replicate,
            format!("{role} may not replicate (NOREPLICATION): pg-role ensure {role}"),
        );
        add(
            by_password && self.verifier == Verifier::Missing,
            format!("{role} has no password, and {method} asks for it: pg-role ensure {role} --password-file FILE"),
        );
        add(
            method == "scram-sha-256" && self.verifier == Verifier::Md5,
            format!(
                "the password of {role} is stored for md5, which scram-sha-256 can't use: \
                 pg-role ensure {role} --password-file FILE stores it anew"
            ),
        );
        add(by_password && self.has_expired, format!("the password of {role} has expired (VALID UNTIL)"));
        obstacles
    }
}

fn asks_for_stored_password(method: &str) -> bool {
    matches!(method, "scram-sha-256" | "md5" | "password")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_keeps_a_role_out_that_a_rule_lets_in() {
        let sound = RoleFacts { may_log_in: true, may_replicate: true, has_expired: false, verifier: Verifier::Scram };
        let count = |facts: RoleFacts, method: &str| facts.obstacles("r", &Database::Replication, method).len();
        assert_eq!(count(sound, "scram-sha-256"), 0);
        let old = RoleFacts { verifier: Verifier::Md5, ..sound };
        assert_eq!((count(old, "scram-sha-256"), count(old, "md5"), count(old, "trust")), (1, 0, 0));
        let bare = RoleFacts { verifier: Verifier::Missing, may_replicate: false, may_log_in: false, ..sound };
        assert_eq!((count(bare, "md5"), count(bare, "trust")), (3, 2));
        let shop = Database::Named("shop".into());
        assert!(RoleFacts { may_replicate: false, ..sound }.obstacles("r", &shop, "md5").is_empty());
        assert_eq!(count(RoleFacts { has_expired: true, ..sound }, "password"), 1);
    }
}
