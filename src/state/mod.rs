//! `state` (see ARCHITECTURE.md).
