//! How often each mapped field is null, for the guard's `max_emptied`.
//!
//! Measured is how many rows of the snapshot have lost a value of a field. The snapshot holds no values, so it is estimated
//! from counts, never too high by the estimate's two bounds:
//!
//! - the rows of the run whose key is in the snapshot and in which the field is null, less those that the last complete
//!   run had (in proportion, where keys have left since): added rows do not count, whatever they hold;
//! - the planned changes in which the field is null: what was null and stays as it was, is no change. Approved changes,
//!   re-sends and reject retries do not count.

use crate::{model::RecordRef, plan::Emptied, state::NullShare};

/// Rows, and in how many of them each field is null.
#[derive(Debug, Clone, Default)]
struct Counted {
    rows: u64,
    nulls: Vec<u64>,
}

/// Null counts of one run, by field.
#[derive(Debug, Clone, Default)]
pub(super) struct NullCounts {
    fields: Vec<String>,
    /// Every valid row.
    all: Counted,
    /// Rows whose key is in the snapshot.
    kept: Counted,
    /// Planned changes that the guard judges.
    changed: Vec<u64>,
}

impl NullCounts {
    /// No rows yet. `fields` are in record order.
    pub(super) fn of<'a>(fields: impl Iterator<Item = &'a str>) -> Self {
        let fields: Vec<String> = fields.map(str::to_owned).collect();
        let none = Counted { rows: 0, nulls: vec![0; fields.len()] };
        Self { changed: none.nulls.clone(), all: none.clone(), kept: none, fields }
    }

    /// Counts a valid row: the places of its null fields, and whether its key is in the snapshot.
    pub(super) fn row(&mut self, nulls: &[u16], kept: bool) {
        self.all.add(nulls);
        if kept {
            self.kept.add(nulls);
        }
    }

    /// Counts the record of a planned change: a field that is skipped or cleared is null.
    pub(super) fn change(&mut self, record: RecordRef<'_>) {
        let mut present = record.fields().peekable();
        for (field, count) in self.fields.iter().zip(&mut self.changed) {
            let found = present.next_if(|(name, _)| name == field);
            *count += u64::from(found.is_none_or(|(_, value)| value.is_null()));
        }
    }

    /// The fields that have lost values since the last complete run. Fields that it did not have are not judged.
    pub(super) fn emptied(&self, base: &[NullShare]) -> Vec<Emptied> {
        let counts = self.kept.nulls.iter().zip(&self.changed);
        let fields = self.fields.iter().zip(counts).filter_map(|(field, (&kept, &changed))| {
            let before = base.iter().find(|share| share.field == *field)?;
            let rows = kept.saturating_sub(self.expected(before)).min(changed);
            (rows > 0).then(|| Emptied { field: field.clone(), rows })
        });
        fields.collect()
    }

    /// Nulls among the rows that are still there, had nothing changed.
    fn expected(&self, before: &NullShare) -> u64 {
        if self.kept.rows >= before.read {
            return before.nulls;
        }
        let scaled = u128::from(before.nulls) * u128::from(self.kept.rows) / u128::from(before.read);
        u64::try_from(scaled).unwrap_or(before.nulls)
    }

    /// What the next run compares with, once this one has closed complete.
    pub(super) fn shares(&self) -> Vec<NullShare> {
        let fields = self.fields.iter().zip(&self.all.nulls);
        fields.map(|(field, nulls)| NullShare { field: field.clone(), read: self.all.rows, nulls: *nulls }).collect()
    }
}

impl Counted {
    fn add(&mut self, nulls: &[u16]) {
        self.rows += 1;
        for place in nulls {
            if let Some(count) = self.nulls.get_mut(usize::from(*place)) {
                *count += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Value, encode_field};

    fn base(read: u64, nulls: u64) -> Vec<NullShare> {
        vec![NullShare { field: "b".to_owned(), read, nulls }]
    }

    fn counts(kept: (u64, u64), added: u64, changed: u64) -> NullCounts {
        let mut counts = NullCounts::of(["a", "b"].into_iter());
        for row in 0..kept.0 {
            counts.row(if row < kept.1 { &[1] } else { &[] }, true);
        }
        (0..added).for_each(|_| counts.row(&[1], false));
        let mut record = Vec::new();
        encode_field("a", Value::Int(1), &mut record).unwrap();
        (0..changed).for_each(|_| counts.change(RecordRef::new(&record)));
        counts
    }

    fn emptied(counts: &NullCounts, base: &[NullShare]) -> u64 {
        counts.emptied(base).first().map_or(0, |emptied| emptied.rows)
    }

    #[test]
    fn rows_that_turn_null_count_and_added_ones_do_not() {
        assert_eq!(emptied(&counts((100, 40), 0, 40), &base(100, 0)), 40);
        assert_eq!(emptied(&counts((100, 40), 0, 40), &base(100, 10)), 30);
        assert_eq!(emptied(&counts((100, 10), 500, 40), &base(100, 10)), 0);
        assert_eq!(emptied(&counts((100, 40), 0, 40), &[]), 0, "a new field has lost nothing");
    }

    #[test]
    fn where_keys_left_the_share_counts() {
        // Half of the rows left, and with them half of the nulls.
        assert_eq!(emptied(&counts((50, 25), 0, 50), &base(100, 50)), 0);
        assert_eq!(emptied(&counts((50, 45), 0, 50), &base(100, 50)), 20);
    }

    #[test]
    fn what_is_not_about_to_be_sent_does_not_count() {
        assert_eq!(emptied(&counts((100, 90), 0, 0), &base(100, 0)), 0);
        assert_eq!(emptied(&counts((100, 90), 0, 7), &base(100, 0)), 7);
    }

    #[test]
    fn a_cleared_field_is_null_and_a_filled_one_is_not() {
        let mut counts = NullCounts::of(["a", "b"].into_iter());
        let mut record = Vec::new();
        encode_field("a", Value::Null, &mut record).unwrap();
        encode_field("b", Value::Int(1), &mut record).unwrap();
        counts.change(RecordRef::new(&record));
        assert_eq!(counts.changed, [1, 0]);
    }
}
