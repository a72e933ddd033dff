//! Unlinked, compressed temporary files: sequences of byte records that are written once and read in order, and an
//! external merge sort over them.
//!
//! Small spools never touch the disk. Files are created in the data directory and have no name, so nothing of them
//! outlives the process. File I/O is plain blocking `std::fs` in blocks of about 128 KiB: a write ends in the page cache and
//! takes some tens of microseconds, less than handing the block to another thread and back.

mod block;
mod error;
mod file;
mod sorter;

pub use error::SpoolError;
pub use file::{Spool, SpoolReader, SpoolWriter};
pub use sorter::{SortedReader, Sorter};

#[cfg(test)]
mod tests;
