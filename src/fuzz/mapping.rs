//! Values of any kind through every cast, lists, hashes and a template.

use std::sync::{Arc, OnceLock};

use super::bits::Bits;
use crate::{
    mapping::{Mapping, to_json},
    model::{
        Column, ColumnKind, RecordRef, RowBatch, Schema,
        spec::{Cast, FieldSource, FieldSpec, HashEncoding, HashFunction, HashSpec, Normalise, SyncSpec, WhenNull},
    },
};

/// One field of each way to make one.
fn sources() -> Vec<FieldSource> {
    let column = || "x".to_owned();
    let casts = [
        Cast::Text,
        Cast::Integer,
        Cast::Decimal { scale: None },
        Cast::Decimal { scale: Some(3) },
        Cast::Float,
        Cast::Boolean,
        Cast::Date,
        Cast::Timestamp,
        Cast::Json,
    ];
    let hash = |encoding| Some(HashSpec { function: HashFunction::Sha256, encoding });
    let identifier = |normalise, hash| FieldSource::Identifier { column: column(), normalise, hash };
    let mut all: Vec<FieldSource> =
        casts.into_iter().map(|cast| FieldSource::Column { column: column(), cast: Some(cast) }).collect();
    all.extend([
        FieldSource::Column { column: column(), cast: None },
        FieldSource::Template("<{{ x | upper }}|{{ x | length }}>".to_owned()),
        FieldSource::Joined { column: column(), separator: ";".to_owned() },
        FieldSource::List { column: column(), separator: Some(",".to_owned()) },
        FieldSource::List { column: column(), separator: None },
        identifier(Some(Normalise::Email), hash(HashEncoding::Hex)),
        identifier(Some(Normalise::Phone), None),
    ]);
    all
}

/// One mapping per field: one bad value makes a whole record invalid.
fn mappings() -> &'static (Arc<Schema>, Vec<Mapping>) {
    static MADE: OnceLock<(Arc<Schema>, Vec<Mapping>)> = OnceLock::new();
    MADE.get_or_init(|| {
        let column =
            Column { name: "x".to_owned(), kind: ColumnKind::Dynamic, key_kind: None, source_type: "any".to_owned() };
        let schema = Arc::new(Schema { columns: vec![column] });
        let compile = |source| {
            let field = FieldSpec { name: "a.b".to_owned(), source, when_null: WhenNull::Clear };
            let sync = SyncSpec { fields: vec![field], ..SyncSpec::new("s", "m", "d", "o") };
            Mapping::compile(&sync, &schema, &[]).ok()
        };
        let mappings: Vec<Mapping> = sources().into_iter().filter_map(compile).collect();
        assert_eq!(mappings.len(), sources().len(), "a mapping is refused");
        (schema, mappings)
    })
}

/// A value gives a whole record, the same each time, or a reason and nothing.
pub(super) fn run(bytes: &[u8]) {
    let (schema, mappings) = mappings();
    let mut rows = RowBatch::new(schema.clone());
    let bits = &mut Bits(bytes);
    for _ in 0..4 {
        rows.push(bits.value().as_value());
    }
    for row in rows.rows() {
        for mapping in mappings {
            let (mut first, mut second) = (Vec::new(), Vec::new());
            let (once, twice) = (mapping.encode(row, &mut first), mapping.encode(row, &mut second));
            assert!(once == twice && first == second, "a row gives two records");
            match once {
                Ok(()) => {
                    let record = RecordRef::new(&first);
                    assert_eq!(record.fields().count(), 1, "a record that cannot be read");
                    assert!(to_json(record).contains_key("a"), "a field without JSON");
                }
                Err(invalid) => {
                    assert!(first.is_empty(), "an invalid row leaves bytes behind");
                    assert!(!invalid.detail.is_empty(), "invalid without a reason");
                }
            }
        }
    }
}
