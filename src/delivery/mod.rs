//! `delivery` (see ARCHITECTURE.md).
