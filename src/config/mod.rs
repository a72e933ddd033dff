//! `config` (see ARCHITECTURE.md).
