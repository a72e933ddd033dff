//! How far a sync that appends has read: where a read begins, and where the next one will.

use crate::{
    delivery::least,
    mapping::InvalidField,
    model::{
        CursorKind, InvalidCode, RowRef, Schema, Timestamp,
        spec::{CursorSpec, CursorStart, Lookback},
    },
    plan::{Plan, PlanItem},
    source::{After, CursorValue},
    spool::SpoolError,
    state::{CursorRecord, SyncRecord},
};

use super::RunError;

/// The cursor column of one run.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    column: String,
    /// Position of the column in the schema.
    position: usize,
    kind: CursorKind,
    /// The least place that is read; `None`: everything is.
    pub(super) from: Option<i64>,
    /// What the state knows.
    known: Option<CursorRecord>,
}

impl Cursor {
    /// Finds the column, and where to read on from.
    ///
    /// # Errors
    /// When the column is missing or is not what the settings, or the first run, took it for.
    pub(super) fn new(
        sync: &str,
        spec: &CursorSpec,
        schema: &Schema,
        known: Option<&SyncRecord>,
    ) -> Result<Self, RunError> {
        let refused = |reason: String, hint: &str| RunError::Refused {
            reason: format!("sync `{sync}`: {reason}"),
            hint: hint.to_owned(),
        };
        let column = &spec.column;
        let position = schema.position(column).ok_or_else(|| {
            refused(format!("its cursor column `{column}` is not returned by the model"), "correct `cursor.column`")
        })?;
        let found = schema.columns.get(position).map(|column| (column.kind, column.source_type.as_str()));
        let kind = found.and_then(|(kind, _)| CursorKind::of(kind)).ok_or_else(|| {
            let source_type = found.map_or("unknown", |(_, name)| name);
            refused(
                format!("its cursor column `{column}` is of type `{source_type}`"),
                "a cursor is an integer, a date or a timestamp: name another column, or cast it in the model",
            )
        })?;
        let fits = "write a duration for a date or timestamp column, a whole number for an integer column";
        let lookback = steps(kind, spec.lookback)
            .ok_or_else(|| refused(format!("`lookback` does not fit the {} column `{column}`", kind.name()), fits))?;
        let start = match spec.start {
            None => None,
            Some(start) => Some(place(kind, start).ok_or_else(|| {
                refused(
                    format!("`start` does not fit the {} column `{column}`", kind.name()),
                    "write a date or an instant for a date or timestamp column, a whole number for an integer column",
                )
            })?),
        };
        let known = known.and_then(|record| record.cursor.clone());
        if known.as_ref().is_some_and(|known| known.column != *column || known.kind != kind) {
            let hint = "set it back, or give the changed sync a new name: then it starts with a first run";
            return Err(refused("its cursor column is not the one of its first run".to_owned(), hint));
        }
        let from = match &known {
            // What was forgotten must not be read again, also when the lookback has grown since.
            Some(known) => known.watermark.map(|watermark| watermark.saturating_sub(lookback)).max(known.floor),
            None => None,
        };
        // The cursor is kept by a guarded first run too: a later start is asked for on purpose.
        Ok(Self { column: column.clone(), position, kind, from: from.max(start), known })
    }

    /// Where the source begins to read.
    pub(super) fn after(&self) -> Option<After> {
        let value = |place: i64| match self.kind {
            CursorKind::Integer => CursorValue::Int(place),
            CursorKind::Date => {
                CursorValue::Date(i32::try_from(place).unwrap_or(if place < 0 { i32::MIN } else { i32::MAX }))
            }
            CursorKind::Timestamp => CursorValue::Timestamp(place),
        };
        self.from.map(|from| After { column: self.column.clone(), from: value(from) })
    }

    /// The place of a row; `None` for a row that is not read: a source may hand out some before the place it was asked for.
    ///
    /// # Errors
    /// A row without a place.
    pub(super) fn locate(&self, row: RowRef<'_>) -> Result<Option<i64>, InvalidField> {
        let value = row.cell(self.position);
        let place = self.kind.place(value).ok_or_else(|| self.no_place(value.is_null()))?;
        Ok(Some(place).filter(|place| self.from.is_none_or(|from| *place >= from)))
    }

    fn no_place(&self, is_null: bool) -> InvalidField {
        let (code, detail) = if is_null {
            (InvalidCode::NullField, "the cursor column is null")
        } else {
            (InvalidCode::BadValue, "the cursor column holds a value of another kind")
        };
        InvalidField { code, field: self.column.clone(), detail: detail.to_owned() }
    }

    /// What the state keeps before keys are forgotten: nothing below this read is read again.
    pub(super) fn floored(&self) -> CursorRecord {
        let watermark = self.known.as_ref().and_then(|known| known.watermark);
        CursorRecord { column: self.column.clone(), kind: self.kind, watermark, floor: self.from }
    }

    /// What the state keeps once the run has closed. The watermark goes back to what is open, so that a shorter lookback
    /// does not lose it; the floor is what keeps forgotten keys from being read again.
    pub(super) fn moved(&self, seen: Seen, now: Timestamp) -> CursorRecord {
        // A single event from the future must not hide those that come until then.
        let latest = self.kind.of_micros(now.as_micros());
        let reached = seen.greatest.map(|greatest| latest.map_or(greatest, |latest| greatest.min(latest)));
        let before = self.floored();
        let forward = before.watermark.max(reached);
        let watermark = forward.map(|forward| seen.open.map_or(forward, |open| forward.min(open)));
        CursorRecord { watermark, ..before }
    }
}

/// What a run has seen of its cursor column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// The greatest place read.
    pub(super) greatest: Option<i64>,
    /// The least place of a row that is neither delivered nor refused.
    pub(super) open: Option<i64>,
}

impl Seen {
    /// A row was read.
    pub(super) fn read(&mut self, place: i64) {
        self.greatest = self.greatest.max(Some(place));
    }

    /// A row is not settled.
    pub(super) fn keep_open(&mut self, place: Option<i64>) {
        self.open = least(self.open, place);
    }

    /// Planned events that are not sent hold the cursor back.
    ///
    /// # Errors
    /// When the plan cannot be read back.
    pub(super) fn keep_planned(
        &mut self,
        plan: &Plan,
        concerned: impl Fn(&PlanItem) -> bool,
    ) -> Result<(), SpoolError> {
        let mut reader = plan.upserts();
        while let Some(item) = reader.next()? {
            self.keep_open(item.row.cursor.filter(|_| concerned(&item)));
        }
        Ok(())
    }
}

fn steps(kind: CursorKind, lookback: Lookback) -> Option<i64> {
    match lookback {
        Lookback::Time(length) => kind.steps(length),
        Lookback::Steps(steps) => (kind == CursorKind::Integer).then_some(i64::from(steps)),
    }
}

fn place(kind: CursorKind, start: CursorStart) -> Option<i64> {
    match start {
        CursorStart::Micros(micros) => kind.of_micros(micros),
        CursorStart::Integer(place) => (kind == CursorKind::Integer).then_some(place),
    }
}
