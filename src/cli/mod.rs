//! `cli` (see ARCHITECTURE.md).
