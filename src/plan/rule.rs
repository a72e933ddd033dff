//! The rules of the guard: their names, what they hold, and what an operator can do.

use crate::model::ChangeKind;

/// A rule of the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// `first_run = "ask"`.
    FirstRun,
    /// An empty result while the snapshot is not.
    Empty,
    /// Share of removed keys in this run.
    MaxRemoved,
    /// Share of removed keys in the last 24 hours, this run included.
    MaxRemovedDay,
    /// Share of changed keys.
    MaxChanged,
    /// Share of added keys.
    MaxAdded,
    /// Share of invalid rows.
    MaxInvalid,
    /// Share of rows in which one field becomes null.
    MaxEmptied,
    /// Share of keys that a new mapping alone changes.
    MaxRemapped,
    /// The newest data is too old.
    Fresh,
    /// Absolute cap on removed keys.
    MaxRemovedRows,
    /// Absolute cap on changed keys.
    MaxChangedRows,
    /// Absolute cap on added keys.
    MaxAddedRows,
    /// Absolute cap on invalid rows.
    MaxInvalidRows,
    /// Absolute cap on rows in which one field becomes null.
    MaxEmptiedRows,
    /// Absolute cap on keys that a new mapping alone changes.
    MaxRemappedRows,
}

impl Rule {
    /// The stable name; but for `first_run` and `max_removed_24h` that of the setting.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FirstRun => "first_run",
            Self::Empty => "empty",
            Self::MaxRemoved => "max_removed",
            Self::MaxRemovedDay => "max_removed_24h",
            Self::MaxChanged => "max_changed",
            Self::MaxAdded => "max_added",
            Self::MaxInvalid => "max_invalid",
            Self::MaxEmptied => "max_emptied",
            Self::MaxRemapped => "max_remapped",
            Self::Fresh => "fresh",
            Self::MaxRemovedRows => "max_removed_rows",
            Self::MaxChangedRows => "max_changed_rows",
            Self::MaxAddedRows => "max_added_rows",
            Self::MaxInvalidRows => "max_invalid_rows",
            Self::MaxEmptiedRows => "max_emptied_rows",
            Self::MaxRemappedRows => "max_remapped_rows",
        }
    }

    pub(super) const fn holds(self) -> HeldKinds {
        match self {
            Self::FirstRun
            | Self::Empty
            | Self::MaxInvalid
            | Self::MaxInvalidRows
            | Self::MaxEmptied
            | Self::MaxEmptiedRows
            | Self::Fresh => HeldKinds::ALL,
            Self::MaxRemoved | Self::MaxRemovedDay | Self::MaxRemovedRows => {
                HeldKinds { removed: true, ..HeldKinds::NONE }
            }
            Self::MaxChanged | Self::MaxChangedRows => HeldKinds { changed: true, ..HeldKinds::NONE },
            Self::MaxRemapped | Self::MaxRemappedRows => HeldKinds { remapped: true, ..HeldKinds::NONE },
            Self::MaxAdded | Self::MaxAddedRows => HeldKinds { added: true, ..HeldKinds::NONE },
        }
    }

    /// What to do about it.
    pub(super) const fn hint(self) -> &'static str {
        match self {
            Self::FirstRun => {
                "look at `syncline plan`, then `syncline approve` the run; `first_run = \"backfill\"` does not ask"
            }
            Self::MaxEmptied | Self::MaxEmptiedRows => {
                "look at the column behind this field in the model; if this is meant, `syncline approve` the run"
            }
            Self::MaxRemapped | Self::MaxRemappedRows => {
                "look at what changed in the sync's fields; if this is meant, `syncline approve` the run, or set \
                 `remap = \"later\"` to apply the new mapping only to rows whose data changes"
            }
            Self::Fresh => "look at what builds the model; if old data is meant to be sent, `syncline approve` the run",
            Self::Empty
            | Self::MaxRemoved
            | Self::MaxRemovedDay
            | Self::MaxRemovedRows
            | Self::MaxChanged
            | Self::MaxChangedRows
            | Self::MaxAdded
            | Self::MaxAddedRows
            | Self::MaxInvalid
            | Self::MaxInvalidRows => "look at the model; if this is meant, `syncline approve` the run",
        }
    }
}

/// The kinds of change that are held. Approved changes are never held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeldKinds {
    /// Additions.
    pub added: bool,
    /// Changes of data.
    pub changed: bool,
    /// Changes that a new mapping alone makes.
    pub remapped: bool,
    /// Removals.
    pub removed: bool,
}

impl HeldKinds {
    /// Nothing is held.
    pub const NONE: Self = Self { added: false, changed: false, remapped: false, removed: false };
    /// Everything is held.
    pub const ALL: Self = Self { added: true, changed: true, remapped: true, removed: true };

    /// Whether changes of this kind are held. `remapped`: a new mapping alone makes the change.
    pub const fn holds(self, kind: ChangeKind, remapped: bool) -> bool {
        match kind {
            ChangeKind::Added => self.added,
            ChangeKind::Changed if remapped => self.remapped,
            ChangeKind::Changed => self.changed,
            ChangeKind::Removed => self.removed,
        }
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            added: self.added || other.added,
            changed: self.changed || other.changed,
            remapped: self.remapped || other.remapped,
            removed: self.removed || other.removed,
        }
    }
}
