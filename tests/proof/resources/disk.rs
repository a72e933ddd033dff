//! The disk of the state, or of the spool alone, is full in mid-run: ENOSPC from a small file system of its own.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Plan,
    stage::{PATIENCE, Stage, Warehouse, complaint},
};
use crate::{
    report::Report,
    support::pair::{Options, SYNC, database, is_quiet},
};

/// Bytes of the file system.
const SIZE: u64 = 16 << 20;
/// Requests that may still arrive once the disk is full: those of two workers, and of batches written ahead.
const UNDER_WAY: u64 = 4;

/// What is left of it to all but the spool.
const LEFT: u64 = 64 << 10;

/// A file system in memory that ends with this value.
struct Tmpfs(PathBuf);

impl Tmpfs {
    /// Needs root.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).expect("no folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o"])
            .arg(format!("size={SIZE},mode=0700"))
            .arg("tmpfs")
            .arg(at)
            .output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Takes all the space that is left.
    fn fill(&self) {
        let mut file = File::create(self.filler()).expect("a file");
        let block = vec![1; 1 << 20];
        for size in [1 << 20, 1 << 12] {
            while file.write_all(&block[..size]).is_ok() {}
        }
    }

    /// Takes all but so many bytes.
    fn fill_but(&self, bytes: u64) {
        self.fill();
        let file = File::options().write(true).open(self.filler()).expect("the filler");
        let length = file.metadata().expect("the filler").len();
        file.set_len(length - bytes).expect("a shorter file");
    }

    /// Gives it back.
    fn free(&self) {
        fs::remove_file(self.filler()).expect("the filler");
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a process of a scenario that failed may still be there.
        drop(Command::new("umount").arg("-l").arg(&self.0).output());
    }
}

fn skipped() -> Report {
    let mut report = Report::new();
    report.figure("skipped", "needs root, to mount a small file system");
    report
}

/// The state's own disk. The daemon stops (promise P7) with exit code 1; started again by whoever supervises it, it goes on.
pub(super) fn state(plan: &Plan) -> Report {
    let options = Options { simulator: &["--latency", "150ms"], ..Options::default() };
    let mut stage = Stage::new(plan, plan.rows, Warehouse::Sqlite, &options);
    let Some(disk) = Tmpfs::mount(&stage.pair.workspace.path("data")) else { return skipped() };
    let mut report = Report::new();
    stage.settle();
    stage.judge(0, &mut report);
    for _ in 0..plan.rounds {
        stage.mutate();
        fill_in_mid_run(plan, &mut stage, &disk, &mut report);
        refuses_to_begin(plan, &stage, &mut report);
        stage.mutate();
        disk.free();
        // The state opens.
        stage.pair.standing("dirty");
        stage.ends_right(1, &mut report);
        report.add("rounds", 1);
    }
    report
}

fn fill_in_mid_run(plan: &Plan, stage: &mut Stage, disk: &Tmpfs, report: &mut Report) {
    let daemon = stage.pair.workspace.start(&plan.arguments(&["run"]));
    // The first request asks whose the token is.
    let begun = stage.rng.u32(2..=5);
    stage.pair.sim.get(&format!("wait?requests={begun}"));
    disk.fill();
    let before = stage.pair.sim.requests();
    report.demand(daemon.ends_within(PATIENCE), "the daemon went on without a disk");
    let ended = daemon.terminate();
    let after = stage.pair.sim.requests() - before;
    report.add("requests_after_full", after);
    report.demand(after <= UNDER_WAY, format!("{after} requests were sent after the disk was full"));
    report
        .demand(ended.code == Some(1), format!("exit code {:?}, expected 1: {}", ended.code, complaint(&ended.stderr)));
    tells(&ended.stderr, report);
}

/// A command that is started while the disk is full sends nothing.
fn refuses_to_begin(plan: &Plan, stage: &Stage, report: &mut Report) {
    let before = stage.pair.judged("/requests/inputs");
    let ended = stage.pair.workspace.syncline(&plan.arguments(&["sync", SYNC]));
    report
        .demand(ended.code == Some(1), format!("`sync` on a full disk ended with {:?}: {}", ended.code, ended.stdout));
    tells(&format!("{}{}", ended.stdout, ended.stderr), report);
    let sent = stage.pair.judged("/requests/inputs") - before;
    report.demand(sent == 0, format!("{sent} rows were sent by a command that began on a full disk"));
}

/// The file that could not be written, or the folder of one without a name.
fn names_it(said: &str) -> bool {
    said.contains("data/state.db") || said.contains("a temporary file in `data`")
}

/// What is said names the place and what to do.
fn tells(said: &str, report: &mut Report) {
    let said = complaint(said);
    report.say("said", &said);
    let helps = names_it(&said) && said.contains("free space");
    report.demand(helps, format!("the message does not say where, or what to do: {said}"));
    // In SQLite's words, or in the system's.
    let clear = said.contains("disk is full") || said.contains("No space left");
    report.demand(clear, format!("the message does not say what is wrong: {said}"));
    let errors = said.split(" | ").filter(|line| line.starts_with("error:") || line.contains("run.failed"));
    for error in errors {
        report.demand(names_it(error), format!("the message does not name the place: {error}"));
    }
}

/// The spool's disk, with the state in PostgreSQL: only the run fails, and the daemon goes on by itself.
pub(super) fn spool(plan: &Plan) -> Report {
    let state = database();
    let options = Options { state_url: &state.url, ..Options::default() };
    let mut stage = Stage::new(plan, 10, Warehouse::Sqlite, &options);
    let Some(disk) = Tmpfs::mount(&stage.pair.workspace.path("data")) else { return skipped() };
    let mut report = Report::new();
    stage.settle();
    stage.judge(0, &mut report);
    let daemon = stage.pair.workspace.start(&plan.arguments(&["run"]));
    daemon.wait_for_log("scheduler.started");
    // The small high-water mark finds room, a plan that does not stay in memory finds none.
    disk.fill_but(LEFT);
    stage.insert(plan.rows.max(6_000));
    let failed = daemon.find_log(PATIENCE, |line| line.contains("run.failed"));
    let said = failed.unwrap_or_else(|all| all);
    report.say("said", &said);
    for part in ["no space left", "`data`", "hint"] {
        report.demand(said.contains(part), format!("the message does not say `{part}`: {said}"));
    }
    stage.sent_nothing("without a spool", &mut report);
    let logged = daemon.log_lines();
    disk.free();
    let quiet = daemon.find_log_after(logged, PATIENCE, is_quiet);
    report.demand(quiet.is_ok(), "the daemon did not go on by itself");
    let ended = daemon.terminate();
    report.demand(ended.code == Some(0), format!("exit code {:?}: {}", ended.code, complaint(&ended.stderr)));
    stage.ends_right(0, &mut report);
    report.figure("rows", stage.len());
    report
}
