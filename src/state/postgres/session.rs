//! Connections: their settings, and what a lost one means.

use std::{
    str::FromStr as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{ConnectOptions as _, PgConnection, Row as _, postgres::PgConnectOptions};
use tokio::time::timeout;

use super::link::Link;
use crate::state::StateError;

/// The schema that holds every table of the state.
pub(super) const SCHEMA: &str = "syncline";
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Waits before connecting once more, doubled each time: 6 s in all.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_secs(6);

/// Settings of a connection straight to the server. Server-side limits end what hangs there; a statement never waits longer
/// for another process than for itself. Notices can carry values, and the driver logs them. A stronger
/// `synchronous_commit` than ours is left alone.
const SETTINGS: &str = "set search_path = syncline; \
    set statement_timeout = '60s'; \
    set lock_timeout = '20s'; \
    set idle_in_transaction_session_timeout = '60s'; \
    set client_min_messages = 'error'; \
    set timezone = 'UTC'; \
    select set_config('synchronous_commit', 'on', false) \
      where current_setting('synchronous_commit') in ('off', 'local', 'remote_write')";

/// The same for one transaction behind a pooler, in one message with its begin.
pub(super) const BEGIN_POOLED: &str = "begin; \
    set local search_path = syncline; \
    set local statement_timeout = '60s'; \
    set local lock_timeout = '20s'; \
    set local idle_in_transaction_session_timeout = '60s'; \
    set local client_min_messages = 'error'; \
    set local timezone = 'UTC'; \
    select set_config('synchronous_commit', 'on', true) \
      where current_setting('synchronous_commit') in ('off', 'local', 'remote_write')";

/// A setting that only a server sees: a pooler drops or refuses what it does not know.
const DIRECT: &str = "syncline.direct";

/// Makes connections to the state's database.
#[derive(Clone)]
pub(super) struct Connector {
    options: PgConnectOptions,
    /// A pooler was found on the way. From then on every connection is taken for one.
    pooled: Arc<AtomicBool>,
}

impl std::fmt::Debug for Connector {
    /// The options hold the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector(..)")
    }
}

impl Connector {
    pub(super) fn new(url: &SecretString) -> Result<Self, StateError> {
        // The parser's error is dropped: it may quote the URL, which is a secret.
        let options = PgConnectOptions::from_str(url.expose_secret()).map_err(|_| StateError::Address {
            reason: "it is not of the form `postgres://USER@HOST:PORT/DATABASE`".to_owned(),
        })?;
        // Poolers refuse the driver's `extra_float_digits`; the state has no floats.
        let options = options.application_name("syncline").extra_float_digits(None).disable_statement_logging();
        Ok(Self { options, pooled: Arc::default() })
    }

    /// The database's address, without user and password.
    pub(super) fn address(&self) -> String {
        let database = self.options.get_database().unwrap_or_else(|| self.options.get_username());
        format!("postgres://{}:{}/{database}", self.options.get_host(), self.options.get_port())
    }

    /// Connects, and waits some seconds for a server that is just started anew.
    pub(super) async fn connect_patiently(&self) -> Result<Link, StateError> {
        let mut wait = FIRST_WAIT;
        loop {
            match self.connect().await {
                Err(error) if is_lost(&error) && wait < LAST_WAIT => tokio::time::sleep(wait).await,
                result => return result.map_err(failed("connect to the state")),
            }
            wait *= 2;
        }
    }

    pub(super) async fn connect(&self) -> Result<Link, sqlx::Error> {
        let late = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
        timeout(CONNECT, self.connect_either()).await.unwrap_or_else(late)
    }

    /// Straight to the server, unless something on the way keeps our settings from it.
    async fn connect_either(&self) -> Result<Link, sqlx::Error> {
        if !self.pooled.load(Ordering::Relaxed) {
            let connected = self.options.clone().options([(DIRECT, "on")]).connect().await;
            match connected {
                Ok(mut connection) => {
                    if is_direct(&mut connection).await? {
                        sqlx::raw_sql(SETTINGS).execute(&mut connection).await?;
                        return Ok(Link::new(connection, false));
                    }
                }
                Err(error) if is_refused(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let connection = self.options.connect().await?;
        self.pooled.store(true, Ordering::Relaxed);
        Ok(Link::new(connection, true))
    }
}

/// Whether the server has seen our setting.
async fn is_direct(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let sql = "select coalesce(current_setting('syncline.direct', true), '')";
    let seen: String = sqlx::raw_sql(sql).fetch_one(connection).await?.try_get(0)?;
    Ok(seen == "on")
}

/// Whether a pooler has refused a setting: as a violation of the protocol, or as a feature that it lacks.
fn is_refused(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| matches!(&*code, "08P01" | "0A000"))
}

/// Maps database errors.
pub(super) fn failed(action: &'static str) -> impl FnOnce(sqlx::Error) -> StateError {
    move |error| StateError::Store { action, place: None, source: Arc::new(error) }
}

/// Whether the connection is gone, or the server is about to close it: nothing that was not committed has happened.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            // Connection exceptions; shut down, crashed, starting up, dropped database, idle session.
            code.starts_with("08") || matches!(&*code, "57P01" | "57P02" | "57P03" | "57P05" | "25P03")
        }),
        _ => false,
    }
}

/// Whether the server has rolled the transaction back because of another one: it may be repeated.
pub(super) fn is_collision(error: &sqlx::Error) -> bool {
    // Serialization failure, deadlock, lock timeout: https://www.postgresql.org/docs/current/errcodes-appendix.html
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| matches!(&*code, "40001" | "40P01" | "55P03"))
}
