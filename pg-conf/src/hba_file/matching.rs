//! Whether a rule is for a login, after `check_hba`, `check_db` and `check_role` of the server's `hba.c`.
//!
//! What must always hold: `Yes` and `No` are what the server would say; where it would ask the catalog, a file, a name
//! server or its network interfaces, the answer is `Unknown` with what has to be asked.

use std::net::IpAddr;

use ipnet::IpNet;

use super::address::Address;
use super::rule::{Kind, Rule};
use super::word::Word;

/// A connection that somebody may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// What it connects to.
    pub database: Database,
    /// Who it is.
    pub role: String,
    /// Where it comes from.
    pub address: Origin,
    /// Whether it is encrypted by TLS, where that is known.
    pub ssl: Option<bool>,
}

/// What a login connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// Physical replication. Logical replication names a database.
    Replication,
    /// A database.
    Named(String),
}

/// Where a login comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The Unix socket.
    Local,
    /// An address, or any of a network's.
    Net(IpNet),
    /// A host by the name that the server's reverse lookup gives.
    HostName(String),
}

/// Whether a rule is for a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// It is.
    Yes,
    /// It is for some of the addresses asked about.
    Part,
    /// It isn't.
    No,
    /// Somebody else has to say: what has to be asked.
    Unknown(String),
}

impl Match {
    /// What holds if both have to.
    fn and(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::No => Self::No,
            Self::Yes => other(),
            unsure => match (unsure, other()) {
                (_, Self::No) => Self::No,
                (Self::Part, unknown @ Self::Unknown(_)) => unknown,
                (unsure, _) => unsure,
            },
        }
    }

    /// What holds if one has to.
    fn any(answers: impl Iterator<Item = Self>) -> Self {
        let mut found = Self::No;
        for answer in answers {
            match answer {
                Self::Yes => return Self::Yes,
                Self::No => {}
                unsure if found == Self::No => found = unsure,
                _ => {}
            }
        }
        found
    }
}

impl From<bool> for Match {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

impl Rule {
    /// Whether this rule is for a login. The first rule for which it is decides, also by letting nobody in.
    #[must_use]
    pub fn matches(&self, login: &Login) -> Match {
        self.matches_connection(login)
            .and(|| Match::any(self.databases.iter().map(|word| self.matches_database(word, login))))
            .and(|| Match::any(self.users.iter().map(|word| self.matches_role(word, &login.role))))
            .and(|| self.address.as_ref().map_or(Match::Yes, |address| matches_address(address, &login.address)))
    }

    fn matches_connection(&self, login: &Login) -> Match {
        let unknown = |what: &str| Match::Unknown(format!("whether the connection is encrypted by {what}"));
        match (self.kind, login.ssl) {
            (Kind::Local, _) => (login.address == Origin::Local).into(),
            _ if login.address == Origin::Local => Match::No,
            (Kind::HostSsl, Some(ssl)) => ssl.into(),
            (Kind::HostNoSsl, Some(ssl)) => (!ssl).into(),
            (Kind::HostSsl | Kind::HostNoSsl, None) => unknown("TLS"),
            // A connection has one encryption or the other.
            (Kind::HostGssEnc, Some(true)) => Match::No,
            (Kind::Host, _) | (Kind::HostNoGssEnc, Some(true)) => Match::Yes,
            (Kind::HostGssEnc | Kind::HostNoGssEnc, _) => unknown("GSSAPI"),
        }
    }

    fn matches_database(&self, word: &Word, login: &Login) -> Match {
        if let Some(file) = word.file() {
            return Match::Unknown(format!("which databases the file {file:?} names"));
        }
        let Database::Named(database) = &login.database else {
            return word.is_keyword("replication").into();
        };
        if word.is_keyword("all") {
            Match::Yes
        } else if word.is_keyword("sameuser") {
            (*database == login.role).into()
        } else if word.is_keyword("samerole") || word.is_keyword("samegroup") {
            is_member(&login.role, database)
        } else if word.is_keyword("replication") {
            Match::No
        } else {
            self.matches_name(word, database)
        }
    }

    fn matches_role(&self, word: &Word, role: &str) -> Match {
        if let Some(file) = word.file() {
            Match::Unknown(format!("which roles the file {file:?} names"))
        } else if let Some(group) = word.members_of() {
            is_member(role, group)
        } else if word.is_keyword("all") {
            Match::Yes
        } else {
            self.matches_name(word, role)
        }
    }

    fn matches_name(&self, word: &Word, name: &str) -> Match {
        match word.regular_expression(self.major) {
            Some(expression) => Match::Unknown(format!("whether {name:?} matches the regular expression {expression}")),
            None => (word.text == name).into(),
        }
    }
}

/// Every role is a member of itself; being a superuser makes nobody a member.
fn is_member(role: &str, group: &str) -> Match {
    if role == group { Match::Yes } else { Match::Unknown(format!("whether {role:?} is a member of {group:?}")) }
}

fn matches_address(address: &Address, origin: &Origin) -> Match {
    match (address, origin) {
        (_, Origin::Local) => Match::No,
        (Address::All, _) => Match::Yes,
        (Address::Cidr(rule), Origin::Net(asked)) => covers(rule.addr(), rule.netmask(), *asked),
        (Address::Masked { address, mask }, Origin::Net(asked)) => covers(*address, *mask, *asked),
        (Address::HostName(rule), Origin::HostName(asked)) => is_host(rule, asked).into(),
        (Address::HostName(rule), Origin::Net(asked)) => {
            Match::Unknown(format!("whether {asked} resolves to {rule:?} and back"))
        }
        (Address::Cidr(_) | Address::Masked { .. }, Origin::HostName(asked)) => {
            Match::Unknown(format!("which addresses {asked:?} has"))
        }
        (Address::SameHost, _) => Match::Unknown("which addresses the server has".into()),
        (Address::SameNet, _) => Match::Unknown("which networks the server is in".into()),
    }
}

/// Which of the asked addresses agree with the rule's in the bits of its mask. The families never mix: a server sees
/// IPv4 clients as such.
fn covers(address: IpAddr, mask: IpAddr, asked: IpNet) -> Match {
    if address.is_ipv4() != asked.addr().is_ipv4() {
        return Match::No;
    }
    let (address, mask, asked_mask) = (bits(address), bits(mask), bits(asked.netmask()));
    if (address ^ bits(asked.addr())) & mask & asked_mask != 0 {
        Match::No
    } else if mask & bits(asked.hostmask()) == 0 {
        Match::Yes
    } else {
        Match::Part
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn is_host(rule: &str, asked: &str) -> bool {
    let (rule, asked) = (rule.to_ascii_lowercase(), asked.to_ascii_lowercase());
    if rule.starts_with('.') { asked.ends_with(&rule) } else { asked == rule }
}

#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;
