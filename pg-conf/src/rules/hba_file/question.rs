//! What the server would ask somebody else before it knows whether a rule is for a login.
//!
//! What must always hold: a question that nobody answers says in words what is not known.

use std::fmt::{self, Display};

use ipnet::IpNet;

use super::matching::Match;

/// Who answers questions: [`Question::unanswered`], or somebody who knows.
pub type Answer<'a> = &'a dyn Fn(&Question<'_>) -> Match;

/// One thing to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question<'a> {
    /// Whether a role is a member of another one, directly or not: the catalog knows.
    Membership {
        /// Who logs in.
        role: &'a str,
        /// The other one.
        group: &'a str,
    },
    /// Whether a name matches a regular expression: the server's own are like nobody else's.
    Expression {
        /// Without its slash.
        expression: &'a str,
        /// Of a role or a database.
        name: &'a str,
    },
    /// Whether an address has this name and the name this address: a name server knows.
    HostName {
        /// The name, or with a dot in front the end of one.
        pattern: &'a str,
        /// One address, or any of a network's.
        asked: IpNet,
    },
    /// Whether it is an address of the server's own: its interfaces know.
    SameHost {
        /// One address, or any of a network's.
        asked: IpNet,
    },
    /// Whether it is in a network that the server is in: its interfaces know.
    SameNet {
        /// One address, or any of a network's.
        asked: IpNet,
    },
}

impl Question<'_> {
    /// What can be said without asking.
    #[must_use]
    pub fn unanswered(&self) -> Match {
        match self {
            // Every role that exists is a member of itself; being a superuser makes nobody a member.
            Self::Membership { role, group } if role == group => Match::Yes,
            _ => Match::Unknown(self.to_string()),
        }
    }
}

impl Display for Question<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Membership { role, group } => write!(f, "whether {role:?} is a member of {group:?}"),
            Self::Expression { expression, name } => {
                write!(f, "whether {name:?} matches the regular expression {expression}")
            }
            Self::HostName { pattern, asked } => write!(f, "whether {asked} resolves to {pattern:?} and back"),
            Self::SameHost { .. } => f.write_str("which addresses the server has"),
            Self::SameNet { .. } => f.write_str("which networks the server is in"),
        }
    }
}
