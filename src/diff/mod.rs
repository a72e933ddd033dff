//! The ordered merge of a model's rows with what the state holds, the decision for each key, and who owns a record.
//!
//! Pure: no I/O, no tokio, no clock. Times are arguments; the driver in `run` brings rows and [`crate::model::Held`]s.

mod decide;
mod decision;
mod merge;
mod once;
mod ownership;

pub use decide::decide;
pub use decision::{Context, Decision, Planned, Reform, Row, WaitReason};
pub use merge::{Keyed, Neighbours, OrderViolation, Seen, Side, side};
pub use ownership::{Annotation, Claim, Group, MAX_OTHERS, Owner, Standing, Was, judge_group};

#[cfg(test)]
mod tests;
