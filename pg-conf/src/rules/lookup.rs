//! Who answers what the rules leave open: the running server (roles, regular expressions), this host's interfaces, and
//! the resolver that the server asks too.
//!
//! What must always hold: nothing is guessed: what can't be asked stays unknown, with what would have to be known.

use crate::rules::hba_file::{Match, Question, covers, is_host};
use ipnet::IpNet;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;
use pg_runbook::Failure;
use pg_runbook::server::Server;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

/// Whom to ask.
#[derive(Debug, Default)]
pub struct Lookup {
    server: RefCell<Option<Server>>,
    /// What was already asked, by the question.
    answers: RefCell<BTreeMap<String, Match>>,
}

impl Lookup {
    /// Asks this server, where it runs.
    pub fn of(server: Option<Server>) -> Self {
        Self { server: RefCell::new(server), answers: RefCell::default() }
    }

    /// The server again, for what else is asked of it.
    pub fn server(&self) -> std::cell::RefMut<'_, Option<Server>> {
        self.server.borrow_mut()
    }

    /// What the server would find out.
    pub fn answer(&self, question: &Question<'_>) -> Match {
        let key = format!("{question:?}");
        if let Some(known) = self.answers.borrow().get(&key) {
            return known.clone();
        }
        let answer = self.find_out(question);
        self.answers.borrow_mut().insert(key, answer.clone());
        answer
    }

    fn find_out(&self, question: &Question<'_>) -> Match {
        match question {
            Question::Membership { .. } | Question::Expression { .. } => {
                let mut server = self.server.borrow_mut();
                let Some(server) = server.as_mut() else { return question.unanswered() };
                let answer = match question {
                    Question::Membership { role, group } => is_member(server, role, group),
                    Question::Expression { expression, name } => matches_expression(server, expression, name),
                    _ => return question.unanswered(),
                };
                answer.map_or_else(|failure| Match::Unknown(format!("{question} ({failure})")), Match::from)
            }
            Question::HostName { pattern, asked } => has_name(*asked, pattern).unwrap_or_else(|| question.unanswered()),
            Question::SameHost { asked } => is_own(*asked, false).unwrap_or_else(|| question.unanswered()),
            Question::SameNet { asked } => is_own(*asked, true).unwrap_or_else(|| question.unanswered()),
        }
    }
}

/// Membership as `is_member_of_role_nosuper` sees it: direct or not, whatever is inherited, superuser or not. A role
/// that doesn't exist is no member, not even of itself.
fn is_member(server: &mut Server, role: &str, group: &str) -> Result<bool, Failure> {
    let query = "WITH RECURSIVE roles AS (
            SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1
            UNION SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN roles ON m.member = roles.oid)
        SELECT EXISTS (SELECT FROM pg_catalog.pg_roles r JOIN roles ON roles.oid = r.oid WHERE r.rolname = $2)";
    let rows = server.query(query, &[&role, &group])?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// At login the server knows no encoding yet: it compares byte by byte, so each byte is made a letter here.
fn matches_expression(server: &mut Server, expression: &str, name: &str) -> Result<bool, Failure> {
    let has_letters = server.text("SHOW server_encoding")?.as_deref() != Some("SQL_ASCII");
    let bytewise =
        |text: &str| if has_letters { text.bytes().map(char::from).collect::<String>() } else { text.to_owned() };
    let query = "SELECT $1::text COLLATE \"C\" OPERATOR(pg_catalog.~) $2::text";
    let rows = server.query(query, &[&bytewise(name), &bytewise(expression)])?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// The address's name, and then whether that name has the address: as `check_hostname` does. A network has no name.
fn has_name(asked: IpNet, pattern: &str) -> Option<Match> {
    if asked.prefix_len() != asked.max_prefix_len() {
        return None;
    }
    let Some(name) = name_of(asked.addr()) else { return Some(Match::No) };
    let is_it = is_host(pattern, &name) && addresses(&name).contains(&asked.addr());
    Some(is_it.into())
}

/// The name that the resolver has for an address.
pub fn name_of(address: IpAddr) -> Option<String> {
    dns_lookup::getnameinfo(&SocketAddr::new(address, 0), nix::libc::NI_NAMEREQD).ok().map(|(name, _)| name)
}

/// The addresses that the resolver has for a name; none where it has none or doesn't answer.
pub fn addresses(name: &str) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    for address in (name, 0).to_socket_addrs().into_iter().flatten() {
        if !found.contains(&address.ip()) {
            found.push(address.ip());
        }
    }
    found
}

/// Whether this host has the address itself, or is in the same network with it.
fn is_own(asked: IpNet, with_networks: bool) -> Option<Match> {
    let own = interfaces(with_networks)?;
    Some(Match::any(own.into_iter().map(|(address, mask)| covers(address, mask, asked))))
}

/// This host's addresses, or the networks that it is in.
pub fn own_networks(with_networks: bool) -> Vec<IpNet> {
    let own = interfaces(with_networks).unwrap_or_default();
    let mut nets: Vec<IpNet> =
        own.into_iter().filter_map(|(address, mask)| Some(IpNet::with_netmask(address, mask).ok()?.trunc())).collect();
    nets.sort_unstable();
    nets.dedup();
    nets
}

fn interfaces(with_networks: bool) -> Option<Vec<(IpAddr, IpAddr)>> {
    let own = getifaddrs().ok()?.filter_map(|interface| {
        let address = ip(interface.address?)?;
        let mask = interface.netmask.and_then(ip).filter(|mask| with_networks && !mask.is_unspecified());
        Some((address, mask.unwrap_or(full_mask(address))))
    });
    Some(own.collect())
}

fn full_mask(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => Ipv4Addr::BROADCAST.into(),
        IpAddr::V6(_) => Ipv6Addr::from(u128::MAX).into(),
    }
}

fn ip(address: SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| address.ip().into());
    v4.or_else(|| address.as_sockaddr_in6().map(|address| address.ip().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn knows_the_hosts_own_addresses_and_networks() {
        let lookup = Lookup::default();
        let answer = |question| lookup.answer(&question);
        assert_eq!(answer(Question::SameHost { asked: asked("127.0.0.1/32") }), Match::Yes);
        assert_eq!(answer(Question::SameHost { asked: asked("127.0.0.9/32") }), Match::No);
        assert_eq!(answer(Question::SameNet { asked: asked("127.0.0.9/32") }), Match::Yes);
        assert_eq!(answer(Question::SameHost { asked: asked("127.0.0.0/24") }), Match::Part);
        assert_eq!(answer(Question::SameNet { asked: asked("203.0.113.9/32") }), Match::No);
    }

    #[test]
    fn leaves_open_what_only_a_server_knows() {
        let lookup = Lookup::default();
        let question = Question::Membership { role: "a", group: "b" };
        assert_eq!(lookup.answer(&question), Match::Unknown("whether \"a\" is a member of \"b\"".into()));
        let network = Question::HostName { pattern: "a.example.com", asked: asked("192.0.2.0/24") };
        assert!(matches!(lookup.answer(&network), Match::Unknown(_)));
    }
}
