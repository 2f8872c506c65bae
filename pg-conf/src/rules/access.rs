//! What `allow` and `disallow` are asked, as logins and rules; and how the file gets into force.
//!
//! What must always hold: `disallow` takes out exactly the rules that `allow` writes for the same words, whatever their
//! method; a file that the running server would not load does not stay.

use crate::args::AccessArguments;
use crate::install::{self, Installed};
use crate::rules::hba_file::{Address, Database, Kind, Login, Origin, Record, Rule, Word, format_rule};
use crate::rules::hba_tree;
use crate::rules::origin::From;
use crate::rules::scratch::Scratch;
use crate::running;
use crate::settings;
use pg_runbook::cluster::Cluster;
use pg_runbook::cluster::postmaster;
use pg_runbook::configuration::Edit;
use pg_runbook::document::Change;
use pg_runbook::server::Server;
use pg_runbook::{Failure, Level, Run, durable_file, service, signals};

/// What is asked, understood.
#[derive(Clone, Debug)]
pub struct Request {
    /// The kind of connection.
    pub kind: Kind,
    /// The database column.
    pub database: Word,
    /// The role column.
    pub role: Word,
    /// `scram-sha-256`, ….
    pub method: String,
    /// One rule each; `None` for the Unix socket.
    pub origins: Vec<Option<From>>,
}

impl Request {
    /// Understands what was typed; what can't be a rule is a usage error.
    pub fn of(arguments: &AccessArguments, major: u32) -> Result<Self, Failure> {
        let kind = Kind::named(&arguments.kind).ok_or_else(|| {
            Failure::usage(format!("{:?} is not a type of connection", arguments.kind))
                .because("there are: local, host, hostssl, hostnossl, hostgssenc, hostnogssenc")
        })?;
        let origins = match (kind, arguments.from.as_slice()) {
            (Kind::Local, []) => vec![None],
            (Kind::Local, [first, ..]) => {
                return Err(Failure::usage(format!("a local rule has no address, and --from says {first}"))
                    .because("local is the Unix socket"));
            }
            (_, []) => {
                return Err(Failure::usage(format!("where does {} come from?", arguments.role)).hint(format!(
                    "say it: {} --from ADDRESS; pg-conf rules shows the rules there are",
                    arguments.role
                )));
            }
            (_, texts) => texts.iter().map(|text| From::typed(text.trim()).map(Some)).collect::<Result<_, _>>()?,
        };
        let database = match arguments.database.as_str() {
            keyword @ ("replication" | "all") => Word::keyword(keyword),
            name => Word::name(name)?,
        };
        let request =
            Self { kind, database, role: Word::name(&arguments.role)?, method: arguments.method.clone(), origins };
        request.try_out(major)?;
        Ok(request)
    }

    /// The same with the present addresses of the hosts that it names.
    pub fn looked_up(mut self) -> Self {
        self.origins = self.origins.into_iter().map(|origin| origin.map(From::looked_up)).collect();
        self
    }

    /// The rule's line for one origin.
    pub fn line(&self, origin: Option<&From>) -> Result<String, Failure> {
        let address = origin.map(|from| from.text.as_str());
        format_rule(self.kind, &self.database, &self.role, address, &self.method)
    }

    /// The line without its padding, for people.
    pub fn name(&self, origin: Option<&From>) -> String {
        let address = origin.map(|from| format!("{} ", from.text)).unwrap_or_default();
        format!("{} {} {} {address}{}", self.kind, self.database, self.role, self.method)
    }

    /// The login that is to work.
    pub fn login(&self, origin: Option<&From>) -> Login {
        let database = if self.database.is_keyword("replication") {
            Database::Replication
        } else if self.database.is_keyword("all") {
            // A name that no rule can name: only rules for all databases are for it.
            Database::Named("\0".into())
        } else {
            Database::Named(self.database.text.clone())
        };
        let (ssl, gss) = match self.kind {
            Kind::HostSsl => (Some(true), None),
            Kind::HostNoSsl => (Some(false), None),
            Kind::HostGssEnc => (None, Some(true)),
            Kind::HostNoGssEnc => (None, Some(false)),
            Kind::Local | Kind::Host => (None, None),
        };
        let address = origin.map_or(Origin::Local, |from| from.origin.clone());
        Login { database, role: self.role.text.clone(), address, ssl, gss }
    }

    /// Whether a rule is what `allow` writes for one origin, whatever its method.
    pub fn is_rule(&self, rule: &Rule, origin: Option<&From>) -> bool {
        let same_address = match (&rule.address, origin.map(|from| &from.origin)) {
            (None, None) => true,
            (Some(Address::Cidr(net)), Some(Origin::Net(asked))) => net.trunc() == asked.trunc(),
            (Some(Address::All), Some(_)) => origin.is_some_and(|from| from.text == "all"),
            (Some(Address::SameHost), Some(_)) => origin.is_some_and(|from| from.text == "samehost"),
            (Some(Address::SameNet), Some(_)) => origin.is_some_and(|from| from.text == "samenet"),
            (Some(Address::HostName(name)), Some(Origin::Host { name: asked, .. })) => name.eq_ignore_ascii_case(asked),
            _ => false,
        };
        same_address
            && rule.kind == self.kind
            && rule.databases == [self.database.clone()]
            && rule.users == [self.role.clone()]
    }

