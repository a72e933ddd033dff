//! The kinds of log lines. Their names are stable: a name is never changed or reused, only retired.
//!
//! `docs/logs.md` lists the fields of each; a test compares.

use tracing::Level;

/// A kind of log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    name: &'static str,
    level: Level,
}

impl Event {
    const fn new(name: &'static str, level: Level) -> Self {
        Self { name, level }
    }

    /// The value of the line's `event` field.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The line's level, the same for every line of this kind.
    pub const fn level(self) -> Level {
        self.level
    }
}

/// Declares the events and the list of all of them.
macro_rules! events {
    ($($(#[$doc:meta])* $const:ident = $level:ident $name:literal;)+) => {
        $($(#[$doc])* pub const $const: Event = Event::new($name, Level::$level);)+

        /// Every kind of log line.
        pub const ALL: &[Event] = &[$($const),+];
    };
}

events! {
    // Process.
    /// The configuration was read and is valid.
    CONFIG_LOADED = INFO "config.loaded";
    /// A changed configuration is in force for the next runs.
    CONFIG_RELOADED = INFO "config.reloaded";
    /// A changed configuration has mistakes; the one in force stays.
    CONFIG_REJECTED = ERROR "config.rejected";
    /// Changed settings that a running daemon cannot take over.
    CONFIG_KEPT = WARN "config.kept";
    /// The daemon begins to schedule runs.
    SCHEDULER_STARTED = INFO "scheduler.started";
    /// The daemon was asked to stop and finishes the batches in flight.
    SCHEDULER_STOPPING = INFO "scheduler.stopping";
    /// No run is under way any more.
    SCHEDULER_STOPPED = INFO "scheduler.stopped";
    /// An operator request (`sync`, `approve`, …) was taken from the state.
    REQUEST_RECEIVED = INFO "request.received";
    /// An operator request was carried out or refused.
    REQUEST_DONE = INFO "request.done";
    /// The health server listens.
    HTTP_STARTED = INFO "http.started";
    /// The health server has closed its last connection.
    HTTP_STOPPED = INFO "http.stopped";
    /// A request to the health server was refused, or its connection failed.
    HTTP_REFUSED = WARN "http.refused";
    /// Signals cannot be listened for; only a kill stops the process.
    SIGNALS_FAILED = ERROR "signals.failed";
    /// A defect: a task of the daemon panicked.
    PROCESS_PANICKED = ERROR "process.panicked";

    /// A sync has not closed well for longer than its `max_age`.
    SYNC_OVERDUE = ERROR "sync.overdue";
    /// An overdue sync has closed well.
    SYNC_RECOVERED = INFO "sync.recovered";

    // Runs.
    /// A run begins.
    RUN_STARTED = INFO "run.started";
    /// A run has closed; its summary. Write it with [`super::RunFinished`].
    RUN_FINISHED = INFO "run.finished";
    /// A run stopped on an error.
    RUN_FAILED = ERROR "run.failed";
    /// `changed_when` gave the same answer and nothing is open: the model was not read.
    RUN_SKIPPED = INFO "run.skipped";
    /// The model or the target changed in a way that no approval can let through.
    RUN_REFUSED = ERROR "run.refused";
    /// The source handed out its last row and said that the result is complete.
    MODEL_READ = DEBUG "model.read";
    /// The changes that a run would make are known and counted.
    PLAN_MADE = INFO "plan.made";
    /// A guard rule holds changes of a run.
    GUARD_TRIPPED = WARN "guard.tripped";
    /// A later plan passes the guard rule that held an earlier one.
    GUARD_CLEARED = INFO "guard.cleared";
    /// An operator let the guarded changes of a run through.
    GUARD_APPROVED = INFO "guard.approved";
    /// Removals wait because the result does not prove them (promise P4).
    REMOVALS_WITHHELD = WARN "removals.withheld";
    /// The destination refused rows; one line per run.
    ROWS_REJECTED = WARN "rows.rejected";
    /// Rows cannot be sent at all; one line per run and reason.
    ROWS_INVALID = WARN "rows.invalid";
    /// A request may or may not have been applied; its rows are dirty and sent again.
    BATCH_AMBIGUOUS = WARN "batch.ambiguous";
    /// A batch was refused as a whole and is sent again in halves.
    BATCH_SPLIT = INFO "batch.split";

    // Accounts.
    /// One request to a destination was answered or failed.
    REQUEST_ENDED = DEBUG "request.ended";
    /// A request to a destination failed and will be repeated.
    REQUEST_RETRIED = INFO "request.retried";
    /// An account is paused; no sync sends to it.
    HOLD_OPENED = WARN "hold.opened";
    /// An account may be used again.
    HOLD_CLOSED = INFO "hold.closed";
    /// The account's quota of the day is spent; runs end as `deferred`.
    QUOTA_SPENT = WARN "quota.spent";
    /// An access token was obtained.
    TOKEN_REFRESHED = INFO "token.refreshed";
    /// No access token was obtained.
    TOKEN_FAILED = WARN "token.failed";
    /// The destination does not accept the account's credentials; an operator must act.
    CREDENTIALS_REFUSED = ERROR "credentials.refused";

    // State.
    /// The state store is open.
    STATE_OPENED = INFO "state.opened";
    /// Intents of a run that did not end were found; their keys are dirty.
    STATE_RECOVERED = WARN "state.recovered";
    /// A journal was folded into its pages.
    STATE_COMPACTED = DEBUG "state.compacted";
    /// The store is older than its high-water mark, or restored: removals wait.
    STATE_SUSPECT = ERROR "state.suspect";
    /// A complete resync, or an operator, has confirmed a sync's suspect state: its removals go again.
    STATE_TRUSTED = INFO "state.trusted";
    /// The state was upgraded to a newer schema, after a backup.
    STATE_MIGRATED = WARN "state.migrated";
    /// An operator asked for everything, or some keys, to be sent again.
    RESYNC_REQUESTED = INFO "resync.requested";
    /// An operator paused a sync, or let it run again.
    SYNC_PAUSED = INFO "sync.paused";
    /// The state's database does not answer; leases end unless it comes back in time.
    STATE_UNREACHABLE = WARN "state.unreachable";
    /// A run was not begun: another process runs the sync, or has run it since this one was due.
    RUN_ELSEWHERE = DEBUG "run.elsewhere";

    // Sources.
    /// A statement could not be cancelled; it ends when the server notices the closed connection.
    SOURCE_LINGERS = WARN "source.lingers";
}
