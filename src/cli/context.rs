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
    state::{Access, Location, OpenOptions, State, StateError},
    telemetry,
};

/// What the command line says to every command.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) folders: Vec<PathBuf>,
    pub(super) format: Format,
    pub(super) shutdown: Shutdown,
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
        let location = self.location().await?;
        let folder = self.folder_of(&location);
        let state = self.open(location, Access::Runner).await?;
        state.announce(command).await?;
        Ok(self.engine(state, folder))
    }

    /// Opens the state beside whoever runs syncs on it. `None`: there is none yet.
    ///
    /// # Errors
    /// As [`Setup::runner`].
    pub(super) async fn reader(&self) -> anyhow::Result<Option<Engine>> {
        let location = self.location().await?;
        let folder = self.folder_of(&location);
        match self.open(location, Access::Reader).await {
            Ok(state) => Ok(Some(self.engine(state, folder))),
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
        let location = Location::Sqlite(scratch.path().join("state.db"));
        let state = State::open(OpenOptions::new(location, Access::Runner)).await?;
        Ok(Reading { engine: self.engine(state, scratch.path().to_owned()), _scratch: Some(scratch) })
    }

    /// Where the state is.
    ///
    /// # Errors
    /// When the URL is a secret that cannot be read, or neither an `sqlite://` nor a `postgres://` URL.
    pub(super) async fn location(&self) -> anyhow::Result<Location> {
        let StateSettings { url, folder, .. } = &self.loaded.settings.state;
        let url = self.secrets.text(url).await.context("`[state] url` cannot be read")?;
        let text = url.expose_secret();
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Location::Postgres { folder: folder.clone(), url });
        }
        let path = text.strip_prefix("sqlite://").filter(|path| !path.is_empty());
        path.map(|path| Location::Sqlite(path.into())).ok_or_else(|| {
            let hint = "write `url = \"sqlite://data/syncline.db\"`, or a `postgres://` URL";
            CliError::usage("`[state] url` is not usable", hint).into()
        })
    }

    /// Where plans are spooled.
    fn folder_of(&self, location: &Location) -> PathBuf {
        match location {
            Location::Sqlite(path) => folder_of(path),
            Location::Postgres { folder, .. } => folder.clone(),
        }
    }

    async fn open(&self, location: Location, access: Access) -> anyhow::Result<State> {
        let key = match &self.loaded.settings.state.key {
            Some(reference) => Some(self.secrets.read(reference).await.context("`[state] key` cannot be read")?),
            None => None,
        };
        let environment = self.loaded.specs.environment.clone();
        let lease = self.loaded.settings.state.lease;
        let label = location.label();
        let opened = State::open(OpenOptions { key, environment, lease, ..OpenOptions::new(location, access) }).await;
        opened.map_err(|error| named(error, &label))
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
        })
    }
}

/// Says which state it is, where the error itself does not.
fn named(error: StateError, label: &Path) -> anyhow::Error {
    let nameless = matches!(
        error,
        StateError::Damaged { .. } | StateError::WrongKey | StateError::Environment { .. } | StateError::Store { .. }
    );
    let error = anyhow::Error::new(error);
    if nameless { error.context(format!("cannot open the state `{}`", label.display())) } else { error }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_opening_says_which_state_it_is() {
        let other = StateError::Environment { found: "staging".into(), expected: "prod".into() };
        for error in [StateError::WrongKey, StateError::Damaged { what: "a page".into() }, other] {
            assert_eq!(named(error, Path::new("data/state.db")).to_string(), "cannot open the state `data/state.db`");
        }
        let locked = StateError::Changed;
        assert_eq!(named(locked.clone(), Path::new("data/state.db")).to_string(), locked.to_string());
    }
}
