//! `source` (see ARCHITECTURE.md).
