//! One process measured from its start to its end, and many of them in turns.

use std::{
    fs,
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::wait;

/// How often the peak of a process's memory is read; what comes after the last look is missed.
const LOOK: Duration = Duration::from_millis(4);
/// `USER_HZ`, in which the kernel tells processor time: 100 on every Linux (proc(5), `sysconf(_SC_CLK_TCK)`).
const TICKS: f64 = 100.0;

/// One process from its start to its end.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// Seconds from its start to its end.
    pub(crate) wall: f64,
    /// Seconds of processor time, its own and that of its children, in steps of 10 ms.
    pub(crate) cpu: f64,
    /// Peak of its resident memory in KiB.
    pub(crate) peak_kib: u64,
    /// All of standard output.
    pub(crate) stdout: String,
}

/// Runs a command to its end, which must be a success; `silent` sends its output to `/dev/null`.
#[track_caller]
pub(crate) fn measure(mut command: Command, silent: bool) -> Sample {
    let output = if silent { Stdio::null() } else { Stdio::piped() };
    command.stdin(Stdio::null()).stdout(output).stderr(Stdio::piped());
    let before = cpu_of_children();
    let (output, wall, peak_kib) = wait(watch(command));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}:\n{stdout}\n{stderr}", output.status);
    Sample { wall: wall.as_secs_f64(), cpu: cpu_of_children() - before, peak_kib, stdout }
}

async fn watch(command: Command) -> (Output, Duration, u64) {
    let began = Instant::now();
    let child = tokio::process::Command::from(command).spawn().expect("the program cannot be run");
    let id = child.id().expect("it has just been started");
    let ended = child.wait_with_output();
    tokio::pin!(ended);
    let (mut looks, mut peak) = (interval(LOOK), 0);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            output = &mut ended => return (output.expect("cannot be waited for"), began.elapsed(), peak),
            _ = looks.tick() => peak = peak.max(peak_kib(id).unwrap_or(0)),
        }
    }
}

/// Processor time of the children that have ended, in seconds.
fn cpu_of_children() -> f64 {
    let times = stat("self");
    (times[2] + times[3]) / TICKS
}

/// Processor time of a process that runs, in seconds.
pub(crate) fn cpu_of(process: u32) -> f64 {
    let times = stat(&process.to_string());
    (times[0] + times[1]) / TICKS
}

/// `utime`, `stime`, `cutime` and `cstime` of proc(5).
fn stat(process: &str) -> [f64; 4] {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
    // The name, which may hold anything, ends with the last bracket; `utime` is the 12th field after it.
    let (_, fields) = text.rsplit_once(')').expect("a name in brackets");
    let mut fields = fields.split_whitespace().skip(11).map(|field| field.parse().expect("a number"));
    std::array::from_fn(|_| fields.next().expect("four times"))
}

/// Peak of the resident memory of a process that runs, in KiB.
pub(crate) fn peak_kib(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// Runs each contender once a round, in turns, so that what else the machine does strikes all of them.
pub(crate) fn in_turns<const N: usize>(
    rounds: usize,
    mut contenders: [&mut dyn FnMut(usize) -> Sample; N],
) -> [Series; N] {
    let mut series = std::array::from_fn(|_| Series(Vec::new()));
    for round in 0..rounds {
        for (contender, series) in contenders.iter_mut().zip(&mut series) {
            let sample = contender(round);
            eprint!(" {:.3}", sample.wall);
            series.0.push(sample);
        }
        eprintln!();
    }
    series
}

/// The samples of one contender.
#[derive(Debug, Clone)]
pub(crate) struct Series(pub(crate) Vec<Sample>);

impl Series {
    /// Wall time, in seconds.
    pub(crate) fn wall(&self) -> Spread {
        Spread::of(self.0.iter().map(|sample| sample.wall))
    }

    /// Processor time, in seconds.
    pub(crate) fn cpu(&self) -> Spread {
        Spread::of(self.0.iter().map(|sample| sample.cpu))
    }

    /// Highest peak of memory, in MiB.
    pub(crate) fn peak(&self) -> f64 {
        self.0.iter().map(|sample| sample.peak_kib as f64 / 1024.0).fold(0.0, f64::max)
    }

    /// Wall time over that of another, round by round.
    pub(crate) fn over(&self, other: &Self) -> Spread {
        Spread::of(self.0.iter().zip(&other.0).map(|(ours, theirs)| ours.wall / theirs.wall))
    }

    /// Everything measured.
    pub(crate) fn json(&self) -> Value {
        let line = |s: &Sample| json!({ "wall_s": s.wall, "cpu_s": s.cpu, "peak_kib": s.peak_kib });
        self.0.iter().map(line).collect()
    }
}

/// Median, least and greatest of some figures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Of at least one figure.
    pub(crate) fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.collect();
        sorted.sort_by(f64::total_cmp);
        let middle = (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0;
        Self { median: middle, least: sorted[0], most: sorted[sorted.len() - 1] }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = f.precision().unwrap_or(2);
        write!(f, "{:.digits$} ({:.digits$}–{:.digits$})", self.median, self.least, self.most)
    }
}
