//! libpq's connection parameters, as text: `key=value` strings, URIs and `PG*` variables.
//!
//! What must always hold: what libpq would not take is a usage failure that names the word and never shows a value, for
//! a value may be a password; a password is kept apart from all else, and none is accepted in an argument. What libpq
//! knows and these tools would not honour is refused rather than ignored.
//!
//! The syntax is the manual's "Connection Strings" and `fe-connect.c`'s (`conninfo_parse`, `conninfo_uri_parse`).

use std::collections::BTreeMap;

use crate::{Failure, Secret};

/// What is honoured, and the variable that says it.
const HONOURED: [(&str, &str); 22] = [
    ("application_name", "PGAPPNAME"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("dbname", "PGDATABASE"),
    ("fallback_application_name", ""),
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("keepalives", ""),
    ("keepalives_count", ""),
    ("keepalives_idle", ""),
    ("keepalives_interval", ""),
    ("options", "PGOPTIONS"),
    ("passfile", "PGPASSFILE"),
    ("password", "PGPASSWORD"),
    ("port", "PGPORT"),
    ("service", "PGSERVICE"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("user", "PGUSER"),
];

/// What makes no difference to a connection that is asked a few things and closed.
const INDIFFERENT: [&str; 11] = [
    "client_encoding",
    "gssdelegation",
    "gsslib",
    "krbsrvname",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "sslcompression",
    "sslsni",
    "tcp_user_timeout",
    "tty",
];

/// What narrows whom to trust or how to speak, the variable that says it, and the values that ask for nothing.
const NOT_HONOURED: [(&str, &str, &[&str]); 14] = [
    ("gssencmode", "PGGSSENCMODE", &["disable", "prefer"]),
    ("oauth_client_id", "", &[]),
    ("oauth_client_secret", "", &[]),
    ("oauth_issuer", "", &[]),
    ("oauth_scope", "", &[]),
    ("replication", "", &["false", "off", "no", "0"]),
    ("require_auth", "PGREQUIREAUTH", &[]),
    ("requirepeer", "PGREQUIREPEER", &[]),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", &["TLSv1.3"]),
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", &["TLSv1", "TLSv1.1", "TLSv1.2"]),
    ("sslcertmode", "PGSSLCERTMODE", &["allow"]),
    ("sslcrl", "PGSSLCRL", &[]),
    ("sslcrldir", "PGSSLCRLDIR", &[]),
    ("sslnegotiation", "PGSSLNEGOTIATION", &["postgres"]),
];

/// What a secret is called, where one might be given.
const SECRETS: [&str; 4] = ["password", "scram_client_key", "scram_server_key", "sslpassword"];

/// Where parameters are read from: it is named in failures, and says whether a password may stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// The command line, which other users of the host can read.
    Argument(&'a str),
    /// A service file.
    File(&'a str),
    /// A variable of the environment.
    Variable(&'a str),
}

impl std::fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Argument(name) | Self::File(name) | Self::Variable(name)) = self;
        f.write_str(name)
    }
}

/// Parameters by libpq's names. An empty value is none, as with libpq.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    values: BTreeMap<&'static str, String>,
    /// From the environment or a service file.
    pub password: Option<Secret>,
}

