//! Records in canonical form.

use super::bits::{Bits, Drawn};
use crate::{
    mapping::{to_json, to_text},
    model::{RecordRef, Value, encode_field},
};

/// What is encoded comes back, numbers in their one form; foreign bytes end the iteration.
pub(super) fn run(bytes: &[u8]) {
    let foreign = RecordRef::new(bytes);
    assert!(foreign.fields().count() <= bytes.len(), "more fields than bytes");
    drop(to_json(foreign));
    foreign.fields().for_each(|(_, value)| drop(to_text(value)));

    let (bits, mut drawn) = (&mut Bits(bytes), Vec::new());
    while !bits.is_empty() {
        drawn.push((bits.text(), bits.value()));
    }
    let (mut record, mut kept) = (Vec::new(), Vec::new());
    for (name, value) in &drawn {
        let before = record.len();
        match encode_field(name, value.as_value(), &mut record) {
            Ok(()) => kept.push((name.as_str(), value)),
            Err(_) => assert_eq!(record.len(), before, "a refused value leaves bytes behind"),
        }
    }
    let found: Vec<_> = RecordRef::new(&record).fields().collect();
    assert_eq!(found.len(), kept.len(), "fields were lost");
    for ((name, value), (expected, drawn)) in found.into_iter().zip(kept) {
        assert!(name == expected && same(value, drawn), "a field comes back as another");
    }
}

fn same(found: Value<'_>, drawn: &Drawn) -> bool {
    match (found, drawn.as_value()) {
        (Value::Decimal(found), Value::Int(int)) => found == int.to_string(),
        (Value::Decimal(found), decimal @ Value::Decimal(_)) => found == to_text(decimal),
        (Value::Float(found), Value::Float(float)) => found.to_bits() == (float + 0.0).to_bits(),
        (found, drawn) => found == drawn,
    }
}

/// A field of every kind, as [`Bits`] draws them, and a record.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let every: Vec<u8> = (0..14).flat_map(|kind: u8| [&[1, b'a' + kind, kind, 8][..], &[kind; 24]].concat()).collect();
    let mut record = Vec::new();
    let fields = [
        ("a.b", Value::Int(-42)),
        ("c", Value::Text("é")),
        ("d", Value::Json("[1]")),
        ("e", Value::Date(20_000)),
        ("f", Value::Float(1.5)),
    ];
    for (name, value) in fields {
        assert_eq!(encode_field(name, value, &mut record), Ok(()), "a plain value is refused");
    }
    vec![every, record, b"\x01a\x03\x01\x05\x00\x00\x09\x05\x01b\x0b\x0c{\"a\":[1,2]} ".to_vec()]
}
