//! From what the user typed, the environment and what is known of the local cluster, to one [`Target`].
//!
//! What must always hold: libpq's order of precedence (arguments, service, environment, defaults), and a cluster that
//! was named explicitly is never left for the one that the environment points at.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::parameters::{Parameters, Source};
use super::service_file;
use super::target::{ChannelBinding, KEEPALIVES, SessionAttributes, SslMode, Target, is_here};
use crate::passfile::DEFAULT_SOCKET_DIRECTORY;
use crate::{Cluster, Failure, completion};

const PLACE: [&str; 3] = ["host", "hostaddr", "port"];
const DEFAULT_PORT: u16 = 5432;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where to connect to, as with psql.
///
/// A command that takes these must give up clap's own `-h`: help is `-?`.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Connection options")]
pub struct ConnectionArguments {
    /// Server host or socket directory
    #[arg(short = 'h', long, value_name = "HOST")]
    pub host: Option<String>,
    /// Server port
    #[arg(short = 'p', long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Database user name
    #[arg(short = 'U', long, value_name = "NAME", add = completion::of(completion::roles))]
    pub username: Option<String>,
    /// Database name, or a connection string
    #[arg(short = 'd', long, value_name = "DBNAME", add = completion::of(completion::databases))]
    pub dbname: Option<String>,
    /// Connection string or URI
    ///
    /// It overrides the options above where they conflict.
    #[arg(hide_short_help = true, long, value_name = "CONNSTR")]
    pub conninfo: Option<String>,
}

/// What the caller knows of the local cluster; used where nobody says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Where the cluster's socket is.
    pub socket_directory: Option<PathBuf>,
    /// Its port: for its socket and for loopback addresses, never for another host.
    pub port: Option<u16>,
    /// The role; none is the name of the user that runs the tool.
    pub user: Option<String>,
    /// The database; none is the role's name.
    pub dbname: Option<String>,
    /// Where `.pgpass`, `.pg_service.conf` and `.postgresql` are; none is HOME.
    pub home: Option<PathBuf>,
    /// The name the server sees; none is `pg-runbook`.
    pub application_name: Option<String>,
    /// The user named this cluster: PGHOST, PGHOSTADDR, PGPORT and the place that PGSERVICE names give way.
    pub beats_environment: bool,
}

impl Defaults {
    /// A cluster's own server, as its superuser.
    pub fn of_cluster(cluster: &Cluster, tool: &str) -> Result<Self, Failure> {
        let owner = cluster.owner()?;
        Ok(Self {
            socket_directory: cluster.socket_directory.clone(),
            port: Some(cluster.port),
            user: Some(owner.name),
            dbname: Some("postgres".into()),
            home: Some(owner.home),
            application_name: Some(tool.into()),
            beats_environment: true,
        })
    }

    /// A server that is named, wherever it is.
    #[must_use]
    pub fn of_named_server(tool: &str) -> Self {
        Self { dbname: Some("postgres".into()), application_name: Some(tool.into()), ..Self::default() }
    }
}

impl ConnectionArguments {
    /// Whether they name a server: by host, connection string or service.
    #[must_use]
    pub fn names_a_server(&self) -> bool {
        let is_conninfo = |text: &String| text.contains('=') || text.contains("://");
        self.host.is_some() || self.conninfo.is_some() || self.dbname.as_ref().is_some_and(is_conninfo)
    }

    /// Whether the user said nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the connection string says any of these.
    pub fn conninfo_says(&self, keys: &[&str]) -> Result<bool, Failure> {
        let Some(text) = &self.conninfo else { return Ok(false) };
        let said = Parameters::parse(text, Source::Argument("--conninfo"))?;
        Ok(keys.iter().any(|key| said.get(key).is_some()))
    }

    /// Decides every parameter, with this process's environment.
    pub fn resolve(&self, defaults: &Defaults) -> Result<Target, Failure> {
        self.resolve_in(defaults, &|name| std::env::var(name).ok())
    }

