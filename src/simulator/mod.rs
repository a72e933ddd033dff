//! `simulator` (see ARCHITECTURE.md).
