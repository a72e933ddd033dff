//! What is measured, one file for lines that belong together.

pub(crate) mod binary;
pub(crate) mod changed;
pub(crate) mod cold;
pub(crate) mod correctness;
pub(crate) mod curve;
pub(crate) mod engines;
pub(crate) mod first;
pub(crate) mod latency;
pub(crate) mod many;
pub(crate) mod quota;
pub(crate) mod read;
pub(crate) mod shared;
pub(crate) mod start;
pub(crate) mod state;
