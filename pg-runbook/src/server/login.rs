//! From a target to a session: which password, which address, with TLS or without.
//!
//! What must always hold: as libpq does, a password file that others can read is ignored with a warning; each address
//! of a host has the whole timeout, and the next one is tried only where nobody answered; a weaker way of connecting is
//! tried only where the sslmode allows it.

use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::pin::pin;

use tokio::runtime::Runtime;
use tokio_postgres::config::SslMode as TlsUse;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::target::{ChannelBinding, SslMode, Target};
use super::{Driver, attended, explain, tls};
use crate::passfile::{Key, PassFile, permissions_problem};
use crate::{Attempt, Code, Failure, Secret};

/// A session, and what it runs on.
pub(super) struct Session {
    pub runtime: Runtime,
    pub client: Client,
    pub driver: Driver,
    /// Where it may be asked for by TLS.
    pub tls: Option<MakeRustlsConnect>,
    pub warnings: Vec<String>,
}

/// A password and, for failures, where it was found.
pub(super) struct Password {
    secret: Secret,
    /// Empty where the target brought it.
    pub origin: String,
}

/// How the bytes go over the wire.
#[derive(Clone, Copy)]
enum Way {
    Plain,
    Tls,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "without TLS",
            Self::Tls => "with TLS",
        }
    }
}

struct Login<'a> {
    target: &'a Target,
    password: Option<Password>,
    tls: Option<MakeRustlsConnect>,
}

pub(super) fn login(target: &Target) -> Result<Session, Failure> {
    let mut warnings = Vec::new();
    let login = Login {
        target,
        password: find_password(target, &mut warnings),
        tls: tls_unless_optional(target, &mut warnings)?,
    };
    let building = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = building.attempt(|| format!("prepare a connection to {}", target.address()))?;
    match runtime.block_on(login.any_address()) {
        Ok((client, driver)) => Ok(Session { runtime, client, driver, tls: login.tls, warnings }),
        Err(failure) => {
            // Dropping it would wait for a name server that doesn't answer.
            runtime.shutdown_background();
            // With the warning it is clear why there was no password.
            Err(warnings.into_iter().fold(failure, Failure::because))
        }
    }
}

