//! A real state with something in every table, the vendor's records, and damaged copies of it given to the real binary.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use fastrand::Rng;
use serde_json::Value;

use super::harm::{Harm, STATE};
use crate::support::{
    Finished,
    pair::{Audit, Content, Options, Pair, SYNC},
};

/// Rows that the vendor takes.
const ROWS: u32 = 300;
/// A run sends fewer rows than this, unless its state says that it is suspect.
const MASS: u64 = ROWS as u64 / 10;
/// Longest wait for a run.
const PATIENCE: Duration = Duration::from_secs(120);
/// Stands in a state that has found itself to be older than its mark.
const SUSPECT: &[u8] = b"former_state_ids";

/// How a run over a damaged state ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    /// Refused, with a reason; nothing was sent.
    Refused,
    /// Held by the guard; nothing was sent.
    Guarded,
    /// Suspect: everything is sent again, removals are held.
    Suspect,
    /// The vendor's records are as before, and few rows were sent again.
    Harmless,
}

/// A workspace, a simulator, and what the state's folder was at three times.
pub(super) struct Lab {
    pair: Pair,
    model: BTreeMap<u32, Content>,
    ever_made: usize,
    broken: Vec<String>,
    folders: tempfile::TempDir,
}

impl Lab {
    /// Delivers rows, some of them refused and invalid; keeps the folder after that (`older`), in the middle of a run that
    /// was killed (`killed`), and at the end (`quiet`).
    pub(super) fn new(broken: &[&str]) -> Self {
        let options = Options { simulator: &["--latency", "60ms"], ..Options::default() };
        let row = |id: u32| format!("({id}, 'p{id}@example.com', 'free')");
        let mut rows: Vec<String> = (1..=ROWS).map(row).collect();
        rows.extend((1..=3).map(|at| format!("({}, 'no address {at}', 'free')", 1000 + at)));
        rows.push("(2000, null, 'free')".to_owned());
        let pair = Pair::with_rows(&options, &rows.join(", "));
        let folders = tempfile::tempdir().expect("no temporary folder");
        let broken: Vec<String> = broken.iter().map(|word| (*word).to_owned()).collect();
        let lab = Self { pair, model: BTreeMap::new(), ever_made: 0, broken, folders };
        lab.pair.sync(3);
        lab.keep("older");
        lab.pair.sql("delete from m where id <= 3; update m set plan = 'gold' where id between 4 and 9;");
        lab.pair.sql(&format!("insert into m values {}, {}", row(ROWS + 1), row(ROWS + 2)));
        lab.pair.sync(3);
        lab.pair.sql("update m set plan = 'gold' where id between 20 and 31");
        lab.kill();
        lab.keep("killed");
        lab.pair.sync(3);
        lab.keep("quiet");
        let plan = |id: u32| if (4..10).contains(&id) || (20..32).contains(&id) { "gold" } else { "free" };
        let content = |id: u32| (format!("p{id}@example.com"), plan(id).to_owned());
        let model: BTreeMap<u32, Content> = (4..=ROWS + 2).map(|id| (id, content(id))).collect();
        let ever_made = lab.pair.ever_made();
        assert_eq!(lab.pair.audit(&model), Audit::default(), "the vendor holds the model before any damage");
        Self { model, ever_made, ..lab }
    }

    /// Kills a run whose request is under way.
    fn kill(&self) {
        self.pair.sim.post("reset-requests", "");
        let running = self.pair.workspace.start(&self.command());
        self.pair.sim.get("wait?requests=2");
        running.kill();
    }

    fn command(&self) -> Vec<&str> {
        self.broken.iter().map(String::as_str).chain(["sync", SYNC, "--output", "json"]).collect()
    }

    fn data(&self) -> PathBuf {
        self.pair.workspace.path("data")
    }

    fn kept(&self, name: &str) -> PathBuf {
        self.folders.path().join(name)
    }

    fn keep(&self, name: &str) {
        copy_folder(&self.data(), &self.kept(name));
    }

    /// Damages a copy and runs over it. An error: what was broken, with what was done to the files.
    pub(super) fn attack(&self, number: u64, rng: &mut Rng) -> (Harm, Result<End, String>) {
        let harm = Harm::draw(number, rng);
        let killed = harm.needs_wal() || rng.u32(0..3) == 0;
        let base = if killed { "killed" } else { "quiet" };
        fs::remove_dir_all(self.data()).expect("the folder can be removed");
        copy_folder(&self.kept(base), &self.data());
        let done = harm.inflict(&self.data(), &self.kept("older"), &self.pair.workspace.path("warehouse.db"), rng);
        self.keep("damaged");
        let ended = self.run(harm).map_err(|what| format!("{base}, {harm:?} ({done}): {what}"));
        if ended.is_err() {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("damage-{number}"));
            fs::remove_dir_all(&folder).unwrap_or(());
            copy_folder(&self.kept("damaged"), &folder);
        }
        (harm, ended)
    }

    fn run(&self, harm: Harm) -> Result<End, String> {
        let before = self.writes();
        let running = self.pair.workspace.start(&self.command());
        if !running.ends_within(PATIENCE) {
            running.kill();
            return Err("it hangs".to_owned());
        }
        let ended = running.wait();
        let sent = self.writes() - before;
        let said = format!("{}{}", ended.stdout, ended.stderr);
        let told = || said.chars().take(600).collect::<String>();
        if said.contains("panicked") {
            return Err(format!("it panics: {}", told()));
        }
        let audit = self.pair.audit(&self.model);
        if audit != Audit::default() || self.pair.ever_made() != self.ever_made {
            return Err(format!("{audit:?}, {} records more: {}", self.pair.ever_made() - self.ever_made, told()));
        }
        match (ended.code, sent) {
            (Some(1), 0) => refusal(&ended).map(|()| End::Refused),
            (Some(4), 0) => Ok(End::Guarded),
            (Some(0 | 3 | 4), _) if self.is_suspect() => Ok(End::Suspect),
            // The mark stands beside it and says so.
            _ if harm == Harm::Older => Err(format!("an older state is not noticed: {}", told())),
            (Some(0 | 3), sent) if sent < MASS => Ok(End::Harmless),
            (code, sent) => Err(format!("exit {code:?} after {sent} rows: {}", told())),
        }
    }

    fn writes(&self) -> u64 {
        ["/writes/identical", "/writes/different"].map(|name| self.pair.judged(name)).iter().sum()
    }

    fn is_suspect(&self) -> bool {
        let holds = |name: &str| {
            let bytes = fs::read(self.data().join(name)).unwrap_or_default();
            bytes.windows(SUSPECT.len()).any(|window| window == SUSPECT)
        };
        holds(STATE) || holds("state.db-wal")
    }
}

/// A refusal names the state, says why and what to do: in the run's report, or as the command's error.
fn refusal(ended: &Finished) -> Result<(), String> {
    let document: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
    let report = &document["syncs"][0];
    let of_run = report["reason"].is_string() && report["hint"].is_string();
    let of_command = ended.stderr.contains(STATE) && ended.stderr.contains("hint:");
    let said = || format!("{}{}", ended.stdout, ended.stderr);
    if of_run || of_command { Ok(()) } else { Err(format!("a refusal that does not help: {}", said())) }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::remove_dir_all(to).unwrap_or(());
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        // Locks are files too.
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("a file to copy");
        }
    }
}
