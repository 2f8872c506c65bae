//! The primary, asked with the replication role alone.
//!
//! What must always hold: it is libpq itself that logs in (psql, with `replication=true`), so the password file and
//! the rule that are tried are the ones that the walreceiver will meet. (tokio-postgres has no replication mode.)

use crate::cluster::{programs, version};
use crate::document::Primary;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::server::{ConnectionArguments, Defaults, SslMode, Target};
use crate::service;
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::time::Duration;

mod explain;

pub(crate) use explain::between;
use explain::exhausted;

/// What a walsender is asked here takes it no time.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// How long a session that has ended may still be counted.
const FREED_WITHIN: Duration = Duration::from_secs(1);

/// A way to the primary's walsender.
#[derive(Clone, Debug)]
pub struct Walsender {
    target: Target,
    psql: PathBuf,
}

/// What `IDENTIFY_SYSTEM` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// In decimal digits.
    pub system_identifier: String,
    /// The timeline that it writes, or replays.
    pub timeline: u32,
    /// Its flush location.
    pub location: String,
}

/// Where a standby finds its primary: the command line first, then the document.
pub fn target(
    arguments: &ConnectionArguments,
    primary: Option<&Primary>,
    defaults: &Defaults,
) -> Result<Target, Failure> {
    let mut arguments = arguments.clone();
    // One that names no server only says how to get to the document's.
    let names_another = arguments.conninfo_says(&["host", "hostaddr", "service"])?;
    let says_sslmode = names_another || arguments.conninfo_says(&["sslmode"])?;
    if let Some(primary) = primary.filter(|_| !names_another) {
        arguments.host = arguments.host.or_else(|| primary.host.clone());
        arguments.port = arguments.port.or(primary.port);
        arguments.username = arguments.username.or_else(|| primary.username.clone());
    }
    if arguments.host.is_none()
        && arguments.conninfo.is_none()
        && std::env::var_os("PGHOST").is_none()
        && std::env::var_os("PGSERVICE").is_none()
    {
        return Err(Failure::usage("which server is the primary?")
            .because("neither the command line nor a document says it")
            .hint("-h HOST -p PORT -U ROLE; or on the primary: … | pg-cluster advertise --host HOST"));
    }
    let names_a_role = arguments.username.is_some()
        || arguments.conninfo.is_some()
        || ["PGUSER", "PGSERVICE"].iter().any(|name| std::env::var_os(name).is_some());
    if !names_a_role {
        return Err(Failure::usage("which role replicates?")
            .because("neither the command line nor a document says it")
            .hint("-U ROLE; or on the primary: pg-cluster advertise --host HOST --role ROLE"));
    }
    let mut target = arguments.resolve(defaults)?;
    // The walreceiver looks its password up with this name, whatever database is named elsewhere.
    "replication".clone_into(&mut target.dbname);
    if let Some(primary) = primary {
        if let Some(file) = &primary.passfile {
            target.passfile = Some(file.clone());
        }
        if let Some(mode) = &primary.sslmode
            && !says_sslmode
            && std::env::var_os("PGSSLMODE").is_none()
        {
            target.sslmode = SslMode::parse(mode)?;
        }
    }
    Ok(target)
}

impl Walsender {
    /// `target` names the primary; its password comes from the password file only.
    pub fn new(target: Target) -> Result<Self, Failure> {
        let (psql, _) = programs::client("psql", 10)?;
        Ok(Self { target, psql })
    }

    /// Where it is.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Logs in and asks who is there.
    pub fn identify(&self) -> Result<Identity, Failure> {
        let said = self.ask(&["IDENTIFY_SYSTEM".into()])?;
        self.understand(&said)
    }

    fn understand(&self, said: &str) -> Result<Identity, Failure> {
        parse_identity(said).ok_or_else(|| {
            Failure::failed(format!("understand what {} says of itself", self.target.address())).because(said)
        })
    }

    /// The values of these settings, in the server's own words.
    pub fn show(&self, names: &[&str]) -> Result<Vec<String>, Failure> {
        let commands: Vec<String> = names.iter().map(|name| format!("SHOW {name}")).collect();
        Ok(self.ask(&commands)?.lines().map(str::to_owned).collect())
    }

    /// The primary as the document describes it: identity, major, and what a standby must not be below.
    pub fn describe(&self) -> Result<Primary, Failure> {
        let names = version::standby_bounds(version::NEWEST);
        let shows = names.iter().map(|name| format!("SHOW {name}"));
        let commands: Vec<String> =
            ["IDENTIFY_SYSTEM".to_owned(), "SHOW server_version_num".to_owned()].into_iter().chain(shows).collect();
        let said = self.ask(&commands)?;
        let identity = self.understand(&said)?;
        let mut values = said.lines().skip(1);
        let major = values.next().and_then(|text| text.parse::<u32>().ok()).unwrap_or_default() / 10000;
        let bounds = version::standby_bounds(major);
        let settings: Map<String, Value> = names
            .iter()
            .zip(values)
            .filter(|(name, _)| bounds.contains(name))
            .map(|(name, value)| ((*name).to_owned(), number(value)))
            .collect();
        Ok(Primary {
            host: Some(self.target.host.clone()),
            port: Some(self.target.port),
            username: Some(self.target.user.clone()),
            passfile: self.target.passfile.clone(),
            sslmode: Some(self.target.sslmode.to_string()),
            major: Some(major),
            system_identifier: Some(identity.system_identifier),
            timeline: Some(identity.timeline),
            settings,
            ..Primary::default()
        })
    }

