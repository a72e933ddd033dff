//! The daemon's log: one line per event, each with a stable name and typed fields.
//!
//! Every line is an [`Event`] of [`events`], written with [`crate::telemetry::event!`]; `docs/logs.md` lists them with
//! their fields and units. Nothing else in the crate uses `tracing`, and lines of other crates are dropped whatever the
//! level, because they may hold statements, headers or values.

mod escape;
pub mod events;
mod init;
mod panic;
mod run_finished;

pub use events::Event;
pub use init::{LogError, init, subscriber};
pub use panic::{forbid_core_dumps, hook_panics};
pub use run_finished::RunFinished;
/// Makes a field of an optional value: `fault = fault.map(telemetry::display)`.
pub use tracing::field::display;

/// What [`event!`] expands to; not for use elsewhere.
#[doc(hidden)]
pub use tracing as __tracing;

/// Writes one log line: an [`Event`] and its fields, in the order given.
///
/// Fields are `name = value`, `name = %value` (its `Display`) or `name = ?value` (its `Debug`); `None` leaves a field
/// out. Names and units are those of `docs/logs.md`. Never pass a row value, a secret or a body.
///
/// ```
/// use syncline::telemetry::{self, events};
/// telemetry::event!(events::HOLD_CLOSED, account = "hubspot:4242");
/// ```
#[macro_export]
#[doc(hidden)]
macro_rules! __telemetry_event {
    ($event:expr $(,)?) => {
        $crate::telemetry::__tracing::event!(target: "syncline", $event.level(), event = $event.name())
    };
    ($event:expr, $($fields:tt)+) => {
        $crate::telemetry::__tracing::event!(target: "syncline", $event.level(), event = $event.name(), $($fields)+)
    };
}

#[doc(inline)]
pub use crate::__telemetry_event as event;

#[cfg(test)]
mod tests;

/// Looking at what is logged, for tests of other modules.
#[cfg(test)]
pub(crate) mod testing {
    pub(crate) use super::tests::collect;
}