impl Parameters {
    /// Reads a `key=value` string or a URI.
    pub fn parse(text: &str, source: Source<'_>) -> Result<Self, Failure> {
        let mut parameters = Self::default();
        match text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://")) {
            Some(rest) => super::uri::parse(rest, source, &mut parameters)?,
            None => parse_pairs(text, source, &mut parameters)?,
        }
        Ok(parameters)
    }

    /// Whether psql and `pg_basebackup` would take this database name for a connection string.
    #[must_use]
    pub fn looks_like_conninfo(text: &str) -> bool {
        text.contains('=') || text.starts_with("postgresql://") || text.starts_with("postgres://")
    }

    /// Reads the `PG*` variables.
    pub fn from_environment(environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let mut parameters = Self::default();
        let refused = NOT_HONOURED.iter().map(|(key, variable, _)| (*key, *variable));
        for (key, variable) in HONOURED.into_iter().chain(refused).filter(|(_, variable)| !variable.is_empty()) {
            if let Some(value) = environment(variable) {
                parameters.set(key, value, Source::Variable(variable))?;
            }
        }
        Ok(parameters)
    }

    /// One value.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Adds one parameter, or says why it can't be taken.
    pub fn set(&mut self, key: &str, value: String, source: Source<'_>) -> Result<(), Failure> {
        if SECRETS.contains(&key) {
            return self.set_secret(key, value, source);
        }
        if let Some((known, _)) = HONOURED.iter().find(|(known, _)| *known == key) {
            if value.is_empty() {
                self.values.remove(known);
            } else {
                self.values.insert(known, value);
            }
            return Ok(());
        }
        if INDIFFERENT.contains(&key) {
            return Ok(());
        }
        match NOT_HONOURED.iter().find(|(known, ..)| *known == key) {
            Some((.., harmless)) if value.is_empty() || harmless.contains(&value.as_str()) => Ok(()),
            Some(_) => Err(Failure::usage(format!("{source}: \"{key}\" is a parameter that these tools can't honour"))),
            None => Err(Failure::usage(format!("{source}: there is no connection parameter \"{key}\""))),
        }
    }

    fn set_secret(&mut self, key: &str, value: String, source: Source<'_>) -> Result<(), Failure> {
        let secret = Secret::new(value);
        if let Source::Argument(_) = source {
            return Err(secret_refused(key, source));
        }
        if key != "password" {
            return Err(Failure::usage(format!("{source}: \"{key}\" is a parameter that these tools can't honour")));
        }
        self.password = (!secret.expose().is_empty()).then_some(secret);
        Ok(())
    }

    /// Takes over what `other` says; what was said here before gives way.
    pub fn overlay(&mut self, other: Self) {
        self.values.extend(other.values);
        self.password = other.password.or(self.password.take());
    }

    /// Takes over what `other` says where nothing was said here.
    pub fn underlay(&mut self, other: Self) {
        for (key, value) in other.values {
            self.values.entry(key).or_insert(value);
        }
        self.password = self.password.take().or(other.password);
    }

    /// Forgets these.
    pub fn forget(&mut self, keys: &[&str]) {
        self.values.retain(|key, _| !keys.contains(key));
    }
}

/// A password in an argument can be read by all users of the host, and stays in the shell's history.
pub(super) fn secret_refused(key: &str, source: Source<'_>) -> Failure {
    Failure::usage(format!("{source}: a \"{key}\" is never taken as an argument"))
        .because("arguments can be read by every user of this host")
        .hint("leave it out, and give it by --password-file FILE, PGPASSWORD or ~/.pgpass (pg-pass set)")
}

fn parse_pairs(text: &str, source: Source<'_>, parameters: &mut Parameters) -> Result<(), Failure> {
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|letter: char| letter == '=' || letter.is_ascii_whitespace()).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let Some(after) = after.trim_start().strip_prefix('=') else {
            return Err(no_equals_sign(key, text, source));
        };
        // Before the value is read, so that no failure can be about a piece of a password.
        if let (true, Source::Argument(_)) = (SECRETS.contains(&key), source) {
            return Err(secret_refused(key, source));
        }
        let (value, after) = parse_value(after.trim_start(), key, source)?;
        parameters.set(key, value, source)?;
        rest = after.trim_start();
    }
    Ok(())
}

fn no_equals_sign(key: &str, text: &str, source: Source<'_>) -> Failure {
    // The rest of an unquoted value with a space in it looks like a key: show it only where it can't be that.
    if text.trim_start().starts_with(key) {
        Failure::usage(format!("{source}: \"=\" is missing after \"{key}\""))
    } else {
        Failure::usage(format!("{source}: \"=\" is missing in a key=value pair; a value with spaces needs quotes"))
    }
}

/// The value, unquoted and unescaped, and what comes after it.
fn parse_value<'a>(text: &'a str, key: &str, source: Source<'_>) -> Result<(String, &'a str), Failure> {
    let (quoted, text) = text.strip_prefix('\'').map_or((false, text), |text| (true, text));
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            letter if !quoted && letter.is_ascii_whitespace() => return Ok((value, &text[at..])),
            letter => value.push(letter),
        }
    }
    if quoted {
        return Err(Failure::usage(format!("{source}: the quoted value of \"{key}\" has no end")));
    }
    Ok((value, ""))
}

