//! `plan` (see ARCHITECTURE.md).
