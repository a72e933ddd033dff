//! `wire` (see ARCHITECTURE.md).
