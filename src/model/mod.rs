//! Plain data shared by every stage of a run: no async, no I/O, no clock.

mod time;

pub use time::Timestamp;
