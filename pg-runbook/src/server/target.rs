//! One server to connect to, with everything decided.
//!
//! What must always hold: nothing that is shown of it or handed to another program holds the password.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::parameters::quote_value;
use crate::{Failure, Secret};

/// A host and a port: `db1:5432`, `[::1]:5432`.
#[must_use]
pub fn place(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// How far TLS is wanted and whom it must prove the server to be, by libpq's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    /// Never.
    Disable,
    /// Where the server won't have it otherwise.
    Allow,
    /// Where the server can.
    #[default]
    Prefer,
    /// Always, to anyone; where there is a root certificate, as `verify-ca`.
    Require,
    /// To one whose certificate a known authority signed.
    VerifyCa,
    /// And whose certificate names this host.
    VerifyFull,
}

/// Each mode and its name.
const SSL_MODES: [(&str, SslMode); 6] = [
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

impl SslMode {
    /// By libpq's name.
    pub fn parse(name: &str) -> Result<Self, Failure> {
        let found = SSL_MODES.iter().find(|(known, _)| *known == name);
        found.map(|(_, mode)| *mode).ok_or_else(|| {
            let known = Self::names().join(", ");
            Failure::usage(format!("there is no sslmode {name:?}")).because(format!("it is one of {known}"))
        })
    }

    /// All names, from the weakest to the strongest.
    #[must_use]
    pub fn names() -> [&'static str; 6] {
        SSL_MODES.map(|(name, _)| name)
    }

    /// libpq's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        SSL_MODES.iter().find(|(_, mode)| *mode == self).map_or("prefer", |(name, _)| name)
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether SCRAM must be bound to the TLS connection it runs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelBinding {
    /// No.
    Disable,
    /// Where it can be.
    #[default]
    Prefer,
    /// Yes.
    Require,
}

/// Which kind of server it must turn out to be (`target_session_attrs`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionAttributes {
    /// Any.
    #[default]
    Any,
    /// One that takes writes.
    ReadWrite,
    /// One that doesn't.
    ReadOnly,
    /// One that isn't in recovery.
    Primary,
    /// One that is.
    Standby,
}

/// See [`Target::is_here`].
pub(super) fn is_here(host: &str, hostaddr: Option<IpAddr>) -> bool {
    match hostaddr.or_else(|| host.parse().ok()) {
        Some(address) => address.is_loopback(),
        None => host.starts_with('/') || host == "localhost",
    }
}

/// When libpq notices that a peer has gone silent, by its names.
pub const KEEPALIVES: [&str; 4] = ["keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"];

/// One server, database and role, and how to reach them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// A host name, an address, or the directory of a socket.
    pub host: String,
    /// The address to connect to, where it isn't to be looked up; `host` is then only a name.
    pub hostaddr: Option<IpAddr>,
    /// The port, which is also part of a socket's name.
    pub port: u16,
    /// The role.
    pub user: String,
    /// The database.
    pub dbname: String,
    /// From PGPASSWORD or a service; without one the password file is asked.
    pub password: Option<Secret>,
    /// The password file; none where there is no home to look in.
    pub passfile: Option<PathBuf>,
    /// TLS or not.
    pub sslmode: SslMode,
    /// The authorities' certificates, or `system`; none is `~/.postgresql/root.crt`.
    pub sslrootcert: Option<PathBuf>,
    /// The client's certificate; none is `~/.postgresql/postgresql.crt`.
    pub sslcert: Option<PathBuf>,
    /// Its key; none is `~/.postgresql/postgresql.key`.
    pub sslkey: Option<PathBuf>,
    /// Up to the end of the login; none waits for ever.
    pub connect_timeout: Option<Duration>,
    /// Of [`KEEPALIVES`], what the user said; it is libpq's own business, and matters where a connection is long.
    pub keepalives: Vec<(&'static str, String)>,
    /// What the user called it.
    pub application_name: Option<String>,
    /// What the server sees where the user didn't: the tool's name.
    pub fallback_application_name: String,
    /// Settings for the session (`-c name=value`).
    pub options: Option<String>,
    /// `channel_binding`.
    pub channel_binding: ChannelBinding,
    /// `target_session_attrs`.
    pub session_attributes: SessionAttributes,
    /// Where `.postgresql` is.
    pub home: Option<PathBuf>,
}

impl Target {
    /// Whether it is reached by a socket in the file system.
    #[must_use]
    pub fn is_socket(&self) -> bool {
        self.hostaddr.is_none() && self.host.starts_with('/')
    }

    /// The file of the authorities that are believed: the one named, or libpq's default; none where there is no home.
    #[must_use]
    pub fn root_certificate(&self) -> Option<PathBuf> {
        self.sslrootcert.clone().or_else(|| Some(self.home.as_ref()?.join(".postgresql/root.crt")))
    }

    /// Whether it is on this host for certain: a socket, or a loopback address.
    #[must_use]
    pub fn is_here(&self) -> bool {
        is_here(&self.host, self.hostaddr)
    }

    /// `db1:5432`, `[::1]:5432`, or the socket's path.
    #[must_use]
    pub fn address(&self) -> String {
        match self.hostaddr {
            None if self.is_socket() => format!("{}/.s.PGSQL.{}", self.host.trim_end_matches('/'), self.port),
            Some(address) if self.host != address.to_string() => format!("{} ({address}):{}", self.host, self.port),
            _ => place(&self.host, self.port),
        }
    }

    /// The parameters by libpq's names, for a program that connects by libpq; never the password, and nothing that
    /// libpq takes for granted anyway.
    #[must_use]
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let binding = match self.channel_binding {
            ChannelBinding::Disable => Some("disable".to_owned()),
            ChannelBinding::Prefer => None,
            ChannelBinding::Require => Some("require".to_owned()),
        };
        let attributes = match self.session_attributes {
            SessionAttributes::Any => None,
            SessionAttributes::ReadWrite => Some("read-write".to_owned()),
            SessionAttributes::ReadOnly => Some("read-only".to_owned()),
            SessionAttributes::Primary => Some("primary".to_owned()),
            SessionAttributes::Standby => Some("standby".to_owned()),
        };
        let all = [
            ("host", Some(self.host.clone())),
            ("hostaddr", self.hostaddr.map(|address| address.to_string())),
            ("port", Some(self.port.to_string())),
            ("user", Some(self.user.clone())),
            ("dbname", Some(self.dbname.clone())),
            ("passfile", path(&self.passfile)),
            ("sslmode", Some(self.sslmode.to_string())),
            ("sslrootcert", path(&self.sslrootcert)),
            ("sslcert", path(&self.sslcert)),
            ("sslkey", path(&self.sslkey)),
            ("connect_timeout", self.connect_timeout.map(|timeout| timeout.as_secs().to_string())),
            ("application_name", self.application_name.clone()),
            ("options", self.options.clone()),
            ("channel_binding", binding),
            ("target_session_attrs", attributes),
        ];
        let said = all.into_iter().filter_map(|(key, value)| value.map(|value| (key, value)));
        said.chain(self.keepalives.iter().cloned()).collect()
    }

    /// [`Target::parameters`] as one `key=value` string.
    #[must_use]
    pub fn conninfo(&self) -> String {
        let pairs = self.parameters().into_iter().map(|(key, value)| format!("{key}={}", quote_value(&value)));
        pairs.collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "database {:?} on {} as {:?}", self.dbname, self.address(), self.user)
    }
}
