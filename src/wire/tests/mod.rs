//! The module as a whole against scripted servers on loopback.

mod account;
mod address;
mod auth;
mod client;
mod hold;
mod late;
mod parts;
mod server;
mod signing;
