//! Panics and crashes: what they may say and leave behind.

use std::panic::PanicHookInfo;

use super::{event, events};

/// Stands for a panic's message that was put together at run time, and so may hold a value.
const HIDDEN: &str = "not shown: the message may hold values";

/// Replaces the standard report of a panic by one log line: the place, and the message only if it is a literal of the
/// source. Texts put together at run time (an `expect` on an error, a formatted message) may hold row values.
///
/// `tokio::task::JoinError` prints the message of a panicked task: never print one, say `is_panic` instead.
pub fn hook_panics() {
    std::panic::set_hook(Box::new(report));
}

fn report(info: &PanicHookInfo<'_>) {
    let message = info.payload().downcast_ref::<&'static str>().copied().unwrap_or(HIDDEN);
    let place = info.location().map(ToString::to_string);
    event!(events::PROCESS_PANICKED, place = place, reason = message);
}

/// Keeps the kernel from writing this process's memory, with its secrets and rows, to a core file. Linux only; elsewhere
/// it does nothing. Best effort: a refusal by the system is not worth stopping for.
pub fn forbid_core_dumps() {
    #[cfg(target_os = "linux")]
    {
        // Unlike a core size of 0, this also holds where `core_pattern` is a pipe.
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _refused = set_dumpable_behavior(DumpableBehavior::NotDumpable).is_err();
    }
}
