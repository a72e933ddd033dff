//! What a vendor's stand-in has to provide; everything else (connections, quotas, faults, the judge) is shared.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use ::http::StatusCode;
use serde_json::Value;

use super::{
    call::{Answer, Call},
    quota::{Denial, QuotaView},
    script::Rejection,
};
use crate::model::Timestamp;

/// One account of one vendor. Every method runs under the simulator's lock and must not block.
pub(super) trait Vendor: Send {
    /// The answer to a call with a missing or wrong credential; `None` when it is right.
    fn refuse_credential(&self, call: &Call) -> Option<Answer>;

    /// The answer to an access token that is not accepted.
    fn unauthorized(&self) -> Answer;

    /// Runs a call and answers it. `rejections` are rows (by position) that a fault refuses.
    fn apply(&mut self, call: &Call, rejections: &HashMap<usize, Rejection>, at: Moment) -> Applied;

    /// The rows that a call would write, for faults that look at rows and for late requests. Empty when malformed.
    fn rows(&self, call: &Call) -> Vec<Row>;

    /// The vendor's 429.
    fn throttled(&self, denial: &Denial) -> Answer;

    /// A refusal of a whole batch that does not name the row.
    fn poisoned(&self) -> Answer;

    /// A success that says nothing about any row.
    fn silent(&self, status: StatusCode) -> Answer;

    /// Adds the vendor's quota headers.
    fn stamp(&self, quota: &QuotaView, answer: &mut Answer);

    /// Executes a control command; the error is a plain sentence for the operator.
    fn control(&mut self, command: Command, at: Moment) -> Result<Value, String>;

    /// A page of the records of `object` in the order of their creation, as one JSON array.
    fn records(&self, object: &str, offset: usize, limit: usize) -> Result<String, String>;

    /// The kept versions of one record, oldest first.
    fn history(&self, object: &str, id: &str) -> Result<Value, String>;

    /// Per object: live and archived counts and totals.
    fn report(&self) -> Value;

    /// Forgets every record.
    fn reset(&mut self);
}

/// When a call is applied.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) wall: Timestamp,
    pub(super) quota: QuotaView,
}

/// What a human does to the account.
pub(super) enum Command {
    Edit { object: String, id: String, properties: Value },
    Archive { object: String, id: String },
    Merge { object: String, into: String, from: String },
    SecondaryEmail { id: String, email: String },
}

/// A row of a request, as faults see it.
pub(super) struct Row {
    /// The value that identifies the row in the request.
    pub(super) key: String,
    pub(super) properties: Vec<(String, String)>,
    pub(super) touch: Touch,
}

impl Row {
    /// The value of a property.
    pub(super) fn property(&self, name: &str) -> Option<&str> {
        self.properties.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The record that a row concerns, hashed: no value is kept for it.
#[derive(Clone, Copy)]
pub(super) struct Touch {
    /// Hash of object and identifying value.
    pub(super) key: u64,
    /// Hash of object and record id, when the record exists.
    pub(super) record: Option<u64>,
    /// Hash of operation and content.
    pub(super) payload: u64,
}

/// The effect of one call.
pub(super) struct Applied {
    pub(super) answer: Answer,
    /// Rows in the request, reads too.
    pub(super) inputs: usize,
    pub(super) touches: Vec<Touch>,
    pub(super) writes: Writes,
}

impl Applied {
    /// A call that wrote nothing.
    pub(super) fn nothing(answer: Answer) -> Self {
        Self { answer, inputs: 0, touches: Vec::new(), writes: Writes::default() }
    }
}

/// How many rows of a call wrote the same content as the write before it to the same record, and how many did not.
#[derive(Clone, Copy, Default)]
pub(super) struct Writes {
    pub(super) identical: u64,
    pub(super) different: u64,
}

impl Writes {
    /// Counts one applied row.
    pub(super) fn count(&mut self, identical: bool) {
        if identical {
            self.identical += 1;
        } else {
            self.different += 1;
        }
    }
}

/// A hash that is the same in every process, for comparing contents without keeping them.
pub(super) fn hash_of(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
