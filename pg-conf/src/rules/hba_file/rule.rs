//! One rule of `pg_hba.conf`: reading its columns, and writing a new one.
//!
//! What must always hold: what the server would refuse for its shape is no rule here, with the server's reason. Whether
//! a build knows a method or an option, only the server can say.

use std::fmt::{self, Display};

use pg_runbook::Failure;

use super::address::{self, Address, Column};
use super::tokens::LogicalLine;
use super::word::Word;
use super::{Expand, IncludeKind, Record};

/// The kind of connection that a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `local`: the Unix socket.
    Local,
    /// `host`: TCP, encrypted or not.
    Host,
    /// `hostssl`
    HostSsl,
    /// `hostnossl`
    HostNoSsl,
    /// `hostgssenc` (12 and later)
    HostGssEnc,
    /// `hostnogssenc` (12 and later)
    HostNoGssEnc,
}

/// Whom to let in, from where, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The first of its lines, from 1.
    pub line: usize,
    /// The kind of connection.
    pub kind: Kind,
    /// One or more.
    pub databases: Vec<Word>,
    /// One or more.
    pub users: Vec<Word>,
    /// Nothing for the Unix socket.
    pub address: Option<Address>,
    /// `scram-sha-256`, `reject`, …
    pub method: String,
    /// `name=value`, as they stand there.
    pub options: Vec<String>,
    /// The line as the server reads it, continuations joined.
    pub raw: String,
    pub(super) major: u32,
}

const KINDS: [(&str, Kind); 6] = [
    ("local", Kind::Local),
    ("host", Kind::Host),
    ("hostssl", Kind::HostSsl),
    ("hostnossl", Kind::HostNoSsl),
    ("hostgssenc", Kind::HostGssEnc),
    ("hostnogssenc", Kind::HostNoGssEnc),
];

/// The methods that every version knows.
pub const METHODS: [&str; 14] = [
    "trust",
    "reject",
    "scram-sha-256",
    "md5",
    "password",
    "peer",
    "ident",
    "cert",
    "gss",
    "sspi",
    "pam",
    "bsd",
    "ldap",
    "radius",
];

impl Kind {
    /// All names.
    #[must_use]
    pub fn names() -> [&'static str; 6] {
        KINDS.map(|(name, _)| name)
    }

    /// The kind of this name, which is case-sensitive.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = KINDS.iter().find(|(_, kind)| kind == self).map_or("", |(name, _)| name);
        f.pad(name)
    }
}

/// A rule in the columns of Debian's sample. The words say themselves whether they are keywords or names.
pub fn format_rule(
    kind: Kind,
    database: &Word,
    role: &Word,
    address: Option<&str>,
    method: &str,
) -> Result<String, Failure> {
    let (database, role, address) = (database.to_string(), role.to_string(), address.unwrap_or_default());
    let line = format!("{kind:<7} {database:<15} {role:<15} {address:<23} {method}");
    let breaks = line.contains(['\n', '\r', '\0']) || address.contains([' ', ',', '#']) || line.ends_with('\\');
    if breaks {
        return Err(Failure::usage(format!("{line:?} can't be a rule of pg_hba.conf")));
    }
    Ok(line)
}

/// What a line says; nothing for blanks and comments.
pub(super) fn read(line: &LogicalLine, major: u32) -> Option<Record> {
    read_fields(line, &line.fields(), major)
}

/// The same with the names that `@files` stand for in their places, as the server does it: before it looks for columns.
pub(super) fn read_expanded(line: &LogicalLine, major: u32, expand: Expand<'_>) -> Option<Record> {
    let mut fields = Vec::new();
    for field in line.fields() {
        let mut words = Vec::new();
        for word in field {
            match word.file().map(&mut *expand) {
                None => words.push(word),
                Some(Ok(named)) => words.extend(named),
                Some(Err(reason)) => return Some(invalid(line, reason)),
            }
        }
        // An empty list is no column at all.
        if !words.is_empty() {
            fields.push(words);
        }
    }
    read_fields(line, &fields, major)
}

fn invalid(line: &LogicalLine, reason: String) -> Record {
    Record::Invalid { line: line.first_line, reason, raw: String::from_utf8_lossy(&line.text).into_owned() }
}

