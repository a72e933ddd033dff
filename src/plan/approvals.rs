//! Approved changes: by key and kind, or all additions of a first run.

use std::path::Path;

use crate::{
    model::{ChangeKind, Key},
    spool::{Spool, SpoolError, SpoolReader, SpoolWriter},
};

/// Collects approved (key, kind) pairs. Also serves to spool a guarded set.
#[derive(Debug)]
pub struct ApprovedWriter {
    spool: SpoolWriter,
    buffer: Vec<u8>,
}

impl ApprovedWriter {
    /// A writer whose file is made in `dir`.
    pub fn new(dir: &Path) -> Self {
        Self { spool: SpoolWriter::new(dir), buffer: Vec::new() }
    }

    /// Adds a pair. Keys must come in order, the kinds of one key in any order.
    ///
    /// # Errors
    /// [`SpoolError`] when the file cannot be written.
    pub fn push(&mut self, key: &Key, kind: ChangeKind) -> Result<(), SpoolError> {
        self.buffer.clear();
        self.buffer.push(kind.code());
        self.buffer.extend_from_slice(key.as_bytes());
        self.spool.push(&self.buffer)
    }

    /// Ends writing. `all_added`: additions of all keys are approved (a first run).
    ///
    /// # Errors
    /// [`SpoolError`] when the file cannot be written.
    pub fn finish(self, all_added: bool) -> Result<Approved, SpoolError> {
        Ok(Approved { pairs: Some(self.spool.finish()?), all_added })
    }
}

/// What is approved; by default nothing.
#[derive(Debug, Clone, Default)]
pub struct Approved {
    pairs: Option<Spool>,
    all_added: bool,
}

impl Approved {
    /// Answers for keys that come in order.
    pub(super) fn cursor(&self) -> ApprovedCursor {
        ApprovedCursor {
            reader: self.pairs.as_ref().map(Spool::reader),
            all_added: self.all_added,
            key: Vec::new(),
            kinds: Vec::new(),
            ahead: Vec::new(),
            has_ahead: false,
        }
    }
}

/// Walks along the approved pairs.
#[derive(Debug)]
pub(super) struct ApprovedCursor {
    reader: Option<SpoolReader>,
    all_added: bool,
    /// The key that `kinds` belong to.
    key: Vec<u8>,
    kinds: Vec<u8>,
    /// The next pair.
    ahead: Vec<u8>,
    has_ahead: bool,
}

impl ApprovedCursor {
    /// Whether the change is approved. Keys must come in order.
    pub(super) fn covers(&mut self, key: &Key, kind: ChangeKind) -> Result<bool, SpoolError> {
        if self.all_added && kind == ChangeKind::Added {
            return Ok(true);
        }
        if self.key != key.as_bytes() {
            self.key.clear();
            self.key.extend_from_slice(key.as_bytes());
            self.kinds.clear();
        }
        while self.fill()? {
            let Some((&code, next)) = self.ahead.split_first() else { return Err(SpoolError::Undecodable) };
            if next > key.as_bytes() {
                break;
            }
            if next == key.as_bytes() {
                self.kinds.push(code);
            }
            self.has_ahead = false;
        }
        Ok(self.kinds.contains(&kind.code()))
    }

    fn fill(&mut self) -> Result<bool, SpoolError> {
        if let Some(reader) = self.reader.as_mut().filter(|_| !self.has_ahead) {
            self.has_ahead = reader.next(&mut self.ahead)?;
        }
        Ok(self.has_ahead)
    }
}
