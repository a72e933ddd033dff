//! The promises at work: the real binary against a real simulator process, from whole tables to accidents, quotas, canaries
//! and stops. Every test prints its figures and checks the equations of promise P6 in every run that it makes.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `SYNCLINE_TEST_BINARY` | the binary that cargo built | the program under test, such as a release build |
//! | `SYNCLINE_ROWS` | 3000 | rows of the tables in `full_size` and `memory`; from 1,000,000 on the peak is asserted |
//! | `SYNCLINE_QUOTA` | `40/5s` | the simulator's window in `quota` |
//! | `SYNCLINE_BACKLOG` | 10 | seconds of backlog in `quota` |
//!
//! The whole size, against a release build:
//!
//! ```text
//! SYNCLINE_TEST_BINARY=target/release/syncline SYNCLINE_ROWS=100000 SYNCLINE_QUOTA=100/10s SYNCLINE_BACKLOG=60 \
//!     cargo test --test integration scenarios:: -- --nocapture
//! SYNCLINE_TEST_BINARY=target/release/syncline SYNCLINE_ROWS=1000000 \
//!     cargo test --test integration scenarios::memory -- --nocapture
//! ```

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout)] // helpers outside of `#[test]` functions fail the test that calls them

mod accident;
mod canary;
mod creeping;
mod full_size;
mod memory;
mod quota;
mod report;
mod sharing;
mod stopping;
mod tokens;
mod wide;
mod world;