    /// Whether a physical slot of this name is there; `None` where the server is too old to say.
    pub fn has_slot(&self, name: &str, major: u32) -> Result<Option<bool>, Failure> {
        if !version::reads_replication_slots(major) {
            return Ok(None);
        }
        let said = self.ask(&[format!("READ_REPLICATION_SLOT {name}")])?;
        Ok(Some(said.lines().next().is_some_and(|line| line.starts_with("physical"))))
    }

    /// Logs in twice at once, and where `slot` says so makes a slot that ends with the login: what a base backup will
    /// need. psql leaves its first connection only when it has the second.
    pub fn rehearse(&self, slot: bool) -> Result<(), Failure> {
        let mut commands = vec![
            "IDENTIFY_SYSTEM".to_owned(),
            format!("\\connect -reuse-previous=off {}", meta_word(&self.conninfo())),
            "IDENTIFY_SYSTEM".to_owned(),
        ];
        if slot {
            let name = format!("pg_runbook_rehearsal_{}", std::process::id());
            commands.push(format!("CREATE_REPLICATION_SLOT {name} TEMPORARY PHYSICAL"));
        }
        self.ask(&commands).map(drop)
    }

    /// Makes a physical slot that keeps WAL from now on; `false` where one of this name is there.
    pub fn create_slot(&self, name: &str) -> Result<bool, Failure> {
        match self.ask(&[format!("CREATE_REPLICATION_SLOT {name} PHYSICAL RESERVE_WAL")]) {
            Ok(_) => Ok(true),
            Err(failure) if failure.causes.iter().any(|cause| cause.contains("already exists")) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Drops a slot that nobody uses.
    pub fn drop_slot(&self, name: &str) -> Result<(), Failure> {
        self.ask(&[format!("DROP_REPLICATION_SLOT {name}")]).map(drop)
    }

    fn conninfo(&self) -> String {
        format!("{} replication=true", self.target.conninfo())
    }

    fn ask(&self, commands: &[String]) -> Result<String, Failure> {
        let mut invocation = commands.iter().fold(
            Invocation::new(&self.psql)
                .args(["-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-d"])
                .arg(self.conninfo()),
            |invocation, command| invocation.arg("-c").arg(command),
        );
        // libpq's own limit ends with the login; a network that goes silent after it would be waited for a quarter of an
        // hour. It has that limit for each address, and some logins.
        if let Some(limit) = self.target.connect_timeout {
            invocation = invocation.timeout(limit * 4 + ANSWERS_WITHIN);
        }
        let mut completed = invocation.outcome().map_err(|failure| explain::silent(failure, &self.target))?;
        if exhausted(&completed.stderr).is_some() {
            // A walsender that has just ended, our own last one too, is counted for a moment yet.
            let freed = || {
                completed = invocation.outcome()?;
                Ok(exhausted(&completed.stderr).is_none())
            };
            await_outcome(FREED_WITHIN, freed)?;
        }
        if completed.status.success() {
            return Ok(completed.stdout);
        }
        Err(explain::login(&self.target, &completed, &invocation))
    }
}

/// Asks until the answer is yes, or the time is over; a failure to ask ends it.
fn await_outcome(limit: Duration, mut ask: impl FnMut() -> Result<bool, Failure>) -> Result<(), Failure> {
    let mut trouble = Ok(());
    service::await_condition(limit, "while the primary frees a walsender", || {
        ask().unwrap_or_else(|failure| {
            trouble = Err(failure);
            true
        })
    })?;
    trouble
}

/// An argument as psql's own commands take it.
fn meta_word(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// `7301…|1|0/3000148|`
fn parse_identity(said: &str) -> Option<Identity> {
    let mut fields = said.lines().next()?.split('|');
    let system_identifier = fields.next()?.to_owned();
    let timeline = fields.next()?.parse().ok()?;
    let location = fields.next()?.to_owned();
    system_identifier.bytes().all(|byte| byte.is_ascii_digit()).then_some(Identity {
        system_identifier,
        timeline,
        location,
    })
}

fn number(text: &str) -> Value {
    text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_identify_system_says() {
        let identity = parse_identity("7301234567890123456|3|0/3000148|\n").unwrap();
        assert_eq!((identity.system_identifier.as_str(), identity.timeline), ("7301234567890123456", 3));
        assert_eq!(parse_identity("nonsense"), None);
    }

    #[test]
    fn a_connection_string_that_names_no_server_only_adds_to_the_document() {
        let told = Primary {
            host: Some("db1".into()),
            username: Some("replicator".into()),
            sslmode: Some("verify-full".into()),
            ..Primary::default()
        };
        let found = |conninfo: &str| {
            let arguments = ConnectionArguments { conninfo: Some(conninfo.into()), ..ConnectionArguments::default() };
            let target = target(&arguments, Some(&told), &Defaults::default()).expect("a target");
            (target.host, target.user, target.sslmode)
        };
        let by_document = ("db1".to_owned(), "replicator".to_owned(), SslMode::VerifyFull);
        assert_eq!(found("sslrootcert=/ca.crt"), by_document);
        assert_eq!(found("sslmode=verify-ca"), ("db1".into(), "replicator".into(), SslMode::VerifyCa));
        assert_eq!(found("host=db2 user=other"), ("db2".into(), "other".into(), SslMode::Prefer));
    }

    #[test]
    fn a_word_for_psqls_own_commands_survives_quotes_and_backslashes() {
        assert_eq!(meta_word(r#"passfile='it\'s a "file"'"#), r#""passfile='it\'s a ""file""'""#);
    }
}
