//! Everything that runs need, opened once: state, sources, destinations, accounts.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use secrecy::SecretString;

use crate::{
    clock::Clock,
    model::{
        RunId,
        spec::{DestinationSpec, ModelSpec, SchedulerSettings, SecretSpec, SourceSpec, Specs, SyncSpec},
    },
    shutdown::Shutdown,
    source::Source,
    state::{State, StateError},
    telemetry::{event, events},
    wire::Accounts,
};

use super::{
    RunError, connection::Connections, quota::StateQuota, sharing::Apart, source_settings, tokens::StateTokens,
};

/// A secret that could not be read. Names the reference, never the secret.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct SecretFailure {
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub hint: String,
}

/// Reads secrets by their reference; the configuration implements it, because only it may look at the environment.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The secret as it is now.
    ///
    /// # Errors
    /// When the reference leads nowhere.
    async fn read(&self, secret: &SecretSpec) -> Result<SecretString, SecretFailure>;
}

/// What an engine is made of.
pub struct EngineParts {
    /// The validated configuration.
    pub specs: Specs,
    /// The scheduler's settings.
    pub scheduler: SchedulerSettings,
    /// The open state.
    pub state: State,
    /// Reads secrets.
    pub secrets: Arc<dyn Secrets>,
    /// Where plans are spooled.
    pub spool_dir: PathBuf,
    /// The wall clock.
    pub clock: Clock,
    /// Begins the graceful stop.
    pub shutdown: Shutdown,
}

/// Everything that runs need, opened once and shared by all runs of the process.
pub struct Engine {
    pub(super) parts: EngineParts,
    pub(super) connections: Arc<Connections>,
    /// Models whose last common read failed: their syncs read apart the next time.
    pub(super) apart: Apart,
    sources: Mutex<HashMap<String, Arc<dyn Source>>>,
    #[cfg(any(test, feature = "proof"))]
    pub(super) stand_ins: StandIns,
}

/// What tests use instead of the configured source and destination.
#[cfg(any(test, feature = "proof"))]
#[derive(Clone, Default)]
pub(super) struct StandIns {
    pub(super) source: Option<Arc<dyn Source>>,
    pub(super) destination: Option<Arc<dyn crate::destination::Destination>>,
}

impl Engine {
    /// An engine over an open state. Connects to nothing yet.
    pub fn new(parts: EngineParts) -> Self {
        let quota = Arc::new(StateQuota::new(parts.state.clone()));
        let accounts = Accounts::new(parts.clock.clone(), quota, parts.shutdown.clone())
            .shared(parts.state.budget())
            .with_tokens(Arc::new(StateTokens::new(parts.state.clone())));
        Self {
            connections: Arc::new(Connections::new(accounts)),
            apart: Apart::default(),
            parts,
            sources: Mutex::default(),
            #[cfg(any(test, feature = "proof"))]
            stand_ins: StandIns::default(),
        }
    }

    /// An engine of another configuration over the same state. Accounts go on with what they have sent; secrets are read
    /// again and sources opened anew. Runs under way keep the engine they began with.
    #[must_use]
    pub fn reconfigured(&self, specs: Specs, scheduler: SchedulerSettings) -> Self {
        let parts = EngineParts {
            specs,
            scheduler,
            state: self.parts.state.clone(),
            secrets: self.parts.secrets.clone(),
            spool_dir: self.parts.spool_dir.clone(),
            clock: self.parts.clock.clone(),
            shutdown: self.parts.shutdown.clone(),
        };
        Self {
            connections: self.connections.clone(),
            apart: Apart::default(),
            parts,
            sources: Mutex::default(),
            #[cfg(any(test, feature = "proof"))]
            stand_ins: self.stand_ins.clone(),
        }
    }

    /// The same engine over stand-ins.
    #[cfg(any(test, feature = "proof"))]
    #[must_use]
    pub fn with_stand_ins(
        mut self,
        source: Arc<dyn Source>,
        destination: Arc<dyn crate::destination::Destination>,
    ) -> Self {
        self.stand_ins = StandIns { source: Some(source), destination: Some(destination) };
        self
    }

    /// The same engine with one stand-in for all sources; destinations are as configured.
    #[cfg(any(test, feature = "proof"))]
    #[must_use]
    pub fn with_source(mut self, source: Arc<dyn Source>) -> Self {
        self.stand_ins.source = Some(source);
        self
    }

    /// The state.
    pub fn state(&self) -> &State {
        &self.parts.state
    }

    /// The wall clock.
    pub fn clock(&self) -> &Clock {
        &self.parts.clock
    }

    /// All enabled syncs.
    pub fn syncs(&self) -> impl Iterator<Item = &SyncSpec> {
        self.parts.specs.syncs.iter().filter(|sync| sync.enabled)
    }

    /// One sync by name.
    pub fn sync(&self, name: &str) -> Option<&SyncSpec> {
        self.parts.specs.syncs.iter().find(|sync| sync.name == name)
    }

    /// The configuration.
    pub fn specs(&self) -> &Specs {
        &self.parts.specs
    }

    /// Runs at once.
    pub fn max_runs(&self) -> usize {
        self.parts.scheduler.max_runs.max(1)
    }

    /// Lets the changes of a guarded run through; they go with the sync's next run.
    ///
    /// # Errors
    /// When the run holds nothing to approve, or the state fails.
    pub async fn approve(&self, run: RunId) -> Result<(), StateError> {
        self.parts.state.approve(run).await?;
        event!(events::GUARD_APPROVED, run = %run);
        Ok(())
    }

    pub(super) fn model(&self, sync: &SyncSpec) -> Result<&ModelSpec, RunError> {
        let found = self.parts.specs.models.iter().find(|model| model.name == sync.model);
        found.ok_or_else(|| RunError::unknown("model", &sync.model))
    }

    pub(super) fn destination(&self, sync: &SyncSpec) -> Result<&DestinationSpec, RunError> {
        let found = self.parts.specs.destinations.iter().find(|spec| spec.name == sync.destination);
        found.ok_or_else(|| RunError::unknown("destination", &sync.destination))
    }

    /// The settings of a source.
    pub(super) fn source_spec(&self, name: &str) -> Result<&SourceSpec, RunError> {
        let found = self.parts.specs.sources.iter().find(|source| source.name == name);
        found.ok_or_else(|| RunError::unknown("source", name))
    }

    /// The source, opened at first use. Secrets are read again each time until it opens.
    ///
    /// # Errors
    /// When its settings or secrets cannot be used.
    pub async fn source(&self, name: &str) -> Result<Arc<dyn Source>, RunError> {
        #[cfg(any(test, feature = "proof"))]
        if let Some(source) = &self.stand_ins.source {
            return Ok(source.clone());
        }
        let known = |sources: &HashMap<String, Arc<dyn Source>>| sources.get(name).cloned();
        if let Some(source) = known(&self.sources.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(source);
        }
        let settings = source_settings::resolve(self.source_spec(name)?, self.parts.secrets.as_ref()).await?;
        let source: Arc<dyn Source> = Arc::from(crate::source::open(&settings)?);
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), source.clone());
        Ok(source)
    }
}
