//! `http` (see ARCHITECTURE.md).
