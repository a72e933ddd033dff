//! The engine end to end in one process: a source of given rows, a destination that follows a script, a real state.

mod connection;
mod cursor;
mod destination;
mod faults;
mod guarding;
mod histories;
mod kit;
mod modes;
mod ownership;
mod random;
mod remapping;
mod resync;
mod sending;
mod settling;
mod sharing;
mod source;

use destination::{Step, answered, fault};
pub(crate) use kit::{Kit, Row, advance, row, rows};
