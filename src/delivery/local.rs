//! Settles that need no request.

use crate::{
    model::{Entry, IntentId, Key},
    state::{End, LocalSettle},
};

/// Settles that need no request and are no part of the plan.
#[derive(Debug, Default)]
pub struct Settles {
    rows: Vec<LocalSettle>,
}

impl Settles {
    /// Drops the marks of a key of which nothing stands at the destination. A tombstone stays.
    pub fn forget(&mut self, key: Key, loaded: Vec<IntentId>, entry: Option<Entry>) {
        let end = match entry {
            Some(entry) => End::Put { entry, owners: Vec::new(), quiet_until: None },
            None => End::Remove { owners: Vec::new(), quiet_until: None },
        };
        self.rows.push(LocalSettle { key, loaded, end });
    }

    /// The settles.
    pub fn into_rows(self) -> Vec<LocalSettle> {
        self.rows
    }
}