fn read_fields(line: &LogicalLine, fields: &[Vec<Word>], major: u32) -> Option<Record> {
    let first = fields.first()?;
    if let (Some(kind), [_, path]) = (IncludeKind::of(&first[0], major), fields) {
        return Some(Record::Include { line: line.first_line, kind, path: path[0].text.clone().into() });
    }
    let rule = if line.text.contains(&0) { Err("the line holds a NUL".into()) } else { columns(fields, major) };
    Some(match rule {
        Ok(rule) => {
            let raw = String::from_utf8_lossy(&line.text).into_owned();
            Record::Rule(Rule { line: line.first_line, raw, ..rule })
        }
        Err(reason) => invalid(line, reason),
    })
}

impl IncludeKind {
    /// The directive that a line's first word is, from 16 on.
    #[must_use]
    pub fn of(word: &Word, major: u32) -> Option<Self> {
        match word.text.as_str() {
            _ if major < 16 => None,
            "include" => Some(Self::File),
            "include_if_exists" => Some(Self::FileIfExists),
            "include_dir" => Some(Self::Directory),
            _ => None,
        }
    }
}

fn columns(fields: &[Vec<Word>], major: u32) -> Result<Rule, String> {
    let mut fields = fields.iter();
    let kind = single(fields.next(), "end-of-line before connection type", "connection type")?;
    let known = Kind::named(&kind.text).filter(|kind| major >= 12 || !is_gss(*kind));
    let kind = known.ok_or_else(|| format!("invalid connection type \"{}\"", kind.text))?;
    let databases = fields.next().ok_or("end-of-line before database specification")?.clone();
    let users = fields.next().ok_or("end-of-line before role specification")?.clone();
    let address = if kind == Kind::Local { None } else { Some(read_address(&mut fields)?) };
    let method = single(fields.next(), "end-of-line before authentication method", "authentication type")?;
    let method = checked_method(kind, &method.text, major)?;
    let options = fields.flatten().map(checked_option).collect::<Result<_, _>>()?;
    Ok(Rule { line: 0, kind, databases, users, address, method, options, raw: String::new(), major })
}

fn read_address<'a>(fields: &mut impl Iterator<Item = &'a Vec<Word>>) -> Result<Address, String> {
    let word = single(fields.next(), "end-of-line before IP address specification", "host address")?;
    match address::read(word)? {
        Column::Complete(address) => Ok(address),
        Column::NeedsMask(address) => {
            let mask = single(fields.next(), "end-of-line before netmask specification", "netmask")?;
            address::with_mask(address, mask)
        }
    }
}

fn single<'a>(field: Option<&'a Vec<Word>>, missing: &str, what: &str) -> Result<&'a Word, String> {
    match field.ok_or(missing)?.as_slice() {
        [word] if word.file().is_some() => Err(format!("{what} is read from file \"{}\"", word.text)),
        [word] => Ok(word),
        _ => Err(format!("multiple values specified for {what}")),
    }
}

fn checked_method(kind: Kind, method: &str, major: u32) -> Result<String, String> {
    let known = METHODS.contains(&method) || (method == "oauth" && major >= 18);
    if !known {
        return Err(format!("invalid authentication method \"{method}\""));
    }
    match (kind, method) {
        // The server does so, for old times' sake.
        (Kind::Local, "ident") => Ok("peer".into()),
        (Kind::Local, "gss") => Err("gssapi authentication is not supported on local sockets".into()),
        (Kind::Local, _) if method != "cert" => Ok(method.into()),
        (_, "peer") => Err("peer authentication is only supported on local sockets".into()),
        (_, "cert") if kind != Kind::HostSsl => {
            Err("cert authentication is only supported on hostssl connections".into())
        }
        _ => Ok(method.into()),
    }
}

fn checked_option(word: &Word) -> Result<String, String> {
    match word.file() {
        None if !word.text.contains('=') => {
            Err(format!("authentication option not in name=value format: {}", word.text))
        }
        _ => Ok(word.text.clone()),
    }
}

fn is_gss(kind: Kind) -> bool {
    matches!(kind, Kind::HostGssEnc | Kind::HostNoGssEnc)
}
