//! How much an account may send, and when.

use crate::model::Timestamp;

use super::request::Class;

/// Requests that are about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ahead {
    /// What they count as.
    pub class: Class,
    /// How many requests they count as.
    pub weight: u32,
    /// When at the latest.
    pub by: Timestamp,
}

pub(super) struct Limiter {}

impl Limiter {
    pub(super) fn new() -> Self {
        Self {}
    }
}
