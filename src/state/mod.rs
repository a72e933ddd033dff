//! The state: what the destinations acknowledged, what is in doubt, and what an operator decided.
//!
//! Two layers. A `StateStore` is primitive: reads in chunks and one durable transaction of writes (SQLite, PostgreSQL). Above it
//! [`State`] is independent of the store: pages and their codec, the journal, the [`Overlay`], the owner index, sealing,
//! and the [`Writer`], the one task through which everything is written (group commit, fail-stop).

mod begin;
mod codec;
mod compact;
mod count;
mod error;
mod facade;
mod guarded;
mod holding;
#[cfg(any(test, feature = "proof"))]
mod in_step;
mod keyring;
mod last_words;
mod lease;
mod matches;
mod open;
mod overlay;
mod owners;
mod postgres;
mod reads;
mod records;
mod requests;
mod resync;
mod settle;
mod sqlite;
mod store;
#[cfg(test)]
mod tests;
mod write;
mod writer;

#[cfg(feature = "proof")]
pub(crate) use codec::FUZZ_TARGETS;
pub use error::StateError;
pub use facade::State;
pub use guarded::{Approval, ApprovedScan, GuardedSet};
pub use holding::LeaseGuard;
#[cfg(any(test, feature = "proof"))]
pub use in_step::keep_in_step;
pub use keyring::make_key_file;
pub use lease::DEFAULT_LEASE;
pub use open::{Access, Location, OpenOptions};
pub use overlay::Overlay;
pub use owners::OwnerScan;
pub use records::{
    BegunRun, CursorRecord, FullRead, MappingRecord, NewSync, NullShare, Owner, OwnerChange, OwnerSpace, Recovered,
    Request, RunClose, RunRow, RunStatus, Standing, SyncRecord, SyncUpdate, Target,
};
pub use settle::{End, IntentMember, LocalSettle, MarkDirty, MatchValue, NewIntent, Settle, SettleRow};
pub use writer::{SettleTicket, Writer};
