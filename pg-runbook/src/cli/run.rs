//! One run of one tool: what it was asked, what it says, and the document in the making.
//!
//! What must always hold: everything that a verb changes passes through [`Run::change`], so the document, stderr and
//! the exit code tell the same story.

use super::ansible::Secrets;
use super::arguments::{CommonArguments, OutputForm};
use super::password::{self, PasswordArguments};
use super::table::{self, Cell, Screen, Table};
use crate::cluster::{self, Cluster, State, host};
use crate::document::{Change, Diff, Document, Level};
use crate::failure::Failure;
use crate::lock::Lock;
use crate::owner;
use crate::secret::{self, Secret};
use crate::server::{ConnectionArguments, Defaults, Server, Target};
use crate::stderr;
use serde::Serialize;
use std::io::IsTerminal;
use std::path::PathBuf;

/// Handed to every verb.
pub struct Run {
    /// The tool's name.
    pub tool: &'static str,
    /// The options that every tool has.
    pub common: CommonArguments,
    /// What will be written on stdout.
    pub document: Document,
    has_input: bool,
    after_plans: bool,
    changed: bool,
    /// Where it runs as an Ansible module.
    module: Option<Secrets>,
    account: Vec<String>,
    /// How often the account was told before the end.
    told: usize,
    locks: Vec<Lock>,
}

impl Run {
    pub(super) fn new(
        tool: &'static str,
        action: &str,
        common: CommonArguments,
        input: Option<Document>,
        module: Option<Secrets>,
    ) -> Self {
        let has_input = input.is_some();
        let after_plans = input.as_ref().is_some_and(Document::plans_changes);
        let mut document = input.unwrap_or_else(|| Document::new(tool, action));
        document.tool = tool.into();
        document.action = action.into();
        document.check |= common.check;
        document.msg = String::new();
        if module.is_some() {
            // A task tells of itself only; what those before it changed is in `steps`.
            document.changed = false;
            document.warnings.clear();
            document.diff.clear();
        }
        Self {
            tool,
            common,
            document,
            has_input,
            after_plans,
            changed: false,
            module,
            account: Vec::new(),
            told: 0,
            locks: Vec::new(),
        }
    }

    /// Whether to report only.
    #[must_use]
    pub fn check(&self) -> bool {
        self.document.check
    }

    /// Whether an upstream document was read.
    #[must_use]
    pub fn has_input(&self) -> bool {
        self.has_input
    }

    /// Whether steps before this one would change something, and have not: what they prepare isn't there to be asked.
    #[must_use]
    pub fn follows_plans(&self) -> bool {
        self.after_plans
    }

    /// Whether this step changed something.
    #[must_use]
    pub fn changed(&self) -> bool {
        self.changed
    }

    pub(super) fn is_module(&self) -> bool {
        self.module.is_some()
    }

    /// A line for people on stderr.
    pub fn say(&self, text: &str) {
        if !self.common.quiet {
            stderr::line(self.tool, text);
        }
    }

    /// Something that deserves a look although nothing failed: on stderr and in the document.
    pub fn warn(&mut self, text: impl Into<String>) {
        let text = text.into();
        self.say(&format!("warning: {text}"));
        self.document.warnings.push(text);
    }

    /// Records what was changed (or would be), and says it.
    pub fn change(&mut self, change: Change) {
        let change = change.without_passwords();
        self.say(&change.coloured_line(self.check(), &stderr::palette()));
        self.changed = true;
        self.document.changed = true;
        self.document.changes.push(change);
    }

    /// Records before and after, where they were asked for.
    pub fn show_difference(&mut self, what: &str, before: &str, after: &str) {
        if self.common.diff && before != after {
            self.document.diff.push(Diff {
                before: secret::shown_lines(before),
                after: secret::shown_lines(after),
                before_header: format!("{what} (before)"),
                after_header: format!("{what} (after)"),
            });
        }
    }

    /// What the server must do before a change is in force.
    pub fn need(&mut self, level: Level, name: &str) {
        self.document.needs.raise(level, name);
    }

