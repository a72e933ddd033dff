//! Where the proof harness reaches into the program: boundaries at which it may fail, and rules that it may break.
//!
//! Without the test-only feature `proof`, which no release has, all of this compiles to nothing.

#[cfg(feature = "proof")]
mod armed;
mod boundary;
#[cfg(feature = "proof")]
mod fuzz;
mod life;
mod named;
mod rule;

#[cfg(feature = "proof")]
pub use armed::{Action, Armed, arm};
pub use boundary::{Boundary, Injected, reach};
#[cfg(feature = "proof")]
pub use fuzz::Target;
pub use life::intent_life;
#[cfg(feature = "proof")]
pub use life::live_for;
#[cfg(feature = "proof")]
pub use rule::break_rule;
pub use rule::{Rule, is_broken};
