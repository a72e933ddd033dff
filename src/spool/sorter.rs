//! External merge sort of byte records by their bytes.

use std::{
    cmp::Ordering,
    collections::{BinaryHeap, binary_heap::PeekMut},
    path::{Path, PathBuf},
};

use super::{Spool, SpoolError, SpoolReader, SpoolWriter};

/// Runs that are merged at once; it bounds open files and memory (a block of each).
const MAX_RUNS: usize = 32;

/// Sorts records by their bytes. Equal records are all kept.
#[derive(Debug)]
pub struct Sorter {
    dir: PathBuf,
    budget: usize,
    buffer: Buffer,
    runs: Vec<Spool>,
    records: u64,
}

impl Sorter {
    /// A sorter that holds about `budget` bytes in memory and makes its files in `dir`.
    pub fn new(dir: &Path, budget: usize) -> Self {
        Self { dir: dir.to_owned(), budget, buffer: Buffer::default(), runs: Vec::new(), records: 0 }
    }

    /// Number of records pushed.
    pub fn len(&self) -> u64 {
        self.records
    }

    /// Whether nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Adds a record.
    ///
    /// # Errors
    /// [`SpoolError`] when a sorted run cannot be written.
    pub fn push(&mut self, record: &[u8]) -> Result<(), SpoolError> {
        self.records += 1;
        self.buffer.push(record);
        if self.buffer.size() < self.budget { Ok(()) } else { self.spill() }
    }

    /// Ends adding; the reader gives the records in order.
    ///
    /// # Errors
    /// [`SpoolError`] when a file cannot be written or read.
    pub fn finish(mut self) -> Result<SortedReader, SpoolError> {
        self.buffer.sort();
        let mut sources: Vec<Source> = self.runs.iter().map(|run| Source::Run(run.reader())).collect();
        sources.push(Source::Memory { buffer: self.buffer, next: 0 });
        SortedReader::new(sources)
    }

    fn spill(&mut self) -> Result<(), SpoolError> {
        if self.runs.len() >= MAX_RUNS {
            self.merge_runs()?;
        }
        self.buffer.sort();
        let mut writer = SpoolWriter::new(&self.dir);
        for index in 0..self.buffer.spans.len() {
            writer.push(self.buffer.record(index).unwrap_or_default())?;
        }
        self.runs.push(writer.finish()?);
        self.buffer.clear();
        Ok(())
    }

    /// Turns all runs into one.
    fn merge_runs(&mut self) -> Result<(), SpoolError> {
        let mut merged = SortedReader::new(self.runs.drain(..).map(|run| Source::Run(run.reader())).collect())?;
        let mut writer = SpoolWriter::new(&self.dir);
        let mut record = Vec::new();
        while merged.next(&mut record)? {
            writer.push(&record)?;
        }
        self.runs.push(writer.finish()?);
        Ok(())
    }
}

/// Records in memory, back to back.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    spans: Vec<(usize, usize)>,
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({} records)", self.spans.len())
    }
}

impl Buffer {
    fn push(&mut self, record: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record);
        self.spans.push((start, self.bytes.len()));
    }

    fn size(&self) -> usize {
        self.bytes.len() + self.spans.len() * size_of::<(usize, usize)>()
    }

    fn record(&self, index: usize) -> Option<&[u8]> {
        let &(start, end) = self.spans.get(index)?;
        self.bytes.get(start..end)
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        self.spans.sort_unstable_by(|a, b| bytes.get(a.0..a.1).cmp(&bytes.get(b.0..b.1)));
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }
}

#[derive(Debug)]
enum Source {
    Run(SpoolReader),
    Memory { buffer: Buffer, next: usize },
}

impl Source {
    fn next(&mut self, record: &mut Vec<u8>) -> Result<bool, SpoolError> {
        match self {
            Self::Run(reader) => reader.next(record),
            Self::Memory { buffer, next } => {
                record.clear();
                let Some(found) = buffer.record(*next) else { return Ok(false) };
                record.extend_from_slice(found);
                *next += 1;
                Ok(true)
            }
        }
    }
}

/// The next record of a source. The smallest record is the greatest head, for the heap gives the greatest.
#[derive(Debug)]
struct Head {
    record: Vec<u8>,
    source: Source,
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        other.record.cmp(&self.record)
    }
}

/// Gives sorted records.
pub struct SortedReader {
    heads: BinaryHeap<Head>,
}

impl std::fmt::Debug for SortedReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SortedReader({} sources)", self.heads.len())
    }
}

impl SortedReader {
    fn new(sources: Vec<Source>) -> Result<Self, SpoolError> {
        let mut heads = BinaryHeap::with_capacity(sources.len());
        for mut source in sources {
            let mut record = Vec::new();
            if source.next(&mut record)? {
                heads.push(Head { record, source });
            }
        }
        Ok(Self { heads })
    }

    /// Puts the next record into `record`, replacing what it held; false at the end.
    ///
    /// # Errors
    /// [`SpoolError`] when a run cannot be read or is damaged.
    pub fn next(&mut self, record: &mut Vec<u8>) -> Result<bool, SpoolError> {
        record.clear();
        let Some(mut head) = self.heads.peek_mut() else { return Ok(false) };
        std::mem::swap(record, &mut head.record);
        let Head { record: following, source } = &mut *head;
        if !source.next(following)? {
            PeekMut::pop(head);
        }
        Ok(true)
    }
}