    /// The same with a given environment.
    pub fn resolve_in(
        &self,
        defaults: &Defaults,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Target, Failure> {
        let home = home(defaults, environment);
        let mut said = self.parameters()?;
        let mut variables = Parameters::from_environment(environment)?;
        if let Some(service) = said.get("service").or(variables.get("service")).map(str::to_owned) {
            let mut parameters = service_file::find(&service, home.as_deref(), environment)?;
            if said.get("service").is_none() && defaults.beats_environment {
                parameters.forget(&PLACE);
            }
            said.underlay(parameters);
        }
        if defaults.beats_environment {
            variables.forget(&PLACE);
        }
        said.underlay(variables);
        target(said, defaults, home)
    }

    /// What the user typed; a connection string wins over the options, as with psql and `pg_basebackup`.
    fn parameters(&self) -> Result<Parameters, Failure> {
        let mut parameters = Parameters::default();
        let port = self.port.map(|port| port.to_string());
        let options =
            [("--host", "host", &self.host), ("--port", "port", &port), ("--username", "user", &self.username)];
        for (option, key, value) in options {
            if let Some(value) = value {
                parameters.set(key, value.clone(), Source::Argument(option))?;
            }
        }
        match &self.dbname {
            Some(text) if Parameters::looks_like_conninfo(text) => {
                parameters.overlay(Parameters::parse(text, Source::Argument("--dbname"))?);
            }
            Some(name) => parameters.set("dbname", name.clone(), Source::Argument("--dbname"))?,
            None => {}
        }
        if let Some(text) = &self.conninfo {
            parameters.overlay(Parameters::parse(text, Source::Argument("--conninfo"))?);
        }
        Ok(parameters)
    }
}

fn home(defaults: &Defaults, environment: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let given = defaults.home.clone();
    let named = given.or_else(|| environment("HOME").filter(|home| !home.is_empty()).map(PathBuf::from));
    named.or_else(|| current_user().map(|user| user.dir))
}

fn current_user() -> Option<nix::unistd::User> {
    nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten()
}

fn target(said: Parameters, defaults: &Defaults, home: Option<PathBuf>) -> Result<Target, Failure> {
    let text = |key: &str| said.get(key).map(str::to_owned);
    let path = |key: &str| said.get(key).map(PathBuf::from);
    let (host, hostaddr) = place(&said, defaults)?;
    let user = text("user").or_else(|| defaults.user.clone()).or_else(|| current_user().map(|user| user.name));
    let user = user.ok_or_else(|| Failure::usage("this user has no name; say which role with --username"))?;
    let sslrootcert = path("sslrootcert");
    Ok(Target {
        port: port(&said, defaults, &host, hostaddr)?,
        dbname: text("dbname").or_else(|| defaults.dbname.clone()).unwrap_or_else(|| user.clone()),
        passfile: path("passfile").or_else(|| home.as_ref().map(|home| home.join(".pgpass"))),
        sslmode: sslmode(said.get("sslmode"), sslrootcert.as_deref())?,
        sslcert: path("sslcert"),
        sslkey: path("sslkey"),
        connect_timeout: connect_timeout(said.get("connect_timeout"))?,
        keepalives: KEEPALIVES.iter().filter_map(|key| Some((*key, text(key)?))).collect(),
        application_name: text("application_name"),
        fallback_application_name: text("fallback_application_name")
            .or_else(|| defaults.application_name.clone())
            .unwrap_or_else(|| "pg-runbook".into()),
        options: text("options"),
        channel_binding: channel_binding(said.get("channel_binding"))?,
        session_attributes: session_attributes(said.get("target_session_attrs"))?,
        password: said.password,
        host,
        hostaddr,
        user,
        sslrootcert,
        home,
    })
}

fn place(said: &Parameters, defaults: &Defaults) -> Result<(String, Option<IpAddr>), Failure> {
    for key in PLACE {
        if let Some(several) = said.get(key).filter(|value| value.contains(',')) {
            return Err(Failure::usage(format!("{key} {several:?} names several servers; name one")));
        }
    }
    let hostaddr = said.get("hostaddr").map(|address| {
        address.parse().map_err(|_| Failure::usage(format!("hostaddr {address:?} is not an IP address")))
    });
    let hostaddr: Option<IpAddr> = hostaddr.transpose()?;
    let host = match (said.get("host"), hostaddr) {
        (Some(host), _) if host.starts_with('@') => {
            return Err(Failure::usage(format!("host {host:?} is an abstract socket, which these tools can't reach")));
        }
        (Some(host), _) => host.to_owned(),
        (None, Some(address)) => address.to_string(),
        (None, None) => {
            defaults.socket_directory.clone().unwrap_or_else(default_socket_directory).display().to_string()
        }
    };
    Ok((host, hostaddr))
}

/// The packages' directory; that of a libpq built from unchanged sources where there is no such directory.
fn default_socket_directory() -> PathBuf {
    let packaged = PathBuf::from(DEFAULT_SOCKET_DIRECTORY);
    if packaged.is_dir() { packaged } else { PathBuf::from("/tmp") }
}

fn port(said: &Parameters, defaults: &Defaults, host: &str, hostaddr: Option<IpAddr>) -> Result<u16, Failure> {
    let Some(port) = said.get("port") else {
        return Ok(defaults.port.filter(|_| is_here(host, hostaddr)).unwrap_or(DEFAULT_PORT));
    };
    let number = port.trim().parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| Failure::usage(format!("port {port:?} is not a number from 1 to 65535")))
}

