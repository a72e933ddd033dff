//! A folder with a configuration and an SQLite warehouse, and the real binary run in it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::process::{Finished, Running, program};

/// The file of the workspace's warehouse, relative to it.
const WAREHOUSE: &str = "warehouse.db";

/// A working directory of its own; disappears with this value. Commands run in it with an empty environment.
pub(crate) struct Workspace {
    folder: TempDir,
    variables: BTreeMap<String, String>,
}

impl Workspace {
    /// An empty folder, without configuration.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("no temporary folder"), variables: BTreeMap::new() }
    }

    /// A path in the workspace.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Sets a variable for every later command.
    pub(crate) fn variable(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Writes a file and the folders above it.
    pub(crate) fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().expect("a file in the workspace")).expect("no folder");
        fs::write(path, text).expect("the file cannot be written");
    }

    /// Copies the files of a folder of the repository (not recursive).
    pub(crate) fn copy(&self, from: &str, to: &str) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(from);
        for entry in fs::read_dir(from).expect("no such folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                continue;
            }
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
            self.write(&format!("{to}/{name}"), &fs::read_to_string(&path).expect("a text file"));
        }
    }

    /// Runs statements on the warehouse `warehouse.db`, which the first call makes.
    pub(crate) fn sql(&self, sql: &str) {
        let (path, sql) = (self.path(WAREHOUSE), sql.to_owned());
        // A thread of its own, so that this also works inside an asynchronous test.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("no runtime");
            runtime.block_on(async {
                let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
                let mut connection = options.connect().await.expect("the warehouse cannot be opened");
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.expect("a statement failed");
                connection.close().await.expect("the warehouse cannot be closed");
            });
        })
        .join()
        .expect("the statements failed");
    }

    /// Runs `syncline` to its end.
    pub(crate) fn syncline(&self, arguments: &[&str]) -> Finished {
        let output = self.command(arguments).output().expect("the binary cannot be run");
        Finished::of(output.status, &output.stdout, &output.stderr)
    }

    /// Starts `syncline` and lets it run.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(arguments))
    }

    /// Starts `syncline` from a shell that has run `first`, such as `ulimit -n 64`.
    pub(crate) fn start_after(&self, first: &str, arguments: &[&str]) -> Running {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("{first} && exec \"$0\" \"$@\"")).arg(program()).args(arguments);
        command.current_dir(self.folder.path()).env_clear().envs(&self.variables).stdin(Stdio::null());
        Running::start(command)
    }

    /// A command that is not started yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).current_dir(self.folder.path()).env_clear().envs(&self.variables).stdin(Stdio::null());
        command
    }
}
