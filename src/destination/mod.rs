//! `destination` (see ARCHITECTURE.md).