fn sslmode(said: Option<&str>, sslrootcert: Option<&Path>) -> Result<SslMode, Failure> {
    let system = sslrootcert == Some(Path::new("system"));
    let default = if system { SslMode::VerifyFull } else { SslMode::default() };
    let mode = said.map_or(Ok(default), SslMode::parse)?;
    // Anyone can get a certificate from one of the system's authorities, for a host of theirs.
    if system && mode != SslMode::VerifyFull {
        return Err(Failure::usage(format!("sslmode {mode} is too weak for sslrootcert=system; use verify-full")));
    }
    Ok(mode)
}

fn connect_timeout(said: Option<&str>) -> Result<Option<Duration>, Failure> {
    let Some(text) = said else { return Ok(Some(DEFAULT_TIMEOUT)) };
    let seconds: i32 = text
        .trim()
        .parse()
        .map_err(|_| Failure::usage(format!("connect_timeout {text:?} is not a number of seconds")))?;
    Ok(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs))
}

fn channel_binding(said: Option<&str>) -> Result<ChannelBinding, Failure> {
    match said {
        None | Some("prefer") => Ok(ChannelBinding::Prefer),
        Some("disable") => Ok(ChannelBinding::Disable),
        Some("require") => Ok(ChannelBinding::Require),
        Some(other) => Err(Failure::usage(format!("there is no channel_binding {other:?}"))
            .because("it is one of disable, prefer, require")),
    }
}

fn session_attributes(said: Option<&str>) -> Result<SessionAttributes, Failure> {
    match said {
        // With one server there is no other to prefer.
        None | Some("any" | "prefer-standby") => Ok(SessionAttributes::Any),
        Some("read-write") => Ok(SessionAttributes::ReadWrite),
        Some("read-only") => Ok(SessionAttributes::ReadOnly),
        Some("primary") => Ok(SessionAttributes::Primary),
        Some("standby") => Ok(SessionAttributes::Standby),
        Some(other) => Err(Failure::usage(format!("there is no target_session_attrs {other:?}"))
            .because("it is one of any, read-write, read-only, primary, standby, prefer-standby")),
    }
}

#[cfg(test)]
mod tests;
