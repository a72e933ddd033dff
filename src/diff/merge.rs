//! The ordered merge: which side comes next, which rows share a key, and whether the rows come in order.

use std::cmp::Ordering;

/// The result is not in key order: the source broke the order contract, so no absence can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("row {row} of the result comes before its predecessor in key order")]
pub struct OrderViolation {
    /// Position of the row among those with a key, from 1.
    pub row: u64,
}

/// Which side to take in a step of the merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The row: the state holds nothing for its key.
    Row,
    /// The held key: the result has no row of it.
    Held,
    /// Both: they are of one key.
    Both,
}

/// Says which side comes next, given the next encoded key of each; `None` when both have ended.
pub fn side(row: Option<&[u8]>, held: Option<&[u8]>) -> Option<Side> {
    match (row, held) {
        (None, None) => None,
        (Some(_), None) => Some(Side::Row),
        (None, Some(_)) => Some(Side::Held),
        (Some(row), Some(held)) => Some(match row.cmp(held) {
            Ordering::Less => Side::Row,
            Ordering::Greater => Side::Held,
            Ordering::Equal => Side::Both,
        }),
    }
}

/// What has an encoded key.
pub trait Keyed {
    /// The encoded key.
    fn key(&self) -> &[u8];
}

/// A row that has left [`Neighbours`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen<T> {
    /// The only row of its key.
    Single(T),
    /// One of several rows of its key: each of them is invalid, and the key counts as present.
    Copy(T),
}

/// Holds each row back until its neighbour is known, which shows duplicates and checks the order.
#[derive(Debug)]
pub struct Neighbours<T> {
    pending: Option<T>,
    copy: bool,
    rows: u64,
}

impl<T: Keyed> Keyed for Box<T> {
    fn key(&self) -> &[u8] {
        self.as_ref().key()
    }
}

impl<T> Default for Neighbours<T> {
    fn default() -> Self {
        Self { pending: None, copy: false, rows: 0 }
    }
}

impl<T: Keyed> Neighbours<T> {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next row (also an invalid one, if it has a key) and gives the one before it.
    ///
    /// # Errors
    /// [`OrderViolation`] when the row belongs before its predecessor: the run must fail and send nothing.
    pub fn push(&mut self, row: T) -> Result<Option<Seen<T>>, OrderViolation> {
        self.rows += 1;
        let order = self.pending.as_ref().map(|pending| pending.key().cmp(row.key()));
        if order == Some(Ordering::Greater) {
            return Err(OrderViolation { row: self.rows });
        }
        let twin = order == Some(Ordering::Equal);
        let before = self.pending.replace(row).map(|before| seen(before, self.copy || twin));
        self.copy = twin;
        Ok(before)
    }

    /// Gives the last row, at the end of the result.
    pub fn finish(mut self) -> Option<Seen<T>> {
        self.pending.take().map(|last| seen(last, self.copy))
    }
}

fn seen<T>(row: T, copy: bool) -> Seen<T> {
    if copy { Seen::Copy(row) } else { Seen::Single(row) }
}
