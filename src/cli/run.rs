//! `syncline run`: the daemon.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{Exit, beside::DAEMON, context::Context, exit::CliError, reload::Reloader};
use crate::{
    http::{self, Health, ServeError},
    model::spec::Specs,
    scheduler::{Heartbeat, Scheduler},
    shutdown::{self, Shutdown},
    state::State,
    telemetry::{event, events},
};

/// Without a beat of the scheduler for this long the process counts as stuck; it beats once a second.
const MAX_SILENCE: Duration = Duration::from_secs(30);

/// Runs syncs when they are due, until the process is asked to stop.
///
/// # Errors
/// When the state cannot be used or is locked, or the health server cannot listen.
pub(super) async fn execute(context: &Context) -> anyhow::Result<Exit> {
    let setup = context.daemon()?;
    // First, so that a second daemon is told about the lock and not about the port.
    let engine = Arc::new(setup.runner(DAEMON).await?);
    let state = engine.state().clone();
    log_start(&setup.loaded.specs, &state).await?;
    let health = Arc::new(Health::new(MAX_SILENCE));
    // The server outlives the runs: while they end, the process is alive and not ready.
    let served = Shutdown::new();
    let server = match setup.loaded.settings.http.listen {
        Some(address) => Some(listen(address, &health, &served).await?),
        None => None,
    };
    let reloader = Reloader::listen(&context.folders, setup.loaded.clone(), engine.clone())
        .context("the reload signal cannot be listened for")?;
    let engines = reloader.engines();
    let reloading = reloader.spawn(context.shutdown.clone());
    let heartbeat: Arc<dyn Heartbeat> = Arc::new(Beats(health.clone()));
    let unready = {
        let (health, shutdown) = (health.clone(), context.shutdown.clone());
        tokio::spawn(async move {
            shutdown.cancelled().await;
            health.ready(false);
        })
    };
    health.ready(true);
    let ended = Scheduler::new(engine.clone(), context.shutdown.clone(), heartbeat).following(engines).run().await;
    // It holds the state too.
    context.shutdown.cancel();
    context.shutdown.within(shutdown::RUNS, reloading).await.transpose()?;
    context.shutdown.within(shutdown::TOKENS, engine.settle_tokens()).await;
    let closed = state.close().await;
    unready.await?;
    served.cancel();
    if let Some(server) = server {
        context.shutdown.within(shutdown::TOKENS, server).await.transpose()?.transpose()?;
    }
    ended.and(closed)?;
    Ok(Exit::Ok)
}

async fn log_start(specs: &Specs, state: &State) -> anyhow::Result<()> {
    event!(
        events::CONFIG_LOADED,
        sources = specs.sources.len(),
        models = specs.models.len(),
        destinations = specs.destinations.len(),
        syncs = specs.syncs.len(),
        environment = specs.environment
    );
    let kind = if state.is_shared() { "postgres" } else { "sqlite" };
    event!(events::STATE_OPENED, kind, syncs = state.syncs().await?.len());
    let suspect = state.syncs().await?.iter().filter(|sync| sync.suspect).count();
    if suspect > 0 {
        let hint = "it was restored or lost writes: every row is sent again, and removals wait until that is done";
        event!(events::STATE_SUSPECT, syncs = suspect, hint);
    }
    Ok(())
}

type Server = JoinHandle<Result<(), ServeError>>;

async fn listen(address: SocketAddr, health: &Arc<Health>, shutdown: &Shutdown) -> anyhow::Result<Server> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let hint = "another process listens there; set `[http] listen` to another port, or to \"off\"";
        anyhow::Error::new(CliError::failed(format!("cannot listen on `{address}`: {error}"), hint))
    });
    let listener = listener.context("the health server cannot start")?;
    Ok(tokio::spawn(http::serve(listener, health.clone(), shutdown.clone())))
}

/// The scheduler's beats, told to the health server.
struct Beats(Arc<Health>);

impl Heartbeat for Beats {
    fn beat(&self) {
        self.0.beat();
    }
}
