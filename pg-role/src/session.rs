//! Which server holds the role, and a connection to it.
//!
//! What must always hold: a server that was named is the one that is worked on, and then no cluster of this host is
//! looked for and the document's stays as it is; a cluster's server is the one that answers on the cluster's own port.

use pg_runbook::cli::CommonArguments;
use pg_runbook::cluster::{Cluster, State};
use pg_runbook::invocation::shell_word;
use pg_runbook::server::{ConnectionArguments, Defaults, Server};
use pg_runbook::{Failure, Run, service, standby};

/// A connection, and what is on its other end.
pub struct Session {
    /// The connection.
    pub server: Server,
    /// The server as people are told of it.
    pub title: String,
}

/// Whether a server is named, where no cluster is: by the command line, or by the environment.
pub fn is_remote(run: &Run, connection: &ConnectionArguments) -> bool {
    means_another_server(&run.common, connection, run.document.cluster.is_some())
}

/// The same, before there is a run.
pub fn means_another_server(common: &CommonArguments, connection: &ConnectionArguments, has_document: bool) -> bool {
    let cluster_is_typed = common.cluster.is_some() || common.pgdata.is_some();
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let cluster_is_known = has_document || variable("PGCLUSTER").is_some() || variable("PGDATA").is_some();
    !cluster_is_typed && (connection.names_a_server() || environment_names_a_server() && !cluster_is_known)
}

/// A socket directory is on this host, where its cluster is found without it.
fn environment_names_a_server() -> bool {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    variable("PGHOST").is_some_and(|host| !host.starts_with('/'))
        || variable("PGHOSTADDR").is_some()
        || variable("PGSERVICE").is_some()
}

/// Whether anything names a server, also where a cluster is named too: then $PGPASSWORD is likely that server's.
pub fn names_any_server(run: &Run, connection: &ConnectionArguments) -> bool {
    is_remote(run, connection) || connection.names_a_server() || environment_names_a_server()
}

/// Connects. `None`, and the message says why, where a step before this one only would start the server.
pub fn open(run: &mut Run, connection: &ConnectionArguments) -> Result<Option<Session>, Failure> {
    let mut session = if is_remote(run, connection) {
        to_named_server(run, connection)?
    } else {
        let cluster = run.cluster()?;
        if run.follows_plans() && cluster.state == State::Down {
            run.message(format!("{} does not run yet; its roles can't be told before", cluster.title()));
            return Ok(None);
        }
        to_cluster(run, &cluster, connection)?
    };
    // Others may be at work on the role, and a COMMIT may wait for other servers.
    session.server.may_take(None);
    // Timestamps are compared and shown in one form; which of day and month comes first stays the server's choice.
    session.server.batch("SET datestyle = 'ISO'")?;
    Ok(Some(session))
}

fn to_cluster(run: &mut Run, cluster: &Cluster, connection: &ConnectionArguments) -> Result<Session, Failure> {
    if let Some(port) = connection.port.filter(|port| *port != cluster.port && !connection.names_a_server()) {
        return Err(Failure::usage(format!("{} listens on port {}, not {port}", cluster.title(), cluster.port))
            .because("no host was named, so a cluster of this host is meant")
            .hint("name the host too (-h localhost), or another cluster (pg-cluster list)"));
    }
    service::running(cluster)?;
    run.lock(cluster)?;
    let server = run.connect(cluster, connection)?;
    Ok(Session { server, title: cluster.title() })
}

fn to_named_server(run: &mut Run, connection: &ConnectionArguments) -> Result<Session, Failure> {
    let defaults = Defaults::of_named_server(run.tool);
    let server = Server::connect(&run.with_login_password(connection.resolve(&defaults)?))?;
    for warning in server.warnings() {
        run.warn(warning);
    }
    Ok(Session { title: server.target().address(), server })
}

impl Session {
    /// Roles are written on the primary only.
    pub fn refuse_standby(&mut self, verb: &str, name: &str) -> Result<(), Failure> {
        if !standby::is_standby(&mut self.server)? {
            return Ok(());
        }
        let replication = standby::replication(&mut self.server)?;
        let sender = replication.sender_host.filter(|host| !host.starts_with('/'));
        let port = replication.sender_port.unwrap_or(5432);
        let there = sender.map_or_else(|| "-h PRIMARY".into(), |host| format!("-h {host} -p {port}"));
        let name = shell_word(name.as_ref());
        Err(Failure::refused(format!("{} is a standby, and gets its roles from its primary", self.title))
            .hint(format!("pg-role {verb} {name} {there}, or on the primary: pg-role {verb} {name}")))
    }

    /// Whether the connecting role is a superuser.
    pub fn is_superuser(&mut self) -> Result<bool, Failure> {
        Ok(self.server.text("SHOW is_superuser")?.as_deref() == Some("on"))
    }
}
