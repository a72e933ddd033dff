//! What commands share: the configuration, the state, the engine.
#![allow(clippy::print_stderr, reason = "warnings of the configuration go to stderr")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;

use super::{Format, exit::CliError};
use crate::{
    clock::Clock,
    config::{self, Environment, Loaded, SecretReader},
    model::spec::{LogSettings, SecretSpec, StateSettings},
    run::{Engine, EngineParts, SecretFailure, Secrets},
    shutdown::Shutdown,
    state::{Access, OpenOptions, State, StateError},
    telemetry,
};

/// What the command line says to every command.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) folders: Vec<PathBuf>,
    pub(super) format: Format,
    pub(super) shutdown: Shutdown,
    #[cfg(feature = "sabotage")]
    pub(super) sabotage: crate::model::Sabotage,
}

/// A configuration that is ready to be worked with.
pub(super) struct Setup<'a> {
    context: &'a Context,
    pub(super) loaded: Loaded,
    secrets: SecretReader,
}

/// An engine for commands that change nothing.
pub(super) struct Reading {
    pub(super) engine: Engine,
    /// There is no state yet: the engine works on an empty one that is thrown away.
    _scratch: Option<TempDir>,
}

impl Context {
    /// The configuration; prints its warnings.
    ///
    /// # Errors
    /// Every mistake of it.
    pub(super) fn load(&self) -> anyhow::Result<Loaded> {
        let loaded = config::load(&self.folders, &Environment::of_process())?;
        for warning in &loaded.warnings {
            eprintln!("{}", warning.to_warning());
        }
        Ok(loaded)
    }

    /// The configuration and the log, for the daemon: as configured.
    pub(super) fn daemon(&self) -> anyhow::Result<Setup<'_>> {
        let loaded = self.load()?;
        telemetry::init(&loaded.settings.log)?;
        Ok(self.setup(loaded))
    }

    /// The configuration and the log, for a command that prints a result: warnings only, unless the configuration asks
    /// for more than the default.
    pub(super) fn command(&self) -> anyhow::Result<Setup<'_>> {
        let loaded = self.load()?;
        let LogSettings { level, format } = loaded.settings.log.clone();
        let level = if level == "info" { "warn".to_owned() } else { level };
        telemetry::init(&LogSettings { level, format })?;
        Ok(self.setup(loaded))
    }

    fn setup(&self, loaded: Loaded) -> Setup<'_> {
        Setup { context: self, loaded, secrets: SecretReader::new(Environment::of_process()) }
    }

    /// Whether results are printed as JSON.
    pub(super) fn json(&self) -> bool {
        self.format == Format::Json
    }
}

impl Setup<'_> {
    /// Opens the state to run syncs; `command` is told to others that find it locked.
    ///
    /// # Errors
    /// As [`State::open`], which see; also when the state's URL or key cannot be read.
    pub(super) async fn runner(&self, command: &str) -> anyhow::Result<Engine> {
        let path = self.state_file().await?;
        let state = self.open(path.clone(), Access::Runner).await?;
        state.announce(command)?;
        Ok(self.engine(state, folder_of(&path)))
    }

    /// Opens the state beside whoever runs syncs on it. `None`: there is none yet.
    ///
    /// # Errors
    /// As [`Setup::runner`].
    pub(super) async fn reader(&self) -> anyhow::Result<Option<Engine>> {
        let path = self.state_file().await?;
        match self.open(path.clone(), Access::Reader).await {
            Ok(state) => Ok(Some(self.engine(state, folder_of(&path)))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An engine that only looks: on the state, or on an empty one when there is none yet.
    ///
    /// # Errors
    /// As [`Setup::runner`].
    pub(super) async fn reading(&self) -> anyhow::Result<Reading> {
        if let Some(engine) = self.reader().await? {
            return Ok(Reading { engine, _scratch: None });
        }
        let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
        let options = OpenOptions {
            path: scratch.path().join("state.db"),
            key: None,
            environment: None,
            access: Access::Runner,
            clock: Clock::system(),
        };
        let state = State::open(options).await?;
        Ok(Reading { engine: self.engine(state, scratch.path().to_owned()), _scratch: Some(scratch) })
    }

    /// The path of the state file.
    ///
    /// # Errors
    /// When the URL is a secret that cannot be read, or no `sqlite://` URL.
    pub(super) async fn state_file(&self) -> anyhow::Result<PathBuf> {
        let StateSettings { url, .. } = &self.loaded.settings.state;
        let text = self.secrets.text(url).await.context("`[state] url` cannot be read")?;
        let path = text.expose_secret().strip_prefix("sqlite://").filter(|path| !path.is_empty());
        path.map(PathBuf::from).ok_or_else(|| {
            CliError::usage("`[state] url` is not usable", "write `url = \"sqlite://data/syncline.db\"`").into()
        })
    }

    async fn open(&self, path: PathBuf, access: Access) -> anyhow::Result<State> {
        let key = match &self.loaded.settings.state.key {
            Some(reference) => Some(self.secrets.read(reference).await.context("`[state] key` cannot be read")?),
            None => None,
        };
        let environment = self.loaded.specs.environment.clone();
        Ok(State::open(OpenOptions { path, key, environment, access, clock: Clock::system() }).await?)
    }

    fn engine(&self, state: State, spool_dir: PathBuf) -> Engine {
        Engine::new(EngineParts {
            specs: self.loaded.specs.clone(),
            scheduler: self.loaded.settings.scheduler.clone(),
            state,
            secrets: Arc::new(ConfiguredSecrets(self.secrets.clone())),
            spool_dir,
            clock: Clock::system(),
            shutdown: self.context.shutdown.clone(),
            #[cfg(feature = "sabotage")]
            sabotage: self.context.sabotage,
        })
    }
}

fn is_missing(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(StateError::Missing { .. }))
}

/// The folder of a file; that of a bare name is the working directory.
fn folder_of(path: &Path) -> PathBuf {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// Secrets as the configuration refers to them.
pub(super) struct ConfiguredSecrets(pub(super) SecretReader);

#[async_trait]
impl Secrets for ConfiguredSecrets {
    async fn read(&self, secret: &SecretSpec) -> Result<SecretString, SecretFailure> {
        self.0.read(secret).await.map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            SecretFailure { reason: format!("{error}{cause}"), hint: error.hint() }
        })
    }
}
