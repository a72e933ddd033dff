//! The plan's spools: upserts and removals, each in key order, and what is known beside them.

use std::path::Path;

use super::{Absent, AnnotationReader, Annotations, Approved, Locals, PlanRow, approvals::ApprovedCursor, codec};
use crate::{
    diff::Annotation,
    model::{ChangeKind, Key},
    spool::{Spool, SpoolError, SpoolReader, SpoolWriter},
};

/// Writes a plan in key order.
#[derive(Debug)]
pub struct PlanWriter {
    upserts: SpoolWriter,
    removals: SpoolWriter,
    buffer: Vec<u8>,
}

impl PlanWriter {
    /// A writer whose files are made in `dir`.
    pub fn new(dir: &Path) -> Self {
        Self { upserts: SpoolWriter::new(dir), removals: SpoolWriter::new(dir), buffer: Vec::new() }
    }

    /// Appends a row. Keys must come in order.
    ///
    /// # Errors
    /// [`SpoolError`] when a file cannot be written.
    pub fn push(&mut self, row: &PlanRow) -> Result<(), SpoolError> {
        self.buffer.clear();
        codec::put_row(row, &mut self.buffer);
        match row.planned.kind {
            ChangeKind::Added | ChangeKind::Changed => self.upserts.push(&self.buffer),
            ChangeKind::Removed => self.removals.push(&self.buffer),
        }
    }

    /// Ends writing.
    ///
    /// # Errors
    /// [`SpoolError`] when a file cannot be written.
    pub fn finish(self) -> Result<Plan, SpoolError> {
        Ok(Plan {
            upserts: self.upserts.finish()?,
            removals: self.removals.finish()?,
            annotations: Annotations::default(),
            approved: Approved::default(),
        })
    }
}

/// A spooled plan.
#[derive(Debug, Clone)]
pub struct Plan {
    upserts: Spool,
    removals: Spool,
    annotations: Annotations,
    approved: Approved,
}

impl Plan {
    /// Number of planned changes, before ownership.
    pub fn len(&self) -> u64 {
        self.upserts.len() + self.removals.len()
    }

    /// Whether nothing is planned.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the diff pass planned removals.
    pub fn has_removals(&self) -> bool {
        !self.removals.is_empty()
    }

    /// What ownership found, in key order.
    pub fn annotations(&self) -> AnnotationReader {
        self.annotations.reader()
    }

    /// Adds what ownership found.
    pub fn annotate(&mut self, annotations: Annotations) {
        self.annotations = annotations;
    }

    /// What is known of absent keys. `is_proof`: that a key is not in the result means that it has left the model.
    pub fn absent(&self, keys: Locals, is_proof: bool) -> Absent {
        Absent::new(keys, self.annotations.clone(), is_proof)
    }

    /// Adds what is approved.
    pub fn approve(&mut self, approved: Approved) {
        self.approved = approved;
    }

    /// The planned upserts in key order.
    pub fn upserts(&self) -> PlanReader {
        self.reader(&self.upserts)
    }

    /// The planned removals in key order.
    pub fn removals(&self) -> PlanReader {
        self.reader(&self.removals)
    }

    fn reader(&self, spool: &Spool) -> PlanReader {
        PlanReader {
            rows: spool.reader(),
            buffer: Vec::new(),
            annotations: self.annotations.reader(),
            ahead: None,
            approved: self.approved.cursor(),
        }
    }
}

/// A row of the plan with what is known beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanItem {
    /// The row.
    pub row: PlanRow,
    /// What ownership says about it. `Invalid` and `Waits` take it out of the plan.
    pub annotation: Option<Annotation>,
    /// Approved: neither judged nor held.
    pub approved: bool,
}

impl PlanItem {
    /// Whether the row is still part of the plan after ownership.
    pub const fn is_planned(&self) -> bool {
        !matches!(self.annotation, Some(Annotation::Invalid { .. } | Annotation::Waits { .. }))
    }
}

/// Reads a plan in key order.
#[derive(Debug)]
pub struct PlanReader {
    rows: SpoolReader,
    buffer: Vec<u8>,
    annotations: AnnotationReader,
    ahead: Option<(Key, Annotation)>,
    approved: ApprovedCursor,
}

impl PlanReader {
    /// The next row.
    ///
    /// # Errors
    /// [`SpoolError`] when a file cannot be read.
    #[expect(clippy::should_implement_trait, reason = "fallible, and named as every reader here")]
    pub fn next(&mut self) -> Result<Option<PlanItem>, SpoolError> {
        if !self.rows.next(&mut self.buffer)? {
            return Ok(None);
        }
        let row = codec::take_row(&self.buffer).ok_or(SpoolError::Undecodable)?;
        let annotation = self.annotation(&row.key)?;
        let approved = self.approved.covers(&row.key, row.planned.kind)?;
        Ok(Some(PlanItem { row, annotation, approved }))
    }

    fn annotation(&mut self, key: &Key) -> Result<Option<Annotation>, SpoolError> {
        loop {
            if self.ahead.is_none() {
                self.ahead = self.annotations.next()?;
            }
            match &self.ahead {
                Some((next, _)) if next < key => self.ahead = None,
                Some((next, _)) if next == key => return Ok(self.ahead.take().map(|(_, annotation)| annotation)),
                Some(_) | None => return Ok(None),
            }
        }
    }
}
