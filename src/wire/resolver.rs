//! The resolver that the client uses.