    /// The one sentence of the document.
    pub fn message(&mut self, text: impl Into<String>) {
        self.document.msg = text.into();
    }

    /// A line of the account that a person reads on a terminal, below the message.
    pub fn account(&mut self, line: impl Into<String>) {
        self.account.push(line.into());
    }

    /// A table of the account.
    pub fn show_table<const N: usize>(&mut self, table: &Table<N>) {
        self.account.extend(table.lines(&Screen::of_stdout()));
    }

    /// Facts of the account, one a line.
    pub fn show_list<S: AsRef<str>>(&mut self, facts: &[(S, Cell)]) {
        self.account.extend(table::list(facts, &Screen::of_stdout()));
    }

    /// What a verb reports under a key of its own.
    pub fn fact(&mut self, key: &str, value: &impl Serialize) {
        self.document.facts.insert(key.into(), serde_json::to_value(value).unwrap_or_default());
    }

    /// Whether stdout gets text.
    #[must_use]
    pub fn writes_text(&self) -> bool {
        match self.common.output {
            Some(form) => form == OutputForm::Text,
            None => std::io::stdout().is_terminal(),
        }
    }

    pub(super) fn account_lines(&self) -> &[String] {
        &self.account
    }

    /// The account as it stands, message first; the next one begins anew.
    pub(super) fn take_account(&mut self) -> Vec<String> {
        self.told += 1;
        let mut lines = table::sentence(&std::mem::take(&mut self.document.msg), &Screen::of_stdout());
        lines.append(&mut self.account);
        lines
    }

    /// Whether people have read the account already.
    pub(super) fn is_told(&self) -> bool {
        self.told > 0
    }

    /// The cluster that is meant; from here on the tool acts as its owner.
    ///
    /// In this order: `--cluster`, `-D`, `$PGCLUSTER`, `$PGDATA`, the document's, the only one on this host. The
    /// environment and a document that mean different clusters are refused: one of them would be a surprise.
    pub fn cluster(&mut self) -> Result<Cluster, Failure> {
        let mut cluster = match self.common.named_cluster()? {
            Some(cluster) => self.unless_another_is_in_need(cluster)?,
            None => match (environment_cluster()?, self.document.cluster.clone()) {
                (Some((variable, named)), Some(known)) if !named.is(&known) => {
                    return Err(Failure::usage(format!(
                        "${variable} means {}, the document {}",
                        named.title(),
                        known.title()
                    ))
                    .hint(format!("{}, or: unset {variable}", named.option())));
                }
                (Some((_, named)), _) => named,
                (None, Some(known)) => again(&known)?,
                (None, None) => cluster::only()?,
            },
        };
        owner::act_as(&cluster.owner()?)?;
        // Only the owner may see whether it runs.
        cluster.refresh();
        self.set_cluster(&cluster);
        Ok(cluster)
    }

    /// The cluster that the command line or the environment names, else the document's; `None` where there is neither.
    pub fn named_cluster(&mut self) -> Result<Option<Cluster>, Failure> {
        let named = self.common.cluster.is_some()
            || self.common.pgdata.is_some()
            || self.document.cluster.is_some()
            || environment_cluster()?.is_some();
        if named { self.cluster().map(Some) } else { Ok(None) }
    }

    /// What was changed in one cluster is not put in force by restarting another.
    fn unless_another_is_in_need(&self, named: Cluster) -> Result<Cluster, Failure> {
        match &self.document.cluster {
            Some(known) if !known.is(&named) && self.document.needs.level > Level::None => Err(Failure::refused(
                format!("{} is named, but the document says what {} needs", named.title(), known.title()),
            )
            .hint(format!("{}, or --no-input to leave the document aside", known.option()))),
            _ => Ok(named),
        }
    }

    /// Puts the cluster's present state into the document. What another cluster needed is not asked of this one.
    pub fn set_cluster(&mut self, cluster: &Cluster) {
        if self.document.cluster.as_ref().is_some_and(|known| !known.is(cluster)) {
            self.document.needs = crate::document::Needs::default();
        }
        let version = self.document.cluster.take().filter(|known| known.is(cluster)).and_then(|known| known.version);
        let mut cluster = cluster.clone();
        cluster.version = cluster.version.or(version);
        self.document.cluster = Some(cluster);
    }

