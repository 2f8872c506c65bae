//! What went wrong between here and the server, as a [`Failure`] with something to type.
//!
//! What must always hold: a server that may answer later is [`GaveUp`](crate::Code::GaveUp), a server that said no is
//! [`Failed`](crate::Code::Failed); the server's own words are kept, the statement is never shown.

use std::error::Error as _;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use super::login::Password;
use super::target::{SslMode, Target};
use super::{hints, shell};
use crate::Failure;

/// Nobody answers there, for a reason that the caller adds.
pub(super) fn unreachable(target: &Target) -> Failure {
    let failure = Failure::gave_up(format!("can't reach the server at {}", target.address()));
    if target.is_socket() {
        return failure.hint("pg-cluster status");
    }
    failure.hint(shell::command(["pg_isready", "-h", &target.host, "-p", &target.port.to_string()]))
}

/// It let us in, and says nothing: a disk that hangs, or a process that was stopped.
pub(super) fn silent(target: &Target, limit: Duration) -> Failure {
    let address = target.address();
    let failure = Failure::gave_up(format!("the server at {address} does not answer"))
        .because(format!("it let us in, and then said nothing for {}", humantime::format_duration(limit)));
    // A state D is one that waits for a disk, T one that somebody stopped.
    if target.is_here() { failure.hint("ps -C postgres -o pid,stat,wchan:24,args") } else { failure }
}

/// A login that did not come about.
pub(super) fn connection(error: &Error, target: &Target, password: Option<&Password>) -> Failure {
    if let Some(said) = error.as_db_error() {
        return refusal(said, target, password);
    }
    if let Some(tls) = tls_trouble(error, target) {
        return tls;
    }
    match error.to_string().as_str() {
        "invalid configuration" if password.is_none() => {
            let failure = Failure::failed(format!("the server at {} wants a password", target.address()));
            password_hint(failure.because(format!("there is none for {:?}", target.user)), target)
        }
        "invalid configuration" | "authentication error" => {
            causes(Failure::failed(format!("can't log in to {target}")), error)
        }
        _ => causes(unreachable(target), error),
    }
}

/// Whether libpq, too, would now try with TLS, or without.
pub(super) fn may_take_another_way(error: &Error, target: &Target) -> bool {
    error.code().is_some_and(|code| code.code() == "28000") || tls_trouble(error, target).is_some()
}

/// A statement that the server did not take.
pub(super) fn statement(error: &Error, target: &Target) -> Failure {
    let Some(said) = error.as_db_error() else {
        return causes(Failure::failed(format!("can't understand the answer of {}", target.address())), error);
    };
    let message = without_literal(said.message());
    let failure = match said.code().code() {
        code if is_passing(code) => Failure::gave_up(message),
        // Waited for, in vain: a lock, a timeout.
        "55P03" | "57014" => Failure::gave_up(message),
        _ => Failure::failed(message),
    };
    details(failure, said)
}

/// A connection that ended in the middle.
pub(super) fn lost(error: &Error, target: &Target) -> Failure {
    let failure = Failure::gave_up(format!("lost the connection to the server at {}", target.address()));
    match error.as_db_error() {
        Some(said) => details(failure.because(said.message()), said),
        None => causes(failure, error),
    }
}

/// Shutting down, starting up, crashed, or lost: it passes.
fn is_passing(code: &str) -> bool {
    matches!(code, "57P01" | "57P02" | "57P03") || code.starts_with("08")
}

fn refusal(said: &DbError, target: &Target, password: Option<&Password>) -> Failure {
    let code = said.code().code();
    let failure = match code {
        // Also when its connection slots are all taken.
        code if is_passing(code) || code == "53300" => {
            Failure::gave_up(format!("the server at {} takes no connections now", target.address()))
        }
        _ => Failure::failed(format!("the server at {} refuses {:?}", target.address(), target.user)),
    };
    let failure = details(failure.because(said.message()), said);
    match code {
        "28P01" => wrong_password(failure, target, password),
        "28000" => not_admitted(failure, said.message(), target),
        "3D000" => failure.hint("name a database that exists: --dbname postgres"),
        _ => failure,
    }
}

fn wrong_password(failure: Failure, target: &Target, password: Option<&Password>) -> Failure {
    match password {
        Some(password) if !password.origin.is_empty() => {
            password_hint(failure.because(format!("the password is that of {}", password.origin)), target)
        }
        _ => password_hint(failure, target),
    }
}

fn password_hint(failure: Failure, target: &Target) -> Failure {
    let port = target.port.to_string();
    let words = ["pg-pass", "set", "-h", &target.host, "-p", &port, "-U", &target.user, "--password-file", "FILE"];
    failure.hint(shell::command(words))
}

