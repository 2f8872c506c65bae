//! The only door to a database server: connections, logins and statements.
//!
//! What must always hold: the interface is synchronous, the runtime lives and dies inside a [`Server`]; a failure holds
//! what the server said and never the statement, which may carry a verifier; what a later run may find different (a
//! server that is down, starting, silent or lost) is [`crate::Code::GaveUp`], all else [`crate::Code::Failed`]. A server
//! that never answers holds nobody up for ever: whoever asks for an end gets it.

pub mod conninfo;
mod explain;
pub(crate) mod hints;
mod login;
pub mod parameters;
mod service_file;
mod shell;
pub mod target;
mod tls;
mod uri;

use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

pub use conninfo::{ConnectionArguments, Defaults};
pub use target::{ChannelBinding, SessionAttributes, SslMode, Target, place};
pub use tokio_postgres::Row;
pub use tokio_postgres::types::ToSql;

use crate::{Failure, signals};

/// How long a server has to take the goodbye.
const PARTING: Duration = Duration::from_millis(200);

/// How often it is looked whether somebody asks for an end.
const LOOKS_EVERY: Duration = Duration::from_millis(50);

/// What any server answers at once on a loaded host, it answers in this time.
const AT_LEAST: Duration = Duration::from_secs(10);

/// How long a statement may go on then (it may be the one that cleans up), and how long its cancellation may take.
const LAST_CHANCE: Duration = Duration::from_secs(1);

/// What carries the bytes while a statement waits, and tells how the connection ended.
type Driver = JoinHandle<Result<(), tokio_postgres::Error>>;

/// One session on one server.
pub struct Server {
    runtime: Option<Runtime>,
    client: Option<Client>,
    driver: Driver,
    tls: Option<MakeRustlsConnect>,
    target: Target,
    /// How long an answer may take.
    patience: Option<Duration>,
    version_num: i32,
    warnings: Vec<String>,
}

impl Server {
    /// Connects and logs in; the password is the target's, or else the password file's.
    pub fn connect(target: &Target) -> Result<Self, Failure> {
        let session = login::login(target)?;
        let mut server = Self {
            runtime: Some(session.runtime),
            client: Some(session.client),
            driver: session.driver,
            tls: session.tls,
            target: target.clone(),
            patience: target.connect_timeout.map(|limit| limit.max(AT_LEAST)),
            version_num: 0,
            warnings: session.warnings,
        };
        let number = server.text("SHOW server_version_num")?.unwrap_or_default();
        server.version_num = number
            .parse()
            .map_err(|_| Failure::failed(format!("{target} calls its version {number:?}, which is not a number")))?;
        server.check_session_attributes()?;
        Ok(server)
    }

    /// How long each answer may take from here on, for ever where that is `None`. Otherwise it is as long as a login may
    /// take, and at least 10 s.
    pub fn may_take(&mut self, limit: Option<Duration>) {
        self.patience = limit;
    }

    /// Asks one statement for its rows.
    pub fn query(&mut self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        self.run(async |client| client.query(sql, params).await)
    }

