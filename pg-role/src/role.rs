//! A role as the server knows it.
//!
//! What must always hold: nothing here shows or keeps a verifier, only which kind of one is stored.

use crate::verifier::{self, Answer};
use pg_runbook::cli::colour::Mark;
use pg_runbook::cli::table::{self, Cell, Screen};
use pg_runbook::server::Server;
use pg_runbook::{Failure, Secret};
use schemars::JsonSchema;
use serde::Serialize;

/// A role as the server knows it (`pg_roles`, `pg_auth_members`, and `pg_authid` where it may be read).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "DatabaseRole")]
pub struct Role {
    /// Its name, letter case as stored.
    pub name: String,
    /// Whether it may log in (LOGIN).
    pub login: bool,
    /// Whether it may replicate (REPLICATION).
    pub replication: bool,
    /// Whether it may do everything (SUPERUSER).
    pub superuser: bool,
    /// How many connections it may have at once (CONNECTION LIMIT); -1 is any number.
    pub connection_limit: i32,
    /// When its password ends (VALID UNTIL), as the server writes it; null where it does not.
    pub valid_until: Option<String>,
    /// The roles that it is a member of, without those that it only inherits.
    pub member_of: Vec<String>,
    /// How its password is stored; null where the connecting role may not look.
    pub password: Option<Stored>,
}

/// How a password is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "StoredPassword")]
pub enum Stored {
    /// There is none.
    #[serde(rename = "none")]
    None,
    /// As a SCRAM verifier.
    #[serde(rename = "scram-sha-256")]
    Scram,
    /// As an md5 hash.
    #[serde(rename = "md5")]
    Md5,
    /// In a way that this version does not know.
    #[serde(rename = "other")]
    Other,
}

impl Stored {
    /// The word in the document.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Scram => "scram-sha-256",
            Self::Md5 => "md5",
            Self::Other => "other",
        }
    }

    fn of_word(word: &str) -> Self {
        [Self::None, Self::Scram, Self::Md5].into_iter().find(|stored| stored.word() == word).unwrap_or(Self::Other)
    }
}

impl Role {
    /// Each property by its name, as an account shows them.
    pub fn facts(&self) -> [(&'static str, Cell); 7] {
        let on = |value: bool| Cell::from(if value { "on" } else { "off" });
        let needed = |value: bool| if value { on(true) } else { on(false).marked(Mark::Warning) };
        let limit = if self.connection_limit < 0 { "none".into() } else { self.connection_limit.to_string() };
        let member_of = if self.member_of.is_empty() { "nothing".into() } else { self.member_of.join(", ") };
        let password = Cell::from(self.password.map_or("(may not be read)", Stored::word));
        let is_weak = matches!(self.password, Some(Stored::None | Stored::Md5));
        [
            ("login", needed(self.login)),
            ("replication", needed(self.replication)),
            ("superuser", on(self.superuser)),
            ("connection limit", limit.into()),
            ("valid until", self.valid_until.as_deref().unwrap_or("always").into()),
            ("member of", member_of.into()),
            ("password", if is_weak { password.marked(Mark::Warning) } else { password }),
        ]
    }

    /// The same, one a line, as a difference shows them.
    pub fn lines(&self) -> Vec<String> {
        table::list(&self.facts(), &Screen::default())
    }
}

/// The role of this name; `None` where there is none.
pub fn find(server: &mut Server, name: &str) -> Result<Option<Role>, Failure> {
    // Which kind it is, the server says: the verifier itself stays there.
    let stored = if may_read_verifiers(server)? {
        "(SELECT CASE WHEN a.rolpassword IS NULL THEN 'none'
                WHEN a.rolpassword LIKE 'SCRAM-SHA-256$%' THEN 'scram-sha-256'
                WHEN a.rolpassword ~ '^md5[0-9a-f]{32}$' THEN 'md5' ELSE 'other' END
          FROM pg_catalog.pg_authid a WHERE a.oid = r.oid)"
    } else {
        "NULL::text"
    };
    let query = format!(
        "SELECT r.rolname::text, r.rolcanlogin, r.rolreplication, r.rolsuper, r.rolconnlimit, r.rolvaliduntil::text,
            ARRAY(SELECT DISTINCT g.rolname::text FROM pg_catalog.pg_auth_members m
                JOIN pg_catalog.pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid ORDER BY 1),
            {stored}
         FROM pg_catalog.pg_roles r WHERE r.rolname = $1::text"
    );
    let rows = server.query(&query, &[&name])?;
    Ok(rows.first().map(|row| Role {
        name: row.get(0),
        login: row.get(1),
        replication: row.get(2),
        superuser: row.get(3),
        connection_limit: row.get(4),
        valid_until: row.get(5),
        member_of: row.get(6),
        password: row.get::<_, Option<&str>>(7).map(Stored::of_word),
    }))
}

fn may_read_verifiers(server: &mut Server) -> Result<bool, Failure> {
    let question = "SELECT has_column_privilege('pg_catalog.pg_authid', 'rolpassword', 'SELECT')";
    Ok(server.text(question)?.as_deref() == Some("t"))
}

/// Whether `password` is the one that is stored for this role.
pub fn has_password(server: &mut Server, name: &str, password: &Secret) -> Result<Answer, Failure> {
    let rows = server.query("SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = $1::text", &[&name])?;
    let stored = rows.first().and_then(|row| row.get::<_, Option<String>>(0)).map(Secret::new);
    Ok(stored.map_or(Answer::Different, |stored| verifier::matches(stored.expose(), password, name)))
}
