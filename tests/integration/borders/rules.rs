//! The borders between modules, as data. `ARCHITECTURE.md` explains them; change both together, with a reason.

/// Plain data and the few things that every module but the pure ones may use.
pub(super) const COMMON: &[&str] = &["clock", "model", "proof", "shutdown", "telemetry"];

/// What each module may use beside itself and [`COMMON`].
pub(super) const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("cli", &["config", "destination", "http", "run", "scheduler", "simulator", "source", "state"]),
    ("config", &["mapping"]),
    // `mapping` for the text form of values, which vendors echo and masking must find.
    ("delivery", &["destination", "mapping", "plan", "spool", "state", "wire"]),
    ("destination", &["mapping", "wire"]),
    // The fuzzer reaches what reads foreign bytes; each module offers its own targets.
    ("fuzz", &["config", "destination", "mapping", "plan", "state", "wire"]),
    ("http", &[]),
    ("plan", &["diff", "spool"]),
    ("run", &["delivery", "destination", "diff", "mapping", "plan", "source", "spool", "state", "wire"]),
    ("scheduler", &["run", "state"]),
    ("simulator", &[]),
    ("source", &[]),
    ("spool", &[]),
    ("state", &["wire"]),
    ("wire", &[]),
];

/// What the modules without [`COMMON`] may use.
pub(super) const BARE_ARROWS: &[(&str, &[&str])] = &[
    ("lib", &[]),
    ("model", &[]),
    ("proof", &[]),
    ("mapping", &["model"]),
    ("diff", &["model", "proof"]),
    ("clock", &["model"]),
    ("shutdown", &["telemetry"]),
    ("telemetry", &["model"]),
];

/// A word that only some places may hold, and why.
pub(super) struct Confined {
    pub(super) word: &'static str,
    /// Beginnings of paths below `src`.
    pub(super) only_in: &'static [&'static str],
    pub(super) reason: &'static str,
}

/// Words that only these places may hold.
pub(super) const CONFINED: &[Confined] = &[
    Confined { word: "reqwest", only_in: &["wire/"], reason: "no request may pass the limiter and the hold by" },
    Confined {
        word: "sqlx",
        only_in: &["source/", "state/", "simulator/warehouse"],
        reason: "SQL stands in two places",
    },
    Confined { word: "env", only_in: &["config/"], reason: "the environment is read once, with the configuration" },
    Confined { word: "tracing", only_in: &["telemetry/"], reason: "every log line is a documented event" },
    Confined { word: "anyhow", only_in: &["cli/", "main.rs"], reason: "modules have errors of their own" },
    Confined { word: "SystemTime", only_in: &["clock.rs"], reason: "tests must be able to move time" },
];

/// Words that a place may not hold, and why.
pub(super) struct Banned {
    /// Beginnings of paths below `src`.
    pub(super) places: &'static [&'static str],
    /// A macro stands with its `!`, a method with its dot.
    pub(super) words: &'static [&'static str],
    pub(super) reason: &'static str,
}

/// Words that some places may not hold.
pub(super) const BANNED: &[Banned] = &[
    Banned {
        places: &["model/", "mapping/", "diff/", "plan/guard"],
        words: &["tokio", "async", "await", "fs", "Clock", "Instant", "SystemTime", "sqlx", "reqwest"],
        reason: "it is pure: no I/O, no clock, no runtime",
    },
    Banned {
        places: &["destination/"],
        words: &["sleep", "sleep_until", "interval", "timeout"],
        reason: "one attempt; waiting and repeating belong to delivery and wire",
    },
    Banned {
        places: &["destination/hubspot", "destination/http", "delivery/", "mapping/"],
        words: &["fs", "File", "spawn_blocking"],
        reason: "of all destinations only `destination/file` writes files",
    },
    Banned {
        places: &["destination/file"],
        words: &["Request", "send"],
        reason: "a folder is not reached through wire",
    },
    Banned {
        places: &[""],
        words: &[".unwrap", ".unwrap_err", "panic!", "todo!", "unimplemented!"],
        reason: "it could stop the daemon",
    },
];

/// Longest file, in lines.
pub(super) const MAX_LINES: usize = 400;
