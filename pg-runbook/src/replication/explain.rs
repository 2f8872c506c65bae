//! What libpq says of a replication login that failed, as one of the things that can be mended.
//!
//! What must always hold: what is about TLS is told apart before anything else, for it quotes files and names in which
//! any other word may stand.

use crate::failure::{Code, Failure};
use crate::invocation::{Completed, Invocation, shell_word};
use crate::server::{SslMode, Target, hints};

/// What libpq says where nobody answers, or not yet.
const UNREACHABLE: [&str; 10] = [
    "could not connect",
    "Connection refused",
    "could not translate",
    "timeout expired",
    "starting up",
    "No route",
    "server closed the connection",
    "shutting down",
    "unreachable",
    "not yet accepting",
];

/// Why the login failed, with the way out.
pub(super) fn login(target: &Target, completed: &Completed, invocation: &Invocation) -> Failure {
    let said = completed.stderr.trim();
    let place = target.address();
    let failure = Failure::failed(format!("replication login of {} at {place} failed", target.user)).because(said);
    if let Some(hint) = about_tls(said, target).or_else(|| about_the_role(said, target)) {
        return failure.hint(hint);
    }
    if UNREACHABLE.iter().any(|words| said.contains(words)) {
        return Failure { code: Code::GaveUp, ..failure }.hint(about_the_way(said, target));
    }
    failure.because(invocation.shown())
}

/// A login that went well, and then no answer.
pub(super) fn silent(failure: Failure, target: &Target) -> Failure {
    failure.hint(about_the_way("", target))
}

fn about_tls(said: &str, target: &Target) -> Option<String> {
    if said.contains("root certificate file") && said.contains("does not exist") {
        return Some(hints::root_certificate(target));
    }
    if said.contains("certificate verify failed") {
        return Some(hints::another_authority(target));
    }
    if said.contains("does not match host name") {
        return Some(hints::ANOTHER_NAME.to_owned());
    }
    said.contains("does not support SSL").then(|| hints::no_tls(target))
}

fn about_the_role(said: &str, target: &Target) -> Option<String> {
    let role = &target.user;
    if said.contains("password authentication failed") || said.contains("no password supplied") {
        let file = target.passfile.as_ref().map(|file| format!(" --passfile {}", shell_word(file.as_os_str())));
        let file = file.unwrap_or_default();
        return Some(format!("pg-pass set -h {} -p {} -U {role}{file}", target.host, target.port));
    }
    if let Some(address) = between(said, "replication connection from host \"", "\"") {
        let allow = format!("on the primary: pg-conf allow {role} --from {address} | pg-cluster reload");
        let tried_without = said.contains("no encryption") && target.sslmode == SslMode::Disable;
        return Some(if tried_without { format!("{}; or {allow}", hints::WITH_TLS) } else { allow });
    }
    if said.contains("rejects replication connection") {
        return Some("on the primary: pg-conf rules, and look for the reject rule".into());
    }
    if let Some(setting) = exhausted(said) {
        return Some(format!(
            "on the primary: pg-conf get {setting}, and with a larger N: pg-conf set {setting}=N | pg-cluster restart"
        ));
    }
    let is_unknown = said.contains("role \"") && said.contains("does not exist");
    let may_not = said.contains("start WAL sender") || said.contains("start walsender");
    (is_unknown || may_not).then(|| format!("on the primary: pg-role ensure {role}"))
}

/// Whoever refuses a connection is up as a host, so it is the server that is down, or listens elsewhere.
fn about_the_way(said: &str, target: &Target) -> String {
    let (host, port) = (&target.host, target.port);
    let ready = format!("pg_isready -h {host} -p {port}");
    if !said.contains("Connection refused") || target.is_here() {
        return format!("is it up, and does it listen there? {ready}");
    }
    format!(
        "is it up, and does it listen there? {ready}; on {host}: pg-cluster list; and if it listens on localhost only: \
         pg-conf set listen_addresses='*' | pg-cluster restart"
    )
}

/// The setting that limits what the primary has no more of.
pub(super) fn exhausted(said: &str) -> Option<&'static str> {
    let words = [
        ("max_wal_senders", "max_wal_senders"),
        ("max_replication_slots", "max_replication_slots"),
        ("all replication slots are in use", "max_replication_slots"),
        ("too many clients", "max_connections"),
        ("remaining connection slots", "max_connections"),
    ];
    words.iter().find(|(words, _)| said.contains(words)).map(|(_, setting)| *setting)
}

pub(crate) fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?.1.split_once(end).map(|(inner, _)| inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{ConnectionArguments, Defaults};

    fn target(conninfo: &str) -> Target {
        let arguments = ConnectionArguments { conninfo: Some(conninfo.into()), ..ConnectionArguments::default() };
        let defaults = Defaults { home: Some("/home/pg".into()), ..Defaults::default() };
        arguments.resolve_in(&defaults, &|_| None).expect("a target")
    }

    #[test]
    fn a_missing_root_certificate_is_no_missing_role() {
        let said = "connection to server at \"db1\", port 5432 failed: root certificate file \
            \"/home/pg/.postgresql/root.crt\" does not exist\nEither provide the file, or change sslmode";
        let target = target("host=db1 user=replicator sslmode=verify-full");
        let hint = about_tls(said, &target).expect("a hint");
        assert!(hint.contains("/home/pg/.postgresql/root.crt") && hint.contains("sslrootcert="), "{hint}");
        assert_eq!(about_the_role(said, &target), None);
        let role = "FATAL:  role \"replicator\" does not exist";
        assert_eq!(about_the_role(role, &target).as_deref(), Some("on the primary: pg-role ensure replicator"));
    }

    #[test]
    fn another_authority_and_another_name_are_told_apart() {
        let target = target("host=db1 user=replicator sslmode=verify-full");
        let authority = about_tls("failed: SSL error: certificate verify failed", &target).expect("a hint");
        assert!(authority.contains("root.crt") && authority.contains("openssl s_client"), "{authority}");
        let name = "server certificate for \"db1\" does not match host name \"192.0.2.7\"";
        let name = about_tls(name, &target).expect("a hint");
        assert!(name.contains("verify-ca"), "{name}");
    }

    #[test]
    fn a_login_without_tls_that_no_rule_lets_in_is_first_told_of_tls() {
        let said = "FATAL:  no pg_hba.conf entry for replication connection from host \"192.0.2.7\", user \"r\", no encryption";
        let hint = about_the_role(said, &target("host=db1 user=r sslmode=disable")).expect("a hint");
        assert!(hint.starts_with("with TLS: sslmode=require; or on the primary: pg-conf allow r"), "{hint}");
        let hint = about_the_role(said, &target("host=db1 user=r sslmode=prefer")).expect("a hint");
        assert!(hint.starts_with("on the primary: pg-conf allow r --from 192.0.2.7"), "{hint}");
    }

    #[test]
    fn a_refused_connection_is_told_what_makes_a_server_listen() {
        let away = about_the_way("Connection refused", &target("host=db1 user=r"));
        assert!(away.contains("on db1:") && away.contains("listen_addresses='*'"), "{away}");
        assert!(!about_the_way("timeout expired", &target("host=db1 user=r")).contains("listen_addresses"));
    }
}
