//! The inbound HTTP server: `/healthz` (the daemon's loop still turns) and `/readyz` (it can run syncs).
//!
//! It listens on loopback only, answers only requests whose `Host` is a loopback address or `localhost` (so that a web
//! page cannot reach it through a name of its own), and bounds what a connection may cost.

mod health;
mod host;
mod probe;
mod routes;
mod server;

pub use health::{Health, Liveness};
pub use probe::probe;
pub use server::{ServeError, serve};

#[cfg(test)]
mod tests;
