//! `diff` (see ARCHITECTURE.md).
