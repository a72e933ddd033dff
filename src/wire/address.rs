//! Which addresses may be reached.

/// An address that may not be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("address not allowed")]
pub struct Refused;
