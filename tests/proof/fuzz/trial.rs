//! One input through one target: panics are caught, slowness is measured, and what never ends is named.

use std::{
    cell::RefCell,
    collections::HashMap,
    fmt,
    panic::AssertUnwindSafe,
    sync::{Mutex, OnceLock, mpsc},
    thread::ThreadId,
    time::Duration,
};

use syncline::proof::Target;
use tokio::time::Instant;

use super::corpus;

/// Longest time for one input: far above what any takes, far below what a cost that grows with the square of 64 KiB
/// takes. What takes longer is tried again, and then its own processor time counts.
const SLOW: Duration = Duration::from_secs(if cfg!(debug_assertions) { 5 } else { 1 });
/// After this nobody waits any more.
const HANGS: Duration = Duration::from_secs(120);
/// Attempts to make an input smaller, and the longest time for all of them: slow inputs stay slow while they shrink.
const ATTEMPTS: usize = 2_000;
const PATIENCE: Duration = Duration::from_secs(20);

thread_local! {
    static SAID: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
}

/// How an input failed.
pub(super) struct Failure {
    /// Where it panicked: two failures of one place count once.
    pub(super) place: String,
    what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.what, self.place)
    }
}

/// Runs `work` while panics are noted instead of printed.
pub(super) fn quietly<T>(work: impl FnOnce() -> T) -> T {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        SAID.with(|said| *said.borrow_mut() = Some((place, text.chars().take(200).collect())));
    }));
    let done = work();
    std::panic::set_hook(usual);
    done
}

/// Runs one input; `None` when nothing broke.
pub(super) fn run(target: &Target, input: &[u8], watch: &Watch) -> Option<Failure> {
    let mut took = Duration::ZERO;
    for clock in [wall_time, processor_time] {
        watch.begin(*target, input);
        let began = clock();
        let ended = std::panic::catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
        took = clock().saturating_sub(began);
        watch.end();
        if ended.is_err() {
            let (place, what) = SAID.with(|said| said.borrow_mut().take()).unwrap_or_default();
            return Some(Failure { place, what });
        }
        if took <= SLOW {
            return None;
        }
    }
    Some(Failure { place: "slow".to_owned(), what: format!("took {} ms", took.as_millis()) })
}

/// Since some moment.
fn wall_time() -> Duration {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    ORIGIN.get_or_init(Instant::now).elapsed()
}

/// What this thread has used, as Linux counts it; elsewhere the time on the wall.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    nanos.map_or_else(wall_time, Duration::from_nanos)
}

/// A smaller input that fails at the same place.
pub(super) fn minimise(target: &Target, input: &[u8], failure: &Failure, watch: &Watch) -> Vec<u8> {
    let mut smallest = input.to_vec();
    let (mut size, mut attempts, began) = (input.len() / 2, 0, Instant::now());
    while size > 0 {
        let mut at = 0;
        while at < smallest.len() && attempts < ATTEMPTS && began.elapsed() < PATIENCE {
            attempts += 1;
            let mut shorter = smallest.clone();
            shorter.drain(at..(at + size).min(smallest.len()));
            match run(target, &shorter, watch) {
                Some(same) if same.place == failure.place => smallest = shorter,
                Some(_) | None => at += size,
            }
        }
        size /= 2;
    }
    smallest
}

/// The most memory that this process has held, in MiB; 0 where nobody says.
pub(super) fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kib| kib / 1024)
}

/// Since when, what, and with which input.
type Trial = (Instant, Target, Vec<u8>);

/// What each lane is at.
#[derive(Default)]
pub(super) struct Watch {
    lanes: Mutex<HashMap<ThreadId, Trial>>,
}

impl Watch {
    fn begin(&self, target: Target, input: &[u8]) {
        let now = (Instant::now(), target, input.to_vec());
        self.lanes.lock().expect("no panic while locked").insert(std::thread::current().id(), now);
    }

    fn end(&self) {
        self.lanes.lock().expect("no panic while locked").remove(&std::thread::current().id());
    }

    /// Does `work`, and ends the process when an input never comes back: no thread can be stopped from outside.
    pub(super) fn during(&self, work: impl FnOnce()) {
        std::thread::scope(|scope| {
            let (done, ended) = mpsc::channel::<()>();
            scope.spawn(move || {
                while ended.recv_timeout(SLOW) == Err(mpsc::RecvTimeoutError::Timeout) {
                    let lanes = self.lanes.lock().expect("no panic while locked");
                    if let Some((_, target, input)) = lanes.values().find(|(began, ..)| began.elapsed() > HANGS) {
                        eprintln!("fuzz: {} hangs on {}", target.name, corpus::keep(target, input));
                        std::process::exit(1);
                    }
                }
            });
            work();
            drop(done);
        });
    }
}
