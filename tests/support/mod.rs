//! What tests need from outside the crate: database servers, files, and the binary in a workspace of its own.

#![allow(clippy::expect_used, clippy::panic)] // helpers outside of `#[test]` functions fail the test that calls them

mod net;
pub(crate) mod pair;
mod process;
mod servers;
mod sim;
mod sqlite;
mod workspace;

pub(crate) use net::Net;
pub(crate) use process::{Finished, Running, choose_program, program};
pub(crate) use servers::mariadb::{MariaDatabase, mariadb};
pub(crate) use servers::postgres::{OwnServer, TestDatabase, postgres, postgres_with};
pub(crate) use sim::{Sim, TOKEN, http};
pub(crate) use sqlite::{SqliteFile, sqlite_file};
pub(crate) use workspace::Workspace;