    /// Reads its own rule back, as the server would.
    fn try_out(&self, major: u32) -> Result<(), Failure> {
        if self.method == "reject" {
            return Err(Failure::usage("the method reject lets nobody in").hint("pg-conf allow --help"));
        }
        for origin in &self.origins {
            let line = self.line(origin.as_ref())?;
            let file = crate::rules::hba_file::HbaFile::parse(line.as_bytes(), major);
            if let [Record::Invalid { reason, .. }] = file.records() {
                return Err(Failure::usage(format!(
                    "PostgreSQL {major} does not take {:?}",
                    self.name(origin.as_ref())
                ))
                .because(reason));
            }
        }
        Ok(())
    }
}

/// The rules, with the bytes that they were read from.
pub fn read(cluster: &Cluster) -> Result<Vec<u8>, Failure> {
    let path = &cluster.hba_file;
    durable_file::read(path)?.ok_or_else(|| {
        Failure::failed(format!("read {}", path.display()))
            .because("there is no such file")
            .hint(format!("pg-conf get {} hba_file", cluster.option()))
    })
}

/// Installs the new rules; where the running server would not load them, the old ones are put back.
pub fn install(
    run: &mut Run,
    cluster: &Cluster,
    edit: &Edit,
    changes: Vec<Change>,
    server: &mut Option<Server>,
) -> Result<(), Failure> {
    if edit.before != edit.after {
        if let Some(server) = server {
            refuse_broken(cluster, server)?;
        }
        judge(run, cluster, edit)?;
        let what = install::what(run, &changes);
        let installed = install::install(run, cluster, std::slice::from_ref(edit), what)?;
        if let (Some(server), Some(installed)) = (server.as_mut(), installed) {
            verify(cluster, server, &installed)?;
        }
    }
    let count = changes.len();
    let level = level(cluster, server.as_mut(), count > 0)?;
    let needed = if level == Level::Start { "start needed" } else { "reload needed" };
    for change in changes {
        let line = change.line.unwrap_or_default();
        run.change(change.remark(format!("{}:{line}; {needed}", cluster.hba_file.display())));
    }
    if level > Level::None {
        run.need(level, "pg_hba.conf");
    }
    settings::conclude(run, cluster, settings::counted(run, count, "rule"), count > 0);
    Ok(())
}

/// Has a scratch server of the same version read the candidate before it is in its place.
pub fn judge(run: &mut Run, cluster: &Cluster, edit: &Edit) -> Result<(), Failure> {
    let judged = judged(cluster, edit);
    signals::safe_point("while a scratch server read the new rules")?;
    match judged {
        Ok(None) => Ok(()),
        Ok(Some(failure)) => Err(failure),
        // Where there is no room for a scratch server, the running one still judges it once it is there.
        Err(failure) => {
            run.warn(format!("the new rules could not be tried on a scratch server: {failure}"));
            Ok(())
        }
    }
}

/// What the server has against the candidate: its own fault, or that of the file as it was.
fn judged(cluster: &Cluster, edit: &Edit) -> Result<Option<Failure>, Failure> {
    let scratch = Scratch::of(cluster)?;
    let (before, after) = (edit.before.as_deref().unwrap_or_default(), edit.after.as_deref().unwrap_or_default());
    let is_alone = hba_tree::files(&edit.path, after, cluster.major).len() == 1;
    let wrong = scratch.errors_with(&edit.path, after, is_alone)?;
    if wrong.is_empty() {
        return Ok(None);
    }
    let before = scratch.errors_with(&edit.path, before, is_alone)?;
    let path = edit.path.display();
    let (failure, errors) = if before.is_empty() {
        (Failure::usage(format!("PostgreSQL {} would not load {path} with this change", cluster.major)), wrong)
    } else {
        let hint = format!("pg-conf check {}", cluster.option());
        (Failure::failed(format!("{path} has errors already, so the server would not load it")).hint(hint), before)
    };
    Ok(Some(errors.into_iter().fold(failure, Failure::because)))
}

fn refuse_broken(cluster: &Cluster, server: &mut Server) -> Result<(), Failure> {
    let errors = service::rule_errors(server)?;
    if errors.is_empty() {
        return Ok(());
    }
    let failure =
        Failure::failed(format!("{} has errors already, so the server would not load it", cluster.hba_file.display()));
    Err(errors.into_iter().fold(failure, Failure::because).hint(format!("pg-conf check {}", cluster.option())))
}

/// Asks the server what it makes of the new file, and puts the old one back where it finds errors.
pub fn verify(cluster: &Cluster, server: &mut Server, installed: &Installed) -> Result<(), Failure> {
    let errors = service::rule_errors(server).map_err(|failure| installed.take_back_unjudged(failure))?;
    if errors.is_empty() {
        return Ok(());
    }
    installed.take_back()?;
    let failure = Failure::failed(format!(
        "the server would not load the new {}; the old one is back",
        cluster.hba_file.display()
    ));
    Err(errors.into_iter().fold(failure, Failure::because))
}

/// What is still to be done: the rules that count are those of the last load.
fn level(cluster: &Cluster, server: Option<&mut Server>, changed: bool) -> Result<Level, Failure> {
    let Some(process) = postmaster::look(&cluster.data_directory).process() else { return Ok(Level::Start) };
    #[allow(clippy::cast_precision_loss)] // Seconds since 1970 fit.
    let loaded = match server {
        Some(server) => running::times(server)?.0,
        None => process.started as f64,
    };
    let waits = changed || running::written(&cluster.hba_file) > loaded;
    Ok(if waits { Level::Reload } else { Level::None })
}
