//! The mappings that entries of the snapshot may have been settled under, beside the present one.
//!
//! The state keeps their texts, the newest first. A complete run leaves the present one alone, or with
//! `remap = "later"` also those under which rows still stand; a run that ended early leaves all, and the present one once
//! it has delivered anything. So a row's change is known to be the mapping's also after several edits in a row.

use crate::{
    diff::{self, Planned},
    mapping::{HashKeys, Mapping},
    model::{Entry, Fingerprint, Fingerprinter, Held, RowRef, Schema},
    state::MappingRecord,
};

/// Mappings that are kept. Rows under still older ones count as changed by data.
const MOST: usize = 8;

/// An earlier mapping.
#[derive(Debug)]
pub(super) struct Earlier {
    text: String,
    mapping: Mapping,
}

/// The earlier mappings that can still be bound to the model.
pub(super) fn load(
    known: Option<&MappingRecord>,
    present: &MappingRecord,
    schema: &Schema,
    keys: &HashKeys,
) -> Vec<Earlier> {
    let texts = known.map(|record| Mapping::split_texts(&record.text)).unwrap_or_default();
    let others = texts.into_iter().filter(|text| *text != present.text);
    let bound = others.filter_map(|text| {
        let mapping = Mapping::from_fingerprint_text(&text, schema, keys)?;
        Some(Earlier { text, mapping })
    });
    bound.take(MOST).collect()
}

/// The fingerprints of a row under earlier mappings, in their order; `None` where it has no record.
pub(super) fn fingerprints(
    earlier: &[Earlier],
    row: RowRef<'_>,
    fingerprinter: &Fingerprinter,
    out: &mut Vec<Option<Fingerprint>>,
) {
    let mut record = Vec::new();
    for Earlier { mapping, .. } in earlier {
        record.clear();
        out.push(mapping.encode(row, &mut record).is_ok().then(|| fingerprinter.of(&record)));
    }
}

/// Whether a resync has asked for the key's entry.
pub(super) fn is_resynced(held: Option<&Held>, context: &diff::Context) -> bool {
    held.and_then(live_entry).is_some_and(|entry| Some(entry.run) <= context.resync_through)
}

/// What the snapshot holds for a key that has not left it.
pub(super) fn live_entry(held: &Held) -> Option<&Entry> {
    held.entry.as_ref().filter(|entry| !entry.tombstone)
}

/// The earlier mapping under which the row is what the destination acknowledged last, while nothing of the key is open:
/// then the mapping alone makes the change.
pub(super) fn stands_under(
    fingerprints: &[Option<Fingerprint>],
    held: Option<&Held>,
    planned: &Planned,
) -> Option<usize> {
    let held = held.filter(|held| planned.counts_for_guard && held.dirty.is_empty())?;
    let entry = live_entry(held)?;
    fingerprints.iter().position(|earlier| *earlier == Some(entry.fingerprint))
}

/// What a run leaves: the present mapping, and the earlier ones that are kept. `standing` counts the rows that still stand
/// under each; `None`: the run did not see to all rows.
pub(super) fn left(present: &MappingRecord, earlier: &[Earlier], standing: Option<&[u64]>) -> MappingRecord {
    let kept = |place: usize| standing.is_none_or(|standing| standing.get(place).is_some_and(|rows| *rows > 0));
    let texts = earlier.iter().enumerate().filter(|(place, _)| kept(*place)).map(|(_, earlier)| earlier.text.as_str());
    let texts: Vec<&str> = std::iter::once(present.text.as_str()).chain(texts).take(MOST).collect();
    MappingRecord { hash: present.hash.clone(), text: texts.concat() }
}
