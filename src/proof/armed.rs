//! What happens at a boundary.

use std::{
    str::FromStr,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{Boundary, Injected};

/// How long a boundary stalls.
const STALL: Duration = Duration::from_secs(30);

/// What happens at a boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The task panics.
    Panic,
    /// An error comes back.
    Error,
    /// Nothing happens for 30 s.
    Stall,
    /// The process kills itself (SIGKILL).
    Kill,
}

impl Action {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Panic, Self::Error, Self::Stall, Self::Kill];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Error => "error",
            Self::Stall => "stall",
            Self::Kill => "kill",
        }
    }
}

/// A boundary, what happens there, and at which pass (from 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Armed {
    boundary: Boundary,
    action: Action,
    pass: u64,
}

impl FromStr for Armed {
    type Err = String;

    /// `BOUNDARY=ACTION` or `BOUNDARY=ACTION@PASS`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (boundary, rest) = text.split_once('=').ok_or("expected BOUNDARY=ACTION[@PASS]")?;
        let (action, pass) = rest.split_once('@').unwrap_or((rest, "1"));
        Ok(Self {
            boundary: Boundary::named(boundary).ok_or_else(|| format!("no boundary is named `{boundary}`"))?,
            action: Action::ALL
                .into_iter()
                .find(|known| known.name() == action)
                .ok_or("expected panic, error, stall or kill")?,
            pass: pass.parse().map_err(|_| format!("expected a number, got `{pass}`"))?,
        })
    }
}

struct Point {
    armed: Armed,
    passes: AtomicU64,
}

static POINTS: OnceLock<Vec<Point>> = OnceLock::new();

/// Arms boundaries of this process, once. Later calls change nothing.
pub fn arm(points: Vec<Armed>) {
    POINTS.get_or_init(|| points.into_iter().map(|armed| Point { armed, passes: AtomicU64::new(0) }).collect());
}

/// Does what the boundary is armed with.
#[allow(clippy::panic, clippy::print_stderr, reason = "the harness asked for the one and waits for the other")]
pub(super) async fn pass(boundary: Boundary) -> Result<(), Injected> {
    for point in POINTS.get().into_iter().flatten().filter(|point| point.armed.boundary == boundary) {
        if point.passes.fetch_add(1, Ordering::SeqCst) + 1 != point.armed.pass {
            continue;
        }
        eprintln!("boundary {}: {}", boundary.name(), point.armed.action.name());
        match point.armed.action {
            Action::Panic => std::panic::panic_any(format!("the boundary `{}` was told to panic", boundary.name())),
            Action::Error => return Err(Injected(boundary)),
            Action::Stall => tokio::time::sleep(STALL).await,
            Action::Kill => die().await,
        }
    }
    Ok(())
}

async fn die() {
    let killed = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    debug_assert!(killed.is_ok(), "a process may kill itself");
    // The signal comes at once, but not before the next instruction.
    std::future::pending::<()>().await;
}
