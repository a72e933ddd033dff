//! `scheduler` (see ARCHITECTURE.md).
