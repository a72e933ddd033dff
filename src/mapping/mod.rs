//! `mapping` (see ARCHITECTURE.md).
