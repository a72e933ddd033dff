//! Database servers that tests start themselves, each at most once in the life of the test process.

pub(crate) mod mariadb;
mod pgbouncer;
pub(crate) mod postgres;
mod supervised;
