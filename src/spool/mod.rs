//! `spool` (see ARCHITECTURE.md).
