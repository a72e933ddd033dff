//! A spool: written once, then read any number of times.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{SpoolError, block};
use crate::model::{put_bytes, take_bytes};

/// A spool up to this size stays in memory, in bytes.
const IN_MEMORY: usize = 256 << 10;

/// A block is written once it has this many raw bytes. Larger records make larger blocks.
const BLOCK: usize = 128 << 10;

/// Writes records, in order.
#[derive(Debug)]
pub struct SpoolWriter {
    dir: PathBuf,
    raw: Vec<u8>,
    packed: Vec<u8>,
    file: Option<File>,
    file_bytes: u64,
    records: u64,
}

impl SpoolWriter {
    /// A writer whose file, if one is needed, is made in `dir`.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), raw: Vec::new(), packed: Vec::new(), file: None, file_bytes: 0, records: 0 }
    }

    /// Appends a record.
    ///
    /// # Errors
    /// [`SpoolError`] when the file cannot be made or written.
    pub fn push(&mut self, record: &[u8]) -> Result<(), SpoolError> {
        put_bytes(record, &mut self.raw);
        self.records += 1;
        let limit = if self.file.is_some() { BLOCK } else { IN_MEMORY };
        if self.raw.len() >= limit { self.flush() } else { Ok(()) }
    }

    /// Ends writing.
    ///
    /// # Errors
    /// [`SpoolError`] when the rest cannot be written.
    pub fn finish(mut self) -> Result<Spool, SpoolError> {
        if self.file.is_some() && !self.raw.is_empty() {
            self.flush()?;
        }
        let bytes = self.file_bytes;
        let body = self.file.take().map_or_else(|| Body::Memory(self.raw.into()), |file| Body::File { file, bytes });
        Ok(Spool { body: Arc::new(body), records: self.records })
    }

    fn flush(&mut self) -> Result<(), SpoolError> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let made = tempfile::tempfile_in(&self.dir)
                    .map_err(|source| SpoolError::Create { dir: self.dir.clone(), source })?;
                none.insert(made)
            }
        };
        block::pack(&self.raw, &mut self.packed)
            .and_then(|()| file.write_all(&self.packed))
            .map_err(|source| SpoolError::from_write(&self.dir, source))?;
        self.file_bytes += self.packed.len() as u64;
        self.raw.clear();
        Ok(())
    }
}

/// A finished spool. Clones share its content.
#[derive(Debug, Clone)]
pub struct Spool {
    body: Arc<Body>,
    records: u64,
}

enum Body {
    Memory(Box<[u8]>),
    File { file: File, bytes: u64 },
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory(bytes) => write!(f, "Memory({} bytes)", bytes.len()),
            Self::File { bytes, .. } => write!(f, "File({bytes} bytes)"),
        }
    }
}

impl Spool {
    /// Number of records.
    pub fn len(&self) -> u64 {
        self.records
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Bytes on disk; 0 for a spool in memory.
    pub fn disk_bytes(&self) -> u64 {
        match *self.body {
            Body::Memory(_) => 0,
            Body::File { bytes, .. } => bytes,
        }
    }

    /// A reader from the first record on; any number may read at once.
    pub fn reader(&self) -> SpoolReader {
        SpoolReader { body: Arc::clone(&self.body), raw: Vec::new(), packed: Vec::new(), offset: 0, at: 0 }
    }
}

/// Reads a spool's records in order.
pub struct SpoolReader {
    body: Arc<Body>,
    raw: Vec<u8>,
    packed: Vec<u8>,
    /// Offset of the next block.
    offset: u64,
    /// Position in the present block, or in the whole of a spool in memory.
    at: usize,
}

impl std::fmt::Debug for SpoolReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpoolReader").field("offset", &self.offset).field("at", &self.at).finish_non_exhaustive()
    }
}

impl SpoolReader {
    /// Puts the next record into `record`, replacing what it held; false at the end.
    ///
    /// # Errors
    /// [`SpoolError`] when the file cannot be read or is damaged.
    pub fn next(&mut self, record: &mut Vec<u8>) -> Result<bool, SpoolError> {
        record.clear();
        let block: &[u8] = match &*self.body {
            Body::Memory(all) => all,
            Body::File { file, bytes } => {
                if self.at >= self.raw.len() && self.offset < *bytes {
                    self.offset = block::read(file, self.offset, &mut self.packed, &mut self.raw)?;
                    self.at = 0;
                }
                &self.raw
            }
        };
        let Some(mut rest) = block.get(self.at..).filter(|rest| !rest.is_empty()) else { return Ok(false) };
        let before = rest.len();
        let found = take_bytes(&mut rest).ok_or(SpoolError::Damaged { offset: self.offset })?;
        record.extend_from_slice(found);
        self.at += before - rest.len();
        Ok(true)
    }
}
