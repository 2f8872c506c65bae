//! Whether a rule is for a login, after `check_hba`, `check_db` and `check_role` of the server's `hba.c`.
//!
//! What must always hold: `Yes` and `No` are what the server would say; where it would ask the catalog, a name server or
//! its network interfaces, whoever calls is handed the same [`Question`].

use std::net::IpAddr;

use ipnet::IpNet;

use super::address::Address;
use super::question::{Answer, Question};
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
    /// Whether it is encrypted by GSSAPI, where that is known.
    pub gss: Option<bool>,
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
    /// Any address of these networks: `all`, `samehost`, `samenet`.
    Several(Vec<IpNet>),
    /// A host.
    Host {
        /// The name that the server's reverse lookup gives.
        name: String,
        /// Its addresses, where they are known.
        addresses: Vec<IpAddr>,
    },
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

    /// What holds of several addresses together.
    fn all(answers: impl Iterator<Item = Self>) -> Self {
        let answers: Vec<Self> = answers.collect();
        match answers.iter().find(|answer| matches!(answer, Self::Unknown(_))) {
            Some(unknown) => unknown.clone(),
            None if answers.iter().all(|answer| *answer == Self::Yes) => Self::Yes,
            None if answers.iter().all(|answer| *answer == Self::No) => Self::No,
            None => Self::Part,
        }
    }

    /// What holds if one of several has to.
    pub fn any(answers: impl Iterator<Item = Self>) -> Self {
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
    pub fn matches(&self, login: &Login, ask: Answer<'_>) -> Match {
        let connection = self.matches_connection(login);
        let databases = || Match::any(self.databases.iter().map(|word| self.matches_database(word, login, ask)));
        let so_far = connection.and(databases);
        let so_far = so_far.and(|| Match::any(self.users.iter().map(|word| self.matches_role(word, &login.role, ask))));
        so_far.and(|| self.address.as_ref().map_or(Match::Yes, |address| matches_origin(address, &login.address, ask)))
    }

    fn matches_connection(&self, login: &Login) -> Match {
        let by = |known: Option<bool>, wanted: bool, what: &str| match known {
            Some(known) => (known == wanted).into(),
            None => Match::Unknown(format!("whether the connection is encrypted by {what}")),
        };
        // A connection has one encryption or the other.
        let ssl = if login.gss == Some(true) { Some(false) } else { login.ssl };
        let gss = if login.ssl == Some(true) { Some(false) } else { login.gss };
        match self.kind {
            Kind::Local => (login.address == Origin::Local).into(),
            _ if login.address == Origin::Local => Match::No,
            Kind::Host => Match::Yes,
            Kind::HostSsl => by(ssl, true, "TLS"),
            Kind::HostNoSsl => by(ssl, false, "TLS"),
            Kind::HostGssEnc => by(gss, true, "GSSAPI"),
            Kind::HostNoGssEnc => by(gss, false, "GSSAPI"),
        }
    }

    fn matches_database(&self, word: &Word, login: &Login, ask: Answer<'_>) -> Match {
        let Database::Named(database) = &login.database else {
            return word.is_keyword("replication").into();
        };
        if word.is_keyword("all") {
            Match::Yes
        } else if word.is_keyword("sameuser") {
            (*database == login.role).into()
        } else if word.is_keyword("samerole") || word.is_keyword("samegroup") {
            ask(&Question::Membership { role: &login.role, group: database })
        } else if word.is_keyword("replication") {
            Match::No
        } else {
            self.matches_name(word, database, ask)
        }
    }

    fn matches_role(&self, word: &Word, role: &str, ask: Answer<'_>) -> Match {
        if let Some(group) = word.members_of() {
            ask(&Question::Membership { role, group })
        } else if word.is_keyword("all") {
            Match::Yes
        } else {
            self.matches_name(word, role, ask)
        }
    }

    fn matches_name(&self, word: &Word, name: &str, ask: Answer<'_>) -> Match {
        match word.regular_expression(self.major) {
            Some(expression) => ask(&Question::Expression { expression, name }),
            None => (word.text == name).into(),
        }
    }
}

fn matches_origin(address: &Address, origin: &Origin, ask: Answer<'_>) -> Match {
    match (address, origin) {
        (_, Origin::Local) => Match::No,
        (Address::All, _) => Match::Yes,
        (_, Origin::Net(asked)) => matches_net(address, *asked, ask),
        (Address::HostName(rule), Origin::Host { name, .. }) => is_host(rule, name).into(),
        (_, Origin::Host { name, addresses }) if addresses.is_empty() => {
            Match::Unknown(format!("which addresses {name:?} has"))
        }
        (_, Origin::Host { addresses, .. }) => {
            Match::all(addresses.iter().map(|asked| matches_net(address, IpNet::from(*asked), ask)))
        }
        (_, Origin::Several(nets)) if nets.is_empty() => Match::Unknown("which addresses the server has".into()),
        (_, Origin::Several(nets)) => Match::all(nets.iter().map(|asked| matches_net(address, *asked, ask))),
    }
}

fn matches_net(address: &Address, asked: IpNet, ask: Answer<'_>) -> Match {
    match address {
        Address::All => Match::Yes,
        Address::Cidr(rule) => covers(rule.addr(), rule.netmask(), asked),
        Address::Masked { address, mask } => covers(*address, *mask, asked),
        Address::HostName(pattern) => ask(&Question::HostName { pattern, asked }),
        Address::SameHost => ask(&Question::SameHost { asked }),
        Address::SameNet => ask(&Question::SameNet { asked }),
    }
}

/// Which of the asked addresses agree with the rule's in the bits of its mask. The families never mix: a server sees
/// IPv4 clients as such.
#[must_use]
pub fn covers(address: IpAddr, mask: IpAddr, asked: IpNet) -> Match {
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

/// Whether a host name is the one of a rule, or ends like it where the rule's begins with a dot.
#[must_use]
pub fn is_host(rule: &str, asked: &str) -> bool {
    let (rule, asked) = (rule.to_ascii_lowercase(), asked.to_ascii_lowercase());
    if rule.starts_with('.') { asked.ends_with(&rule) } else { asked == rule }
}

#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;
