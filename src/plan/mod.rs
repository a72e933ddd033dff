//! The plan of a run: its spool, what ownership and approvals say about it, and the guard that judges it.

mod absent;
mod annotations;
mod approvals;
mod codec;
#[cfg(feature = "proof")]
mod fuzz;
mod guard;
mod local;
mod ownership;
mod reader;
mod row;
mod rule;

pub use absent::{Absent, Whereabouts};
pub use annotations::{AnnotationReader, Annotations};
pub use approvals::{Approved, ApprovedWriter};
#[cfg(feature = "proof")]
pub(crate) use fuzz::FUZZ_TARGETS;
pub use guard::{DataAge, Emptied, Limit, Measured, Trip, Verdict, judge};
pub use local::{LocalEnd, LocalReader, LocalWriter, Locals};
pub use ownership::{OwnershipBuilder, OwnershipResolver};
pub use reader::{Plan, PlanItem, PlanReader, PlanWriter};
pub use row::PlanRow;
pub use rule::{HeldKinds, Rule};

#[cfg(test)]
mod tests;
