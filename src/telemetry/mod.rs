//! `telemetry` (see ARCHITECTURE.md).
