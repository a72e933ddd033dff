//! Connectors against the simulator, through a real account: what is sent is understood, what is answered is read.

mod harness;
mod http;
mod hubspot;
