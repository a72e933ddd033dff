//! The packed forms of the state's blobs. Every one is framed by [`checked`] and decoded without panics.

pub(crate) mod checked;
mod fields;
#[cfg(feature = "proof")]
mod fuzz;
mod guarded;
mod intent;
mod invalid;
mod journal;
mod marks;
mod page;
#[cfg(test)]
mod tests;

#[cfg(feature = "proof")]
pub(crate) use fuzz::FUZZ_TARGETS;
pub(crate) use guarded::{GuardedRow, pack_guarded, unpack_guarded};
pub(crate) use intent::{PackedIntent, pack_intent, unpack_intent};
pub(crate) use invalid::{pack_invalid, unpack_invalid};
pub(crate) use journal::{JournalRow, owner_key, pack_journal, split_owner_key, unpack_journal};
pub(crate) use marks::{pack_dirty, pack_quiet, pack_rejected, unpack_dirty, unpack_quiet, unpack_rejected};
pub(crate) use page::{PackedPage, PageValue, Presence, pack, unpack};
