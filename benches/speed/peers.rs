//! The peers as commands (`benches/peers/README.md`).

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    bed::Bed,
    sample::{Sample, measure},
    support::TOKEN,
};

/// `psql -c "copy (QUERY) to stdout" > /dev/null`.
#[track_caller]
pub(crate) fn psql_copy(bed: &Bed, query: &str) -> Sample {
    let mut command = Command::new(peer("psql-copy.sh"));
    command.arg(bed.url()).arg(query);
    measure(command, true)
}

/// The streaming loop of sqlx, in a process of its own.
#[track_caller]
pub(crate) fn sqlx_loop(bed: &Bed, query: &str, rows: u64) -> Sample {
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args(["sqlx-loop", &bed.url(), query]);
    let sample = measure(command, false);
    let seen: serde_json::Value = serde_json::from_str(&sample.stdout).expect("JSON");
    assert_eq!(seen["rows"], rows);
    sample
}

/// How drt finds what has changed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Drt {
    Cursor,
    Full,
}

/// The Python peers, when they are installed.
pub(crate) struct Python(PathBuf);

impl Python {
    /// Those in `benches/peers/.venv`.
    pub(crate) fn installed() -> Option<Self> {
        let folder = peer(".venv/bin");
        (folder.join("drt").is_file() && folder.join("python").is_file()).then_some(Self(folder))
    }

    /// Why there are none.
    pub(crate) const MISSING: &str = "benches/peers/.venv is not installed, see benches/peers/README.md";

    /// drt with the rows of `customers`; its project and state are in `folder`.
    #[track_caller]
    pub(crate) fn drt(&self, mode: Drt, bed: &Bed, destination: &str, folder: &Path) -> Sample {
        let mut command = Command::new(peer("drt.sh"));
        let mode = match mode {
            Drt::Cursor => "cursor",
            Drt::Full => "full",
        };
        command.arg(mode).arg(folder).arg(bed.url()).arg(destination);
        self.measure(command)
    }

    /// The script; its hashes are in `folder`.
    #[track_caller]
    pub(crate) fn script(&self, bed: &Bed, destination: &str, folder: &Path) -> Sample {
        let mut command = Command::new(self.0.join("python"));
        command.arg(peer("script.py")).arg(bed.url()).arg(destination).arg(folder.join("hashes.db"));
        self.measure(command)
    }

    #[track_caller]
    fn measure(&self, mut command: Command) -> Sample {
        command.env("VIRTUAL_ENV", self.0.parent().expect("a folder above")).env("CRM_TOKEN", TOKEN);
        measure(command, false)
    }
}

fn peer(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers").join(name)
}
