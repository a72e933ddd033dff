//! How far a sync that appends has read: where a read begins, and where the next one will.

use crate::{
    delivery::least,
    model::{
        CursorKind, Schema, Timestamp, Value,
        spec::{CursorSpec, CursorStart, Lookback},
    },
    source::{After, CursorValue},
    state::{CursorRecord, SyncRecord},
};

use super::RunError;

/// The cursor column of one run.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    pub(super) column: String,
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
        Ok(Self { column: column.clone(), position, kind, from: from.or(start), known })
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

    /// Position of the column in the schema.
    pub(super) const fn position(&self) -> usize {
        self.position
    }

    /// The place of a row.
    pub(super) const fn place(&self, value: Value<'_>) -> Option<i64> {
        self.kind.place(value)
    }

    /// What the state keeps before keys are forgotten: nothing below this read is read again.
    pub(super) fn floored(&self) -> CursorRecord {
        let watermark = self.known.as_ref().and_then(|known| known.watermark);
        CursorRecord { column: self.column.clone(), kind: self.kind, watermark, floor: self.from }
    }

    /// What the state keeps once the run has closed. The watermark never goes back: what is open was read from before it.
    pub(super) fn moved(&self, seen: Seen, now: Timestamp) -> CursorRecord {
        // A single event from the future must not hide those that come until then.
        let latest = self.kind.of_micros(now.as_micros());
        let reached = seen.greatest.map(|greatest| latest.map_or(greatest, |latest| greatest.min(latest)));
        let reached = reached.map(|reached| seen.open.map_or(reached, |open| reached.min(open)));
        let before = self.floored();
        CursorRecord { watermark: before.watermark.max(reached), ..before }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        model::{Column, ColumnKind, KeyKind, SyncId, spec::KeyShape},
        state::Target,
    };

    const NOW: Timestamp = Timestamp::from_micros(1_000_000);

    fn spec(lookback: Lookback, start: Option<CursorStart>) -> CursorSpec {
        CursorSpec { column: "at".to_owned(), lookback, start }
    }

    fn schema(kind: ColumnKind) -> Schema {
        Schema { columns: vec![Column { name: "at".to_owned(), kind, key_kind: None, source_type: "t".to_owned() }] }
    }

    fn known(cursor: CursorRecord) -> SyncRecord {
        let key = KeyShape { columns: vec!["id".to_owned()], kinds: vec![KeyKind::Integer] };
        SyncRecord {
            id: SyncId(1),
            name: "s".to_owned(),
            uuid: [0; 16],
            target: Target {
                destination: "http".to_owned(),
                account: None,
                object: "o".to_owned(),
                match_fields: Vec::new(),
                key,
            },
            mapping: None,
            previous_mapping: None,
            first_run_closed: true,
            created_at: NOW,
            last_ok_at: None,
            last_removal_at: None,
            cursor: Some(cursor),
            invalid: 0,
            paused: false,
        }
    }

    fn at(kind: CursorKind, watermark: Option<i64>, floor: Option<i64>) -> SyncRecord {
        known(CursorRecord { column: "at".to_owned(), kind, watermark, floor })
    }

    fn opened(kind: ColumnKind, spec: &CursorSpec, known: Option<&SyncRecord>) -> Result<Cursor, RunError> {
        Cursor::new("s", spec, &schema(kind), known)
    }

    #[test]
    fn a_read_begins_at_the_start_then_a_lookback_behind_the_watermark() {
        let steps = |steps| spec(Lookback::Steps(steps), Some(CursorStart::Integer(7)));
        let from = |spec: &CursorSpec, known: Option<&SyncRecord>| opened(ColumnKind::Int, spec, known).unwrap().from;
        assert_eq!(from(&spec(Lookback::Steps(5), None), None), None);
        assert_eq!(from(&steps(5), None), Some(7));
        assert_eq!(from(&steps(5), Some(&at(CursorKind::Integer, Some(20), Some(7)))), Some(15));
        // A longer lookback does not read again what was forgotten.
        assert_eq!(from(&steps(9), Some(&at(CursorKind::Integer, Some(20), Some(15)))), Some(15));
        let days = spec(Lookback::Time(Duration::from_secs(3600)), None);
        let date = opened(ColumnKind::Date, &days, Some(&at(CursorKind::Date, Some(20), None))).unwrap();
        assert_eq!(date.after().map(|after| after.from), Some(CursorValue::Date(19)));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let reason = |kind, spec: &CursorSpec, known: Option<&SyncRecord>| match opened(kind, spec, known) {
            Err(RunError::Refused { reason, .. }) => reason,
            other => panic!("{other:?}"),
        };
        let hour = spec(Lookback::Time(Duration::from_secs(3600)), None);
        assert!(reason(ColumnKind::Text, &hour, None).contains("is of type `t`"));
        assert!(reason(ColumnKind::Int, &hour, None).contains("`lookback` does not fit the integer column"));
        assert!(reason(ColumnKind::Date, &spec(Lookback::Steps(1), None), None).contains("`lookback` does not fit"));
        let start = CursorSpec { start: Some(CursorStart::Integer(1)), ..hour.clone() };
        assert!(reason(ColumnKind::Timestamp, &start, None).contains("`start` does not fit"));
        let other = at(CursorKind::Integer, Some(1), None);
        assert!(reason(ColumnKind::Timestamp, &hour, Some(&other)).contains("not the one of its first run"));
        let missing = CursorSpec { column: "when".to_owned(), ..hour };
        assert!(reason(ColumnKind::Timestamp, &missing, None).contains("is not returned by the model"));
    }

    #[test]
    fn an_event_from_the_future_does_not_hide_those_until_then() {
        let hour = spec(Lookback::Time(Duration::ZERO), None);
        let cursor = opened(ColumnKind::Timestamp, &hour, None).unwrap();
        let seen = Seen { greatest: Some(i64::MAX), open: None };
        assert_eq!(cursor.moved(seen, NOW).watermark, Some(NOW.as_micros()));
    }

    proptest! {
        /// Run after run: the watermark never goes back, and no event that a run left open lies before the next read.
        #[test]
        fn an_open_event_is_read_again(lookback in 0..10_u32, runs in prop::collection::vec((0..20_i64, prop::option::of(0..40_i64)), 1..8)) {
            let spec = spec(Lookback::Steps(lookback), Some(CursorStart::Integer(0)));
            let mut known = None;
            let mut greatest = 0;
            for (step, open) in runs {
                let cursor = opened(ColumnKind::Int, &spec, known.as_ref()).unwrap();
                let from = cursor.from.unwrap_or(i64::MIN);
                greatest += step;
                let open = open.map(|place| place.clamp(from, greatest.max(from)));
                let moved = cursor.moved(Seen { greatest: Some(greatest.max(from)), open }, NOW);
                prop_assert!(moved.watermark >= known.as_ref().and_then(|known: &SyncRecord| known.cursor.as_ref()?.watermark));
                known = Some(self::known(moved));
                let next = opened(ColumnKind::Int, &spec, known.as_ref()).unwrap().from.unwrap();
                prop_assert!(next >= from && open.is_none_or(|place| next <= place), "{next} {open:?}");
            }
        }
    }
}