    /// With `--check`, whether the document's cluster is one that would be made by a step before.
    #[must_use]
    pub fn cluster_is_only_planned(&self) -> bool {
        self.check() && self.document.cluster.as_ref().is_some_and(|cluster| cluster.state == State::Absent)
    }

    /// Excludes other tools from a cluster until the run ends; with `--check` nobody is excluded.
    pub fn lock(&mut self, cluster: &Cluster) -> Result<(), Failure> {
        cluster::plain::refuse_one_aside(&cluster.data_directory)?;
        self.lock_folder(&cluster.data_directory.clone()).map_err(|failure| match cluster.state {
            cluster::State::Unknown => failure.hint(format!("as its owner: sudo -u {} {} …", cluster.owner, self.tool)),
            _ => failure,
        })
    }

    /// The same for a folder that is about to be a data directory. One that this run holds already stays held.
    pub fn lock_folder(&mut self, folder: &std::path::Path) -> Result<(), Failure> {
        if !self.check() && !self.locks.iter().any(|held| held.is_on(folder)) {
            let held = Lock::take(folder, self.common.lock_timeout, &mut |text| self.say(text))?;
            self.locks.push(held);
        }
        Ok(())
    }

    /// A superuser's connection to the cluster's server; options and, where no cluster was named, the environment may
    /// say otherwise.
    pub fn connect(&mut self, cluster: &Cluster, arguments: &ConnectionArguments) -> Result<Server, Failure> {
        let defaults = Defaults::of_cluster(cluster, self.tool)?;
        let server = Server::connect(&self.with_login_password(arguments.resolve(&defaults)?))?;
        for warning in server.warnings() {
            self.warn(warning);
        }
        Ok(server)
    }

    /// A module's login may have a password of its own.
    #[must_use]
    pub fn with_login_password(&self, mut target: Target) -> Target {
        let given = self.module.as_ref().and_then(|secrets| secrets.login_password.clone());
        target.password = given.or(target.password);
        target
    }

    /// The password that was given: by option or as an Ansible option; else `$PGPASSWORD` where `environment` allows it.
    pub fn password(&self, arguments: &PasswordArguments, environment: bool) -> Result<Option<Secret>, Failure> {
        if let Some(given) = self.module.as_ref().and_then(|secrets| secrets.password.as_ref()) {
            return password::first_line(given.expose(), "the option password").map(Some);
        }
        let named = arguments.named(&|text| self.say(text))?;
        Ok(named.or_else(|| if environment { password::from_environment() } else { None }))
    }

    pub(super) fn mark_done(&mut self) {
        self.locks.clear();
    }
}

/// The cluster that the environment names, and the variable that does.
pub(crate) fn environment_cluster() -> Result<Option<(&'static str, Cluster)>, Failure> {
    if let Some(name) = std::env::var_os("PGCLUSTER").filter(|value| !value.is_empty()) {
        return Ok(Some(("PGCLUSTER", cluster::named(&name.to_string_lossy())?)));
    }
    match std::env::var_os("PGDATA").filter(|value| !value.is_empty()) {
        Some(folder) => Ok(Some(("PGDATA", cluster::at(&PathBuf::from(folder))?))),
        None => Ok(None),
    }
}

/// A document's cluster, as it is now. It was written before this run: its state may be old.
fn again(known: &Cluster) -> Result<Cluster, Failure> {
    if known.host_id != host::id() {
        return Err(foreign(known));
    }
    match &known.name {
        Some(name) => cluster::named(&format!("{}/{name}", known.major)),
        None => cluster::at(&known.data_directory),
    }
}

/// The refusal of a document from another host.
pub(super) fn foreign(cluster: &Cluster) -> Failure {
    Failure::refused(format!("the document's cluster {} lives on another host", cluster.title()))
        .because(format!("its host_id is {}, this host's is {}", cluster.host_id, host::id()))
        .hint("on that host, let the pipeline end with: pg-cluster advertise --host NAME")
}