/// TLS that is only preferred does without certificates that can't be read.
fn tls_unless_optional(target: &Target, warnings: &mut Vec<String>) -> Result<Option<MakeRustlsConnect>, Failure> {
    if target.is_socket() || target.sslmode == SslMode::Disable {
        return Ok(None);
    }
    match tls::connector(target) {
        Ok(connector) => Ok(Some(connector)),
        Err(failure) if target.sslmode <= SslMode::Prefer => {
            warnings.push(format!("no TLS to {}: {failure}", target.address()));
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

fn find_password(target: &Target, warnings: &mut Vec<String>) -> Option<Password> {
    if let Some(secret) = &target.password {
        return Some(Password { secret: secret.clone(), origin: String::new() });
    }
    let path = target.passfile.as_deref()?;
    let entry =
        read_passfile(path, warnings)?.find(&Key::new(&target.host, target.port, &target.dbname, &target.user))?;
    let origin = format!("line {} of the password file {:?}", entry.line, path.display());
    if entry.password.is_none() {
        warnings.push(format!("{origin} is ignored: its password is not UTF-8"));
    }
    Some(Password { secret: entry.password?, origin })
}

fn read_passfile(path: &Path, warnings: &mut Vec<String>) -> Option<PassFile> {
    let metadata = std::fs::metadata(path).ok()?;
    if let Some(problem) = permissions_problem(metadata.mode()) {
        warnings.push(format!("the password file {:?} is ignored: {problem}", path.display()));
        return None;
    }
    match std::fs::read(path) {
        Ok(bytes) => Some(PassFile::parse(&zeroize::Zeroizing::new(bytes))),
        Err(error) => {
            warnings.push(format!("the password file {:?} is ignored: {error}", path.display()));
            None
        }
    }
}

impl Login<'_> {
    async fn any_address(&self) -> Result<(Client, Driver), Failure> {
        let mut nobody_answered = None;
        for address in self.addresses().await? {
            match self.any_way(address).await {
                Err(failure) if failure.code == Code::GaveUp => nobody_answered = Some(failure),
                decided => return decided,
            }
        }
        Err(nobody_answered.unwrap_or_else(|| self.unreachable().because("its name stands for no address")))
    }

    async fn addresses(&self) -> Result<Vec<Option<IpAddr>>, Failure> {
        let target = self.target;
        if target.is_socket() || target.hostaddr.is_some() {
            return Ok(vec![target.hostaddr]);
        }
        let found = self.in_time(tokio::net::lookup_host((target.host.as_str(), target.port))).await?;
        let found = found.map_err(|error| self.unreachable().because(explain::plainly(&error.to_string())))?;
        Ok(found.map(|address| Some(address.ip())).collect())
    }

    /// With TLS and without, in the order of the sslmode; the first refusal is the one to be told.
    async fn any_way(&self, address: Option<IpAddr>) -> Result<(Client, Driver), Failure> {
        let ways: &[Way] = match (&self.tls, self.target.sslmode) {
            (None, _) => &[Way::Plain],
            (Some(_), SslMode::Allow) => &[Way::Plain, Way::Tls],
            (Some(_), SslMode::Prefer) => &[Way::Tls, Way::Plain],
            (Some(_), _) => &[Way::Tls],
        };
        let mut refusal: Option<Failure> = None;
        for way in ways {
            let error = match self.once(address, *way).await? {
                Ok(session) => return Ok(session),
                Err(error) => error,
            };
            let failure = explain::connection(&error, self.target, self.password.as_ref());
            refusal = Some(match refusal {
                None => failure,
                Some(first) if first.causes == failure.causes => first,
                Some(first) => first.because(format!("{}: {failure}", way.name())),
            });
            if !explain::may_take_another_way(&error, self.target) {
                break;
            }
        }
        Err(refusal.unwrap_or_else(|| self.unreachable()))
    }

    /// A timeout is the outer failure: trying another way would double it.
    async fn once(
        &self,
        address: Option<IpAddr>,
        way: Way,
    ) -> Result<Result<(Client, Driver), tokio_postgres::Error>, Failure> {
        let mut config = self.config(address);
        match (way, &self.tls) {
            (Way::Tls, Some(tls)) => {
                let optional = self.target.sslmode == SslMode::Prefer;
                config.ssl_mode(if optional { TlsUse::Prefer } else { TlsUse::Require });
                self.in_time(start(&config, tls.clone())).await
            }
            _ => self.in_time(start(config.ssl_mode(TlsUse::Disable), NoTls)).await,
        }
    }

    fn config(&self, address: Option<IpAddr>) -> Config {
        let target = self.target;
        let mut config = Config::new();
        config.host(&target.host).port(target.port).user(&target.user).dbname(&target.dbname);
        config.application_name(target.application_name.as_ref().unwrap_or(&target.fallback_application_name));
        config.channel_binding(match target.channel_binding {
            ChannelBinding::Disable => tokio_postgres::config::ChannelBinding::Disable,
            ChannelBinding::Prefer => tokio_postgres::config::ChannelBinding::Prefer,
            ChannelBinding::Require => tokio_postgres::config::ChannelBinding::Require,
        });
        if let Some(address) = address {
            config.hostaddr(address);
        }
        if let Some(options) = &target.options {
            config.options(options);
        }
        if let Some(password) = &self.password {
            config.password(password.secret.expose());
        }
        config
    }

    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, Failure> {
        let late =
            |limit| self.unreachable().because(format!("no answer within {}", humantime::format_duration(limit)));
        attended(pin!(work), self.target, self.target.connect_timeout, late).await
    }

    fn unreachable(&self) -> Failure {
        explain::unreachable(self.target)
    }
}

async fn start<T>(config: &Config, tls: T) -> Result<(Client, Driver), tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = config.connect(tls).await?;
    Ok((client, tokio::spawn(connection)))
}
