//! What deserves a look before a role is let in: a rule that lets in too much, or that lets nobody in.
//!
//! What must always hold: nothing here decides anything; it is said, and the work goes on.

use crate::rules::access::Request;
use crate::rules::hba_file::{Origin, Rule, is_host};
use crate::rules::lookup;
use crate::rules::role_facts::{RoleFacts, Verifier};
use pg_runbook::server::Server;
use pg_runbook::{Failure, Run};
use std::net::IpAddr;

/// What the server knows of the role that is to be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It couldn't be asked.
    Nothing,
    /// It has no such role.
    NoSuchRole,
    /// It has.
    Role(RoleFacts),
}

impl Known {
    /// Asks the server, where it runs.
    pub fn of(server: &mut Option<Server>, role: &str) -> Result<Self, Failure> {
        let Some(server) = server else { return Ok(Self::Nothing) };
        Ok(RoleFacts::of(server, role)?.map_or(Self::NoSuchRole, Self::Role))
    }

    fn verifier(self) -> Verifier {
        match self {
            Self::Role(facts) => facts.verifier,
            Self::Nothing | Self::NoSuchRole => Verifier::Unseen,
        }
    }
}

/// Of what was asked for.
pub fn of_request(run: &mut Run, request: &Request, known: Known) {
    let role = &request.role.text;
    if request.method == "trust" {
        run.warn(format!("trust lets anyone in as {role} who can reach the server, without a password"));
    }
    for from in request.origins.iter().flatten().filter(|from| from.is_everywhere()) {
        run.warn(format!("{} is every address there is; name the hosts or their network", from.text));
    }
    request
        .origins
        .iter()
        .flatten()
        .filter_map(|from| of_name(&from.origin, &lookup::name_of))
        .for_each(|text| run.warn(text));
    if request.method == "md5" && known.verifier() == Verifier::Scram {
        run.warn(format!("the password of {role} is stored for SCRAM: --method scram-sha-256 would do"));
    }
    let cannot_replicate = matches!(known, Known::Role(facts) if !facts.may_replicate);
    if request.database.is_keyword("all") && !cannot_replicate {
        run.warn(format!(
            "the database all does not cover replication connections: pg-conf allow {role} --database replication"
        ));
    }
    match known {
        // The role that a step before would make isn't there yet.
        _ if run.follows_plans() => {}
        Known::NoSuchRole => run.warn(format!("the server has no role {role} yet: pg-role ensure {role}")),
        Known::Role(facts) => {
            let database = request.login(None).database;
            facts.obstacles(role, &database, &request.method).into_iter().for_each(|text| run.warn(text));
        }
        Known::Nothing => {}
    }
}

/// Of a host by name: at each login the server asks for the name of the address that it comes from, and then whether that
/// name has the address (`check_hostname` in hba.c).
fn of_name(origin: &Origin, name_of: &dyn Fn(IpAddr) -> Option<String>) -> Option<String> {
    let Origin::Host { name, addresses } = origin else { return None };
    // One that begins with a dot is the end of names.
    let first = match addresses.first() {
        _ if name.starts_with('.') => return None,
        None => {
            return Some(format!(
                "{name} has no address that this host can find, so the rule lets nobody in until it has one: getent hosts {name}"
            ));
        }
        Some(first) => first,
    };
    let names: Vec<Option<String>> = addresses.iter().map(|address| name_of(*address)).collect();
    if names.iter().flatten().any(|known| is_host(name, known)) {
        return None;
    }
    let found = match names.into_iter().flatten().next() {
        Some(other) => format!("{first} is called {other}"),
        None => format!("{first} has no name"),
    };
    Some(format!(
        "the server looks for the name of the address that a login comes from, and {found} here, not {name}; --from {first} needs no name"
    ))
}

/// Of a rule that lets the role in already, by another method than was asked for.
pub fn of_rule(rule: &Rule, request: &Request, place: &str, known: Known) -> Option<String> {
    let name = &request.role.text;
    if let Some(option) = rule.options.iter().find(|option| option.starts_with("clientcert=")) {
        return Some(format!("{place} asks for a client certificate too ({option})"));
    }
    match rule.method.as_str() {
        method if method == request.method => None,
        "trust" => Some(format!("{place} is trust: it lets anyone in as {name}, without a password")),
        "password" => Some(format!("{place} is password: the password is sent as it is")),
        "md5" if known.verifier() == Verifier::Scram => {
            Some(format!("{place} is md5; the password of {name} is stored for SCRAM, so scram-sha-256 would do"))
        }
        "md5" => Some(format!("{place} is md5, which takes SCRAM verifiers too; scram-sha-256 would be stricter")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_whose_address_leads_back_to_another_name_is_told_of() {
        let of = |name: &str, back: Option<&str>| {
            let origin = Origin::Host { name: name.into(), addresses: vec!["192.0.2.7".parse().unwrap()] };
            of_name(&origin, &|_| back.map(str::to_owned))
        };
        assert_eq!(of("db2.example.org", Some("DB2.example.org")), None);
        let told = of("db2", Some("db2.example.org")).unwrap_or_default();
        assert!(told.contains("192.0.2.7 is called db2.example.org"), "{told}");
        let told = of("db2", None).unwrap_or_default();
        assert!(told.contains("192.0.2.7 has no name") && told.ends_with("--from 192.0.2.7 needs no name"), "{told}");
        let end_of_names = Origin::Host { name: ".example.org".into(), addresses: Vec::new() };
        assert_eq!(of_name(&end_of_names, &|_| None), None);
    }
}