/// A value as it must stand after `key=`.
#[must_use]
pub fn quote_value(value: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "_-./:,@+*".contains(letter);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ARGUMENT: Source<'_> = Source::Argument("--conninfo");

    fn parsed(text: &str) -> BTreeMap<&'static str, String> {
        Parameters::parse(text, ARGUMENT).unwrap().values
    }

    #[test]
    fn reads_pairs_with_quotes_escapes_and_spaces_round_the_equals_sign() {
        let parameters = parsed(r"  host = db1 port=5433 dbname='it' user = 'o\'neil \\ x' options=a\ b");
        assert_eq!(parameters["host"], "db1");
        assert_eq!(parameters["port"], "5433");
        assert_eq!(parameters["user"], r"o'neil \ x");
        assert_eq!(parameters["options"], "a b");
    }

    #[test]
    fn takes_an_empty_value_for_none_and_the_last_of_two() {
        assert_eq!(parsed("host='' port=1 port=2"), BTreeMap::from([("port", "2".to_owned())]));
    }

    #[test]
    fn names_an_unknown_parameter() {
        let failure = Parameters::parse("hots=db1", ARGUMENT).unwrap_err();
        assert_eq!(failure.to_string(), "--conninfo: there is no connection parameter \"hots\"");
        assert_eq!(failure.code, crate::Code::Usage);
    }

    #[test]
    fn refuses_a_password_in_a_conninfo() {
        for text in ["password=sword fish", "host=a password = 'sword fish", "sslpassword=fish"] {
            let failure = Parameters::parse(text, ARGUMENT).unwrap_err();
            assert_eq!(failure.code, crate::Code::Usage);
            assert!(!failure.to_string().contains("fish"), "{failure}");
            assert!(failure.hint.unwrap().contains("--password-file"));
        }
    }

    #[test]
    fn shows_no_piece_of_a_value_where_an_equals_sign_is_missing() {
        let failure = Parameters::parse("host=a pass word", ARGUMENT).unwrap_err().to_string();
        assert!(!failure.contains("word") && failure.contains("needs quotes"), "{failure}");
        assert!(Parameters::parse("host", ARGUMENT).unwrap_err().to_string().contains("after \"host\""));
        assert!(Parameters::parse("host='a", ARGUMENT).unwrap_err().to_string().contains("no end"));
    }

    #[test]
    fn refuses_what_would_narrow_the_trust_and_is_not_honoured() {
        assert!(Parameters::parse("require_auth=scram-sha-256", ARGUMENT).is_err());
        assert!(Parameters::parse("sslcrl=/x", ARGUMENT).is_err());
        assert!(parsed("gssencmode=prefer sslsni=1 tcp_user_timeout=0 replication=false").is_empty());
    }

    #[test]
    fn reads_the_variables_and_keeps_the_password_apart() {
        let environment = |name: &str| match name {
            "PGHOST" => Some("db1".to_owned()),
            "PGPASSWORD" => Some("swordfish".to_owned()),
            "PGPORT" => Some(String::new()),
            _ => None,
        };
        let parameters = Parameters::from_environment(&environment).unwrap();
        assert_eq!(parameters.values, BTreeMap::from([("host", "db1".to_owned())]));
        assert_eq!(parameters.password.as_ref().map(Secret::expose), Some("swordfish"));
        assert!(!format!("{parameters:?}").contains("swordfish"));
    }

    #[test]
    fn quotes_what_needs_it() {
        assert_eq!(quote_value("db1.example.org"), "db1.example.org");
        assert_eq!(quote_value(""), "''");
        assert_eq!(quote_value(r"o'neil \"), r"'o\'neil \\'");
    }

    proptest! {
        #[test]
        fn reads_back_what_it_quotes(value in "[a '\\\\=\n\té]{1,12}") {
            let text = format!("host=x options={} port=1", quote_value(&value));
            let parameters = Parameters::parse(&text, ARGUMENT).unwrap();
            prop_assert_eq!(parameters.get("options"), Some(value.as_str()));
            prop_assert_eq!(parameters.get("port"), Some("1"));
        }
    }
}
