//! `run` (see ARCHITECTURE.md).
