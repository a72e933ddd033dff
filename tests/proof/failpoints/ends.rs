//! What reaches a boundary, and how a process ends that is told to fail there.

use syncline::proof::{Action, Boundary};

/// How a process goes on after an action at a boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// SIGKILL ends it.
    Killed,
    /// The run fails: so does `sync`; the daemon goes on, and its next run mends it.
    RunFails,
    /// The process stops with an error: `sync` and the daemon alike (promise P7).
    Stops,
    /// Nothing fails: what was hindered is done a little later.
    GoesOn,
    /// The lease may run out meanwhile: the run fails then, else nothing does.
    MayFail,
}

/// The four cases of a boundary.
pub(super) struct Ends {
    panic: End,
    error: End,
    stall: End,
    kill: End,
}

impl Ends {
    /// Of one action.
    pub(super) const fn of(&self, action: Action) -> End {
        match action {
            Action::Panic => self.panic,
            Action::Error => self.error,
            Action::Stall => self.stall,
            Action::Kill => self.kill,
        }
    }
}

/// Where the state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    Sqlite,
    Postgres,
}

/// What a process does that reaches a boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scene {
    /// It runs a sync with changes.
    Run,
    /// The same; the vendor refuses some rows.
    Rejects,
    /// The same with a snapshot whose journal is long.
    LongJournal,
    /// The same with an access token whose refresh token is replaced by each refresh.
    Token,
    /// It makes the state, and runs the sync for the first time.
    Fresh,
    /// It upgrades a state of schema version 1.
    Upgrade,
    /// It is asked to send two keys again.
    Resync,
    /// It is asked to run the sync.
    RunNow,
    /// It is asked to approve the first run.
    Approve,
}

/// Which process does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// `sync`.
    Sync,
    /// `run`.
    Daemon,
}

/// One way to a boundary.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    pub(super) scene: Scene,
    pub(super) store: Store,
    pub(super) way: Way,
    /// The first pass to fail at, and the last: the one that is taken comes from the seed.
    pub(super) passes: (u64, u64),
}

/// The four cases of every boundary. Without a `_` arm on purpose: whoever adds a boundary decides them here.
pub(super) const fn ends(boundary: Boundary, store: Store) -> Ends {
    use End::{GoesOn, Killed, MayFail, RunFails, Stops};
    match boundary {
        Boundary::ReadRow
        | Boundary::ReadEnd
        | Boundary::PlanDone
        | Boundary::Guard
        | Boundary::IntentBefore
        | Boundary::IntentAfter
        | Boundary::AnswerParsed
        | Boundary::CompactionBefore
        | Boundary::CompactionAfter
        | Boundary::RunClose
        | Boundary::TokenBefore
        | Boundary::TokenSaved => Ends { panic: RunFails, error: RunFails, stall: GoesOn, kill: Killed },
        // A lost connection: the request is sent again.
        Boundary::SendBefore | Boundary::SendAfter => {
            Ends { panic: RunFails, error: GoesOn, stall: GoesOn, kill: Killed }
        }
        Boundary::SettleInside => match store {
            Store::Sqlite => Ends { panic: Stops, error: Stops, stall: GoesOn, kill: Killed },
            // A connection lost before `commit` was sent: the transaction is repeated. While it stalls it holds the lease's
            // row, which then cannot be renewed.
            Store::Postgres => Ends { panic: Stops, error: GoesOn, stall: MayFail, kill: Killed },
        },
        Boundary::SettleBefore
        | Boundary::SettleAfter
        | Boundary::RejectStored
        | Boundary::Migration
        | Boundary::RequestTaken
        | Boundary::RequestDone => Ends { panic: Stops, error: Stops, stall: GoesOn, kill: Killed },
        Boundary::LeaseRenewal => Ends { panic: GoesOn, error: GoesOn, stall: MayFail, kill: Killed },
    }
}

/// Every way to a boundary.
pub(super) fn settings(boundary: Boundary) -> Vec<Setting> {
    use Scene::{Approve, Fresh, LongJournal, Rejects, Resync, Run, RunNow, Token, Upgrade};
    use Store::{Postgres, Sqlite};
    use Way::{Daemon, Sync};
    let all = |scenes: &[(Scene, Store, Way)], passes| {
        scenes.iter().map(|&(scene, store, way)| Setting { scene, store, way, passes }).collect::<Vec<_>>()
    };
    match boundary {
        Boundary::ReadRow | Boundary::ReadEnd | Boundary::PlanDone | Boundary::Guard => {
            all(&[(Run, Sqlite, Sync), (Run, Sqlite, Daemon)], (1, 1))
        }
        Boundary::SendBefore | Boundary::SendAfter | Boundary::AnswerParsed => {
            all(&[(Run, Sqlite, Sync), (Run, Sqlite, Daemon)], (1, 3))
        }
        Boundary::IntentBefore | Boundary::IntentAfter => {
            all(&[(Run, Sqlite, Sync), (Run, Sqlite, Daemon), (Run, Postgres, Daemon)], (1, 3))
        }
        Boundary::SettleBefore | Boundary::SettleInside | Boundary::SettleAfter => {
            all(&[(Run, Sqlite, Sync), (Run, Sqlite, Daemon), (Run, Postgres, Sync), (Run, Postgres, Daemon)], (1, 12))
        }
        Boundary::RejectStored => {
            all(&[(Rejects, Sqlite, Sync), (Rejects, Sqlite, Daemon), (Rejects, Postgres, Sync)], (1, 1))
        }
        Boundary::CompactionBefore | Boundary::CompactionAfter => {
            all(&[(LongJournal, Sqlite, Sync), (LongJournal, Postgres, Daemon)], (1, 3))
        }
        Boundary::RunClose => all(&[(Run, Sqlite, Sync), (Run, Sqlite, Daemon), (Run, Postgres, Sync)], (1, 1)),
        // The first two are those of a process that begins.
        Boundary::LeaseRenewal => all(&[(Run, Postgres, Daemon)], (3, 6)),
        Boundary::TokenBefore | Boundary::TokenSaved => all(&[(Token, Sqlite, Sync), (Token, Sqlite, Daemon)], (1, 1)),
        Boundary::Migration => {
            let mut all_of = all(&[(Fresh, Sqlite, Sync)], (1, 4));
            all_of.extend(all(&[(Upgrade, Sqlite, Sync)], (1, 3)));
            all_of.extend(all(&[(Fresh, Postgres, Sync)], (1, 1)));
            all_of
        }
        Boundary::RequestTaken | Boundary::RequestDone => {
            all(&[(Resync, Sqlite, Daemon), (RunNow, Sqlite, Daemon), (Approve, Sqlite, Daemon)], (1, 1))
        }
    }
}
