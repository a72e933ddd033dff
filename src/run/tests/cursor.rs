//! Where the reads of a sync that appends begin.

use std::time::Duration;

use proptest::prelude::*;

use crate::{
    model::{
        Column, ColumnKind, CursorKind, KeyKind, Schema, SyncId, Timestamp,
        spec::{CursorSpec, CursorStart, KeyShape, Lookback},
    },
    run::{
        RunError,
        cursor::{Cursor, Seen},
    },
    source::CursorValue,
    state::{CursorRecord, SyncRecord, Target},
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
        resync_through: None,
        resync_open: false,
        suspect: false,
        invalid: 0,
        paused: false,
        full_read: None,
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
    // A later start is a wish, also after a guarded first run has kept its cursor.
    assert_eq!(from(&steps(5), Some(&at(CursorKind::Integer, Some(9), None))), Some(7));
    assert_eq!(from(&steps(5), Some(&at(CursorKind::Integer, None, None))), Some(7));
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

#[test]
fn a_shorter_lookback_does_not_lose_an_open_event() {
    let record = at(CursorKind::Integer, Some(100), Some(40));
    let before = opened(ColumnKind::Int, &spec(Lookback::Steps(50), None), Some(&record)).unwrap();
    assert_eq!(before.from, Some(50));
    let moved = known(before.moved(Seen { greatest: Some(100), open: Some(60) }, NOW));
    let from = |steps| opened(ColumnKind::Int, &spec(Lookback::Steps(steps), None), Some(&moved)).unwrap().from;
    assert_eq!((from(10), from(0), from(100)), (Some(50), Some(60), Some(50)));
}

proptest! {
    /// Run after run, whatever becomes of the lookback: no read begins before an earlier one, and no event that a run left
    /// open lies before the next read.
    #[test]
    fn an_open_event_is_read_again(runs in prop::collection::vec((0..10_u32, 0..20_i64, prop::option::of(0..40_i64)), 1..8)) {
        let mut known = None;
        let mut greatest = 0;
        for (lookback, step, open) in runs {
            let spec = spec(Lookback::Steps(lookback), Some(CursorStart::Integer(0)));
            let cursor = opened(ColumnKind::Int, &spec, known.as_ref()).unwrap();
            let from = cursor.from.unwrap_or(i64::MIN);
            greatest += step;
            let open = open.map(|place| place.clamp(from, greatest.max(from)));
            let moved = cursor.moved(Seen { greatest: Some(greatest.max(from)), open }, NOW);
            known = Some(self::known(moved));
            for lookback in [0, lookback, 50] {
                let spec = CursorSpec { lookback: Lookback::Steps(lookback), ..spec.clone() };
                let next = opened(ColumnKind::Int, &spec, known.as_ref()).unwrap().from.unwrap();
                prop_assert!(next >= from && open.is_none_or(|place| next <= place), "{next} {open:?}");
            }
        }
    }
}
