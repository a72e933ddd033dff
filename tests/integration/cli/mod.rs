//! The real binary, as a user meets it.
