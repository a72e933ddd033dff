//! Settles that need no request and are no part of the plan, spooled: a sync that appends may forget millions of keys.

use std::path::Path;

use super::codec;
use crate::{
    model::{Entry, IntentId, Key},
    spool::{Spool, SpoolError, SpoolReader, SpoolWriter},
};

/// How a key ends without a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalEnd {
    /// The key.
    pub key: Key,
    /// The dirty marks that are dropped.
    pub loaded: Vec<IntentId>,
    /// What the snapshot keeps; `None`: nothing.
    pub entry: Option<Entry>,
}

/// Writes local ends.
#[derive(Debug)]
pub struct LocalWriter {
    spool: SpoolWriter,
    buffer: Vec<u8>,
}

impl LocalWriter {
    /// A writer whose file is made in `dir`.
    pub fn new(dir: &Path) -> Self {
        Self { spool: SpoolWriter::new(dir), buffer: Vec::new() }
    }

    /// Appends one.
    ///
    /// # Errors
    /// [`SpoolError`] when the file cannot be written.
    pub fn push(&mut self, end: &LocalEnd) -> Result<(), SpoolError> {
        self.buffer.clear();
        codec::put_local(end, &mut self.buffer);
        self.spool.push(&self.buffer)
    }

    /// Ends writing.
    ///
    /// # Errors
    /// [`SpoolError`] when the file cannot be written.
    pub fn finish(self) -> Result<Locals, SpoolError> {
        Ok(Locals { spool: self.spool.finish()? })
    }
}

/// Spooled local ends.
#[derive(Debug, Clone)]
pub struct Locals {
    spool: Spool,
}

impl Locals {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.spool.is_empty()
    }

    /// Reads them in the order of writing.
    pub fn reader(&self) -> LocalReader {
        LocalReader { rows: self.spool.reader(), buffer: Vec::new() }
    }
}

/// Reads local ends.
#[derive(Debug)]
pub struct LocalReader {
    rows: SpoolReader,
    buffer: Vec<u8>,
}

impl LocalReader {
    /// The next one.
    ///
    /// # Errors
    /// [`SpoolError`] when the file cannot be read.
    #[expect(clippy::should_implement_trait, reason = "fallible, and named as every reader here")]
    pub fn next(&mut self) -> Result<Option<LocalEnd>, SpoolError> {
        if !self.rows.next(&mut self.buffer)? {
            return Ok(None);
        }
        codec::take_local(&self.buffer).map(Some).ok_or(SpoolError::Undecodable)
    }
}
