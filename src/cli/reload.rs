//! SIGHUP: reads the configuration again, for the runs that come.

use std::{path::PathBuf, sync::Arc};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinHandle,
};

use super::validate;
use crate::{
    config::{self, Changes, ConfigErrors, Environment, Loaded},
    run::Engine,
    shutdown::Shutdown,
    telemetry::{event, events},
};

/// Reads the configuration again at every SIGHUP. A broken one changes nothing.
pub(super) struct Reloader {
    folders: Vec<PathBuf>,
    current: Loaded,
    engines: watch::Sender<Arc<Engine>>,
    hangups: Signal,
}

impl Reloader {
    /// Listens from now on. `current` is what `engine` was made from.
    ///
    /// # Errors
    /// When signals cannot be listened for.
    pub(super) fn listen(folders: &[PathBuf], current: Loaded, engine: Arc<Engine>) -> std::io::Result<Self> {
        let hangups = signal(SignalKind::hangup())?;
        Ok(Self { folders: folders.to_owned(), current, engines: watch::Sender::new(engine), hangups })
    }

    /// Where later configurations are handed out.
    pub(super) fn engines(&self) -> watch::Receiver<Arc<Engine>> {
        self.engines.subscribe()
    }

    /// Serves until the stop.
    pub(super) fn spawn(mut self, shutdown: Shutdown) -> JoinHandle<()> {
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    hangup = self.hangups.recv() => match hangup {
                        Some(()) => self.reload().await,
                        None => return,
                    }
                }
            }
        })
    }

    async fn reload(&mut self) {
        let folders = self.folders.clone();
        match tokio::task::spawn_blocking(move || read(&folders)).await {
            Ok(Ok(loaded)) => self.take_over(loaded),
            Ok(Err(errors)) => reject(&errors),
            // The panic hook has logged the defect; the configuration in force stays.
            Err(_) => {}
        }
    }

    fn take_over(&mut self, loaded: Loaded) {
        let changes = Changes::between(&self.current, &loaded);
        let engine = self.engines.borrow().reconfigured(loaded.specs.clone(), loaded.settings.scheduler.clone());
        self.engines.send_replace(Arc::new(engine));
        log(&loaded, &changes);
        // What a running daemon cannot take over is compared with what it runs with, also next time.
        let mut current = loaded;
        let scheduler = current.settings.scheduler.clone();
        current.settings = self.current.settings.clone();
        current.settings.scheduler = scheduler;
        current.specs.environment = self.current.specs.environment.take();
        self.current = current;
    }
}

fn read(folders: &[PathBuf]) -> Result<Loaded, ConfigErrors> {
    let loaded = config::load(folders, &Environment::of_process())?;
    validate::check_connectors(&loaded)?;
    Ok(loaded)
}

fn reject(errors: &ConfigErrors) {
    let listed: Vec<_> =
        errors.0.iter().map(|error| format!("{}: {}: {}", error.origin, error.message, error.cause)).collect();
    let hint = "correct it and send SIGHUP again; until then the configuration in force stays";
    event!(events::CONFIG_REJECTED, errors = listed.len(), error = listed.join("; "), hint);
}

fn log(loaded: &Loaded, changes: &Changes) {
    let names = |names: &[String]| (!names.is_empty()).then(|| names.join(", "));
    let specs = &loaded.specs;
    event!(
        events::CONFIG_RELOADED,
        sources = specs.sources.len(),
        models = specs.models.len(),
        destinations = specs.destinations.len(),
        syncs = specs.syncs.len(),
        added = names(&changes.added),
        removed = names(&changes.removed),
        changed = names(&changes.changed),
        warnings = loaded.warnings.len()
    );
    if !changes.kept.is_empty() {
        let hint = "restart the daemon for them";
        event!(events::CONFIG_KEPT, settings = changes.kept.join(", "), hint);
    }
}
