//! The plan of a run: its spool, what ownership and approvals say about it, and the guard that judges it.

mod annotations;
mod approvals;
mod codec;
mod guard;
mod local;
mod ownership;
mod reader;
mod row;

pub use annotations::{AnnotationReader, Annotations};
pub use approvals::{Approved, ApprovedWriter};
pub use guard::{HeldKinds, Limit, Measured, Rule, Trip, Verdict, judge};
pub use local::{LocalEnd, LocalReader, LocalWriter, Locals};
pub use ownership::{OwnershipBuilder, OwnershipResolver};
pub use reader::{Plan, PlanItem, PlanReader, PlanWriter};
pub use row::PlanRow;

#[cfg(test)]
mod tests;
