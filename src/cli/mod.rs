//! tmp
pub mod simulate;
