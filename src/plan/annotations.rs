//! What ownership says about keys: at most one annotation a key, in key order.

use std::path::Path;

use super::codec;
use crate::{
    diff::{Annotation, MAX_OTHERS, Was},
    model::Key,
    spool::{SortedReader, Spool, SpoolError, SpoolReader, SpoolWriter},
};

/// Annotations in key order; by default none.
#[derive(Debug, Clone, Default)]
pub struct Annotations {
    spool: Option<Spool>,
    unchanged: u64,
    waiting: u64,
}

impl Annotations {
    /// Keys that were counted as unchanged and are invalid.
    pub const fn invalid_unchanged(&self) -> u64 {
        self.unchanged
    }

    /// Keys that were counted as waiting and are invalid.
    pub const fn invalid_waiting(&self) -> u64 {
        self.waiting
    }

    /// Reads them in key order.
    pub fn reader(&self) -> AnnotationReader {
        AnnotationReader { reader: self.spool.as_ref().map(Spool::reader), buffer: Vec::new() }
    }
}

/// Reads annotations in key order.
#[derive(Debug)]
pub struct AnnotationReader {
    reader: Option<SpoolReader>,
    buffer: Vec<u8>,
}

impl AnnotationReader {
    /// The next annotated key. It may be outside the plan: an unchanged or waiting row that is invalid, a tombstone.
    ///
    /// # Errors
    /// [`SpoolError`] when the file cannot be read.
    #[expect(clippy::should_implement_trait, reason = "fallible, and named as every reader here")]
    pub fn next(&mut self) -> Result<Option<(Key, Annotation)>, SpoolError> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        if !reader.next(&mut self.buffer)? {
            return Ok(None);
        }
        codec::take_annotation(&self.buffer).map(Some).ok_or(SpoolError::Undecodable)
    }
}

/// Makes one annotation a key of those that were found, sorted by key.
pub(super) fn merge_found(mut found: SortedReader, dir: &Path) -> Result<Annotations, SpoolError> {
    let mut merged = Writer { spool: SpoolWriter::new(dir), buffer: Vec::new(), unchanged: 0, waiting: 0 };
    let mut bytes = Vec::new();
    let mut last: Option<(Key, Annotation)> = None;
    while found.next(&mut bytes)? {
        let (key, annotation) = codec::take_annotation(&bytes).ok_or(SpoolError::Undecodable)?;
        last = Some(match last.take() {
            Some((same, before)) if same == key => (same, stronger(before, annotation)),
            before => {
                merged.push(before)?;
                (key, annotation)
            }
        });
    }
    merged.push(last)?;
    Ok(Annotations { spool: Some(merged.spool.finish()?), unchanged: merged.unchanged, waiting: merged.waiting })
}

struct Writer {
    spool: SpoolWriter,
    buffer: Vec<u8>,
    unchanged: u64,
    waiting: u64,
}

impl Writer {
    fn push(&mut self, annotated: Option<(Key, Annotation)>) -> Result<(), SpoolError> {
        let Some((key, annotation)) = annotated else { return Ok(()) };
        if let Annotation::Invalid { was, .. } = &annotation {
            self.unchanged += u64::from(*was == Was::Unchanged);
            self.waiting += u64::from(*was == Was::Waiting);
        }
        self.buffer.clear();
        codec::put_annotation(&key, &annotation, &mut self.buffer);
        self.spool.push(&self.buffer)
    }
}

/// The more careful of two annotations of one key; invalid groups are united.
fn stronger(a: Annotation, b: Annotation) -> Annotation {
    match (a, b) {
        (Annotation::Invalid { was, mut others }, Annotation::Invalid { others: more, .. }) => {
            others.extend(more);
            others.sort_unstable();
            others.dedup();
            others.truncate(MAX_OTHERS);
            Annotation::Invalid { was, others }
        }
        (a, b) if rank(&b) > rank(&a) => b,
        (a, _) => a,
    }
}

const fn rank(annotation: &Annotation) -> u8 {
    match annotation {
        Annotation::Invalid { .. } => 5,
        Annotation::Waits { .. } => 4,
        Annotation::TakesOver { .. } => 3,
        Annotation::After { strict: true, .. } => 2,
        Annotation::After { strict: false, .. } => 1,
        Annotation::TakenOver { .. } => 0,
    }
}