    /// Runs one statement and says how many rows it touched.
    pub fn execute(&mut self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Failure> {
        self.run(async |client| client.execute(sql, params).await)
    }

    /// Runs statements without parameters, separated by semicolons, in one transaction unless they say otherwise.
    pub fn batch(&mut self, sql: &str) -> Result<(), Failure> {
        self.run(async |client| client.batch_execute(sql).await)
    }

    /// The first value of the first row, as psql would print it; none for no row and for NULL.
    pub fn text(&mut self, sql: &str) -> Result<Option<String>, Failure> {
        Ok(self.texts(sql)?.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
    }

    /// All rows, each value as psql would print it, whatever its type.
    pub fn texts(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Failure> {
        let messages = self.run(async |client| client.simple_query(sql).await)?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(rows.map(|row| (0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect()).collect())
    }

    /// `server_version_num`: 170006 for 17.6, 100023 for 10.23.
    #[must_use]
    pub fn server_version_num(&self) -> i32 {
        self.version_num
    }

    /// What it is connected to.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// What people should know although it works: a password file that was ignored, TLS that could not be had.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn run<T>(
        &mut self,
        statement: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Failure> {
        let (Some(runtime), Some(client)) = (&self.runtime, &self.client) else {
            return Err(Failure::gave_up(format!("the connection to {} is closed", self.target.address())));
        };
        let error = match runtime.block_on(self.answer(client, statement(client))) {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(failure) => {
                self.client = None;
                return Err(failure);
            }
        };
        if !error.is_closed() || !client.is_closed() {
            return Err(explain::statement(&error, &self.target));
        }
        self.client = None;
        // Only the driver knows why: what the server said when it ended the session.
        let ended = runtime.block_on(async { tokio::time::timeout(PARTING, &mut self.driver).await });
        let reason = ended.ok().and_then(Result::ok).and_then(Result::err);
        Err(explain::lost(reason.as_ref().unwrap_or(&error), &self.target))
    }

    /// The answer, or why it isn't waited for any longer. A statement that goes on in the server without us would still
    /// do its work some time, so it is cancelled there.
    async fn answer<T>(
        &self,
        client: &Client,
        statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<Result<T, tokio_postgres::Error>, Failure> {
        let mut statement = pin!(statement);
        let late = |limit| explain::silent(&self.target, limit);
        let failure = match attended(statement.as_mut(), &self.target, self.patience, late).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let _ = timeout(LAST_CHANCE, self.cancel(client)).await;
        match timeout(LAST_CHANCE, statement).await {
            // It came through in the last moment; a COMMIT that waits for other servers is done here when it is cancelled.
            Ok(Ok(answer)) => Ok(Ok(answer)),
            _ => Err(failure),
        }
    }

    async fn cancel(&self, client: &Client) -> Result<(), tokio_postgres::Error> {
        match &self.tls {
            Some(tls) => client.cancel_token().cancel_query(tls.clone()).await,
            None => client.cancel_token().cancel_query(NoTls).await,
        }
    }

    fn check_session_attributes(&mut self) -> Result<(), Failure> {
        let (question, wanted, trouble) = match self.target.session_attributes {
            SessionAttributes::Any => return Ok(()),
            SessionAttributes::ReadWrite => ("SHOW transaction_read_only", "off", "its sessions are read-only"),
            SessionAttributes::ReadOnly => ("SHOW transaction_read_only", "on", "its sessions are not read-only"),
            SessionAttributes::Primary => ("SELECT pg_is_in_recovery()", "f", "it is in recovery"),
            SessionAttributes::Standby => ("SELECT pg_is_in_recovery()", "t", "it is not in recovery"),
        };
        if self.text(question)?.as_deref() == Some(wanted) {
            return Ok(());
        }
        let message = format!("{} is not the kind of server that target_session_attrs asks for", self.target.address());
        Err(Failure::gave_up(message).because(trouble))
    }
}

/// What a server does for us, unless it takes longer than that, or goes on although somebody asked for an end.
async fn attended<T>(
    mut work: Pin<&mut impl Future<Output = T>>,
    target: &Target,
    limit: Option<Duration>,
    late: impl FnOnce(Duration) -> Failure,
) -> Result<T, Failure> {
    let (begun, mut last_chance) = (Instant::now(), None);
    loop {
        if let Ok(done) = timeout(LOOKS_EVERY, work.as_mut()).await {
            return Ok(done);
        }
        if let Err(stopped) = signals::safe_point(&format!("while {} was asked", target.address()))
            && last_chance.get_or_insert_with(Instant::now).elapsed() >= LAST_CHANCE
        {
            return Err(stopped);
        }
        if let Some(limit) = limit.filter(|limit| begun.elapsed() >= *limit) {
            return Err(late(limit));
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("target", &self.target)
            .field("version_num", &self.version_num)
            .finish_non_exhaustive()
    }
}

impl Drop for Server {
    /// Says goodbye, so that the server's log has no broken connection.
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        if self.client.take().is_some() {
            let _ = runtime.block_on(async { tokio::time::timeout(PARTING, &mut self.driver).await });
        }
        runtime.shutdown_background();
    }
}
