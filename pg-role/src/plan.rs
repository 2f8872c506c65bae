//! What has to be done so that a role is as it should be.
//!
//! What must always hold: a plan is a value that was made without asking the server; it grants and never takes away;
//! nothing that is shown of it holds a password or a verifier.

use crate::role::{Role, Stored};
use pg_runbook::document::{Act, Change};
use pg_runbook::{Failure, Secret};
use postgres_protocol::escape::{escape_identifier, escape_literal};

const CREATE: Act = Act { plain: "create", past: "created" };

/// The role as it should be; what is `None` may be as it is.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// How many connections.
    pub connection_limit: Option<i32>,
    /// As the server writes it.
    pub valid_until: Option<String>,
    /// Besides those that it has.
    pub member_of: Vec<String>,
    /// Whether the password that was given is not the one that is stored.
    pub password_differs: bool,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The role is new.
    Create,
    /// LOGIN.
    Login,
    /// REPLICATION.
    Replication,
    /// CONNECTION LIMIT.
    ConnectionLimit {
        /// What it is.
        before: Option<i32>,
        /// What it shall be.
        after: i32,
    },
    /// VALID UNTIL.
    ValidUntil {
        /// What it is.
        before: Option<String>,
        /// What it shall be.
        after: String,
    },
    /// PASSWORD.
    Password {
        /// How the old one is stored, where that is known.
        before: Option<Stored>,
    },
    /// GRANT.
    Member {
        /// The role that it shall be a member of.
        of: String,
    },
}

/// All that has to be done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    name: String,
    steps: Vec<Step>,
}

/// The way from the role as it is (`None`: there is none) to the role as it should be.
pub fn plan(present: Option<&Role>, wanted: &Wanted) -> Plan {
    let mut steps = Vec::new();
    if present.is_none() {
        steps.push(Step::Create);
    }
    if !present.is_some_and(|role| role.login) {
        steps.push(Step::Login);
    }
    if !present.is_some_and(|role| role.replication) {
        steps.push(Step::Replication);
    }
    if let Some(after) = wanted.connection_limit {
        let before = present.map(|role| role.connection_limit);
        if before.unwrap_or(-1) != after {
            steps.push(Step::ConnectionLimit { before, after });
        }
    }
    if let Some(after) = wanted.valid_until.clone() {
        let before = present.and_then(|role| role.valid_until.clone());
        if before.as_ref() != Some(&after) {
            steps.push(Step::ValidUntil { before, after });
        }
    }
    if wanted.password_differs {
        steps.push(Step::Password { before: present.and_then(|role| role.password) });
    }
    let known = present.map(|role| role.member_of.clone()).unwrap_or_default();
    for of in &wanted.member_of {
        let step = Step::Member { of: of.clone() };
        if !known.contains(of) && !steps.contains(&step) {
            steps.push(step);
        }
    }
    Plan { name: wanted.name.clone(), steps }
}

impl Plan {
    /// Whether all is as it should be.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether it makes the role.
    pub fn creates(&self) -> bool {
        self.steps.contains(&Step::Create)
    }

    /// Whether it sets a password.
    pub fn sets_password(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Password { .. }))
    }

    /// As people and the document are told. A new role is one change, and its password another.
    pub fn changes(&self) -> Vec<Change> {
        let (mut changes, mut properties) = (Vec::new(), Vec::new());
        for step in &self.steps {
            match (self.creates(), step) {
                (_, Step::Create) => {}
                (true, step) if !matches!(step, Step::Password { .. }) => properties.push(property(step)),
                _ => changes.push(self.change(step)),
            }
        }
        if self.creates() {
            let created = Change::act("role", format!("role {}", self.name), CREATE).remark(properties.join(", "));
            changes.insert(0, created);
        }
        changes
    }

    fn change(&self, step: &Step) -> Change {
        let off = || Some("off".to_owned());
        let on = || Some("on".to_owned());
        let (property, before, after) = match step {
            Step::Create => ("", None, None),
            Step::Login => ("login", off(), on()),
            Step::Replication => ("replication", off(), on()),
            Step::ConnectionLimit { before, after } => {
                ("connection_limit", before.map(|limit| limit.to_string()), Some(after.to_string()))
            }
            Step::ValidUntil { before, after } => ("valid_until", before.clone(), Some(after.clone())),
            Step::Password { before } => {
                let stored = before.filter(|stored| *stored != Stored::None).map(|stored| stored.word().to_owned());
                ("password", stored, Some("(new)".to_owned()))
            }
            Step::Member { of } => ("member_of", None, Some(of.clone())),
        };
        Change::value("role", format!("{}.{property}", self.name), before, after)
    }

    /// The role as it will be.
    pub fn outcome(&self, present: Option<&Role>) -> Role {
        let mut role = present.cloned().unwrap_or_else(|| Role {
            name: self.name.clone(),
            login: false,
            replication: false,
            superuser: false,
            connection_limit: -1,
            valid_until: None,
            member_of: Vec::new(),
            password: Some(Stored::None),
        });
        for step in &self.steps {
            match step {
                Step::Create => {}
                Step::Login => role.login = true,
                Step::Replication => role.replication = true,
                Step::ConnectionLimit { after, .. } => role.connection_limit = *after,
                Step::ValidUntil { after, .. } => role.valid_until = Some(after.clone()),
                Step::Password { .. } => role.password = Some(Stored::Scram),
                Step::Member { of } => role.member_of.push(of.clone()),
            }
        }
        role.member_of.sort();
        role
    }

    /// The statements, in order. A plan that sets a password needs its verifier.
    pub fn statements(&self, verifier: Option<&Secret>) -> Result<Vec<Secret>, Failure> {
        let role = escape_identifier(&self.name);
        let mut statements = Vec::new();
        let mut clauses = String::new();
        for step in &self.steps {
            let clause = match step {
                Step::Create => continue,
                Step::Login => "LOGIN".to_owned(),
                Step::Replication => "REPLICATION".to_owned(),
                Step::ConnectionLimit { after, .. } => format!("CONNECTION LIMIT {after}"),
                Step::ValidUntil { after, .. } => format!("VALID UNTIL {}", escape_literal(after)),
                Step::Password { .. } => {
                    let verifier = verifier.ok_or_else(|| Failure::failed("there is no verifier to set"))?;
                    // The server takes a verifier for one whatever password_encryption says.
                    format!("PASSWORD {}", escape_literal(verifier.expose()))
                }
                Step::Member { of } => {
                    statements.push(Secret::new(format!("GRANT {} TO {role}", escape_identifier(of))));
                    continue;
                }
            };
            clauses = format!("{clauses} {clause}");
        }
        if !clauses.is_empty() || self.creates() {
            let verb = if self.creates() { "CREATE" } else { "ALTER" };
            statements.insert(0, Secret::new(format!("{verb} ROLE {role} WITH{clauses}")));
        }
        Ok(statements)
    }
}

/// A new role's property, in the words behind `created role replicator`.
fn property(step: &Step) -> String {
    match step {
        Step::Create | Step::Password { .. } => String::new(),
        Step::Login => "login".into(),
        Step::Replication => "replication".into(),
        Step::ConnectionLimit { after, .. } => format!("connection limit {after}"),
        Step::ValidUntil { after, .. } => format!("valid until {after}"),
        Step::Member { of } => format!("member of {of}"),
    }
}

#[cfg(test)]
mod tests;
