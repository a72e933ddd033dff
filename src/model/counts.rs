//! The counts of a run and the equations that must hold between them (promise P6).

use serde::{Deserialize, Serialize};

/// Every term of promise P6, each counted at its own border.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Rows that the source handed out.
    pub read: u64,
    /// Rows whose record the destination already acknowledged.
    pub unchanged: u64,
    /// Rows that cannot be sent at all.
    pub invalid: u64,
    /// Rows not planned in this run: late window, reject backoff.
    pub waiting: u64,
    /// Planned upserts of keys new to the snapshot.
    pub added: u64,
    /// Planned upserts of keys in the snapshot.
    pub changed: u64,
    /// Of `changed`: those that a new mapping alone makes.
    pub remapped: u64,
    /// Planned removals.
    pub removed: u64,
    /// Absent keys that wait (late window, reject backoff, removals withheld by P4).
    pub waiting_removals: u64,
    /// Operations that the destination acknowledged.
    pub delivered: u64,
    /// Operations that the destination refused.
    pub rejected: u64,
    /// Planned operations that needed no request (taken over, kept, already gone).
    pub skipped: u64,
    /// Operations whose outcome is not known.
    pub unknown: u64,
    /// Operations in a job that has not ended.
    pub pending: u64,
    /// Operations held by the guard.
    pub guarded: u64,
    /// Operations not begun (quota, hold, stop, plan too old).
    pub left_over: u64,
}

impl Counts {
    /// Checks the two equations of P6.
    ///
    /// # Errors
    /// The equation that does not hold, with its numbers.
    pub fn check(&self) -> Result<(), String> {
        let planned = self.added + self.changed;
        let rows = self.unchanged + self.invalid + self.waiting + planned;
        if self.read != rows {
            return Err(format!("read {} is not unchanged + invalid + waiting + planned upserts = {rows}", self.read));
        }
        let ended =
            self.delivered + self.rejected + self.skipped + self.unknown + self.pending + self.guarded + self.left_over;
        if planned + self.removed != ended {
            return Err(format!(
                "planned upserts {planned} + planned removals {} is not delivered + rejected + skipped + unknown + pending + guarded + left over = {ended}",
                self.removed
            ));
        }
        Ok(())
    }
}
