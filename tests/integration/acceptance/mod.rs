//! Acceptance: the real binary against a simulated vendor in a process of its own, killed, lied to and left without
//! answers. `SYNCLINE_TEST_BINARY` runs the same tests on another build, such as a release build.
//!
//! After a crash every operation that may have been sent is taken for sent until its intent ends, 60 s after it was
//! written, and other changes of its key wait until then and for `late_window` on top. So each of these tests ends with
//! a daemon that runs until nothing waits, and they take about 70 s, side by side.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout)] // helpers fail the test that calls them

mod first_run;
mod identity;
mod lost_answers;
mod modes;
mod poison;
mod takeover;
mod two_daemons;
mod types;