/// Told apart by words that the server's translations keep.
fn not_admitted(failure: Failure, message: &str, target: &Target) -> Failure {
    if message.contains("pg_hba.conf") {
        let address = message.split('"').find(|word| word.parse::<IpAddr>().is_ok());
        let kind = if target.is_socket() { ["--type", "local"] } else { ["--from", address.unwrap_or("ADDRESS")] };
        let words = ["pg-conf", "allow", &target.user, kind[0], kind[1], "--database", &target.dbname];
        let allow = on_its_host(target, &shell::command(words));
        let tried_without =
            target.sslmode == SslMode::Disable && !target.is_socket() && message.contains("no encryption");
        return failure.hint(if tried_without { format!("{}; or {allow}", hints::WITH_TLS) } else { allow });
    }
    if message.to_lowercase().contains("peer") {
        let arguments = std::env::args().collect::<Vec<_>>();
        let words = ["sudo".to_owned(), "-u".to_owned(), admitted_user(target)].into_iter().chain(arguments);
        return failure.hint(shell::command(words));
    }
    if message.contains(&format!("{:?}", target.user)) && !message.to_lowercase().contains("certificate") {
        return failure.hint(on_its_host(target, &shell::command(["pg-role", "ensure", &target.user])));
    }
    failure
}

fn on_its_host(target: &Target, command: &str) -> String {
    if target.is_here() { command.to_owned() } else { format!("on {}: {command}", target.host) }
}

/// Peer lets the user in who is called like the role; where there is no such user, the server's owner knows more.
fn admitted_user(target: &Target) -> String {
    if let Ok(Some(user)) = nix::unistd::User::from_name(&target.user) {
        return user.name;
    }
    let socket = std::fs::metadata(target.address()).ok();
    let owner = socket.and_then(|socket| nix::unistd::User::from_uid(socket.uid().into()).ok().flatten());
    owner.map_or_else(|| "postgres".into(), |owner| owner.name)
}

fn tls_trouble(error: &Error, target: &Target) -> Option<Failure> {
    let mut source = error.source();
    let mut cause = None;
    while let Some(inner) = source {
        let hidden = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = cause.or(inner.downcast_ref::<rustls::Error>());
        cause = cause.or(hidden.and_then(|inner| inner.downcast_ref::<rustls::Error>()));
        source = inner.source();
    }
    let failure = Failure::failed(format!("can't agree on TLS with the server at {}", target.address()));
    match cause {
        Some(cause) => Some(super::tls::explain(failure.because(cause), cause, target)),
        None if error.to_string().contains("TLS") => {
            let failure = causes(failure, error);
            let has_none = failure.causes.iter().any(|cause| cause.contains("does not support TLS"));
            Some(if has_none { failure.hint(hints::no_tls(target)) } else { failure })
        }
        None => None,
    }
}

fn details(failure: Failure, said: &DbError) -> Failure {
    let failure = failure.because(format!("SQLSTATE {}", said.code().code()));
    let rest = [("DETAIL", said.detail()), ("HINT", said.hint())];
    rest.into_iter().fold(failure, |failure, (name, text)| match text {
        Some(text) => failure.because(format!("{name}: {text}")),
        None => failure,
    })
}

fn causes(mut failure: Failure, error: &Error) -> Failure {
    let mut source = error.source();
    // Where there is more to say, the driver's own words only repeat that it went wrong.
    if source.is_none() {
        failure = failure.because(error);
    }
    while let Some(cause) = source {
        failure = failure.because(plainly(&cause.to_string()));
        source = cause.source();
    }
    failure
}

/// `connection refused`, for `Connection refused (os error 111)`.
pub(super) fn plainly(text: &str) -> String {
    match text.split_once(" (os error ") {
        Some((said, _)) => said[..1].to_lowercase() + &said[1..],
        None => text.to_owned(),
    }
}

/// A syntax error quotes the word it stumbled on, and a quoted word can be a verifier.
fn without_literal(message: &str) -> String {
    match message.find(['\'', '$']) {
        Some(start) if message[..start].ends_with(['"', 'E', 'e', 'U', '&', '«', '„']) => {
            format!("{}…", &message[..start])
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_a_literal_that_a_syntax_error_quotes() {
        let told = "syntax error at or near \"'SCRAM-SHA-256$4096:c2FsdA==$a:b'\"";
        assert_eq!(without_literal(told), "syntax error at or near \"…");
        assert_eq!(without_literal("role \"o'neil\" does not exist"), "role \"o'neil\" does not exist");
    }
}
