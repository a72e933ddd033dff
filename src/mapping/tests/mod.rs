//! Tests of whole mappings.

mod made;
mod stored;

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::{cast::Casted, *};
use crate::model::{
    Column, ColumnKind, InvalidCode, MAX_VALUE_BYTES, RecordRef, RowBatch, Schema, Unrepresentable, Value,
    encode_field,
    spec::{Cast, Constant, FieldSource, FieldSpec, StarSpec, SyncSpec, WhenNull},
};

fn schema(columns: &[&str]) -> Arc<Schema> {
    let column = |name: &&str| Column {
        name: (*name).to_owned(),
        kind: ColumnKind::Dynamic,
        key_kind: None,
        source_type: "any".to_owned(),
    };
    Arc::new(Schema { columns: columns.iter().map(column).collect() })
}

fn column(name: &str, column: &str) -> FieldSpec {
    let source = FieldSource::Column { column: column.to_owned(), cast: None };
    FieldSpec { name: name.to_owned(), source, when_null: WhenNull::Skip }
}

fn with(mut field: FieldSpec, to: Option<Cast>, null: WhenNull) -> FieldSpec {
    if let FieldSource::Column { cast, .. } = &mut field.source {
        *cast = to;
    }
    field.when_null = null;
    field
}

fn sync(fields: Vec<FieldSpec>, match_field: &str) -> SyncSpec {
    SyncSpec { match_fields: vec![match_field.to_owned()], fields, ..SyncSpec::new("s", "m", "d", "o") }
}

fn compile(sync: &SyncSpec, columns: &[&str]) -> Result<Mapping, Vec<MappingError>> {
    Mapping::compile(sync, &schema(columns), &["id".to_owned()])
}

/// Encodes one row of the columns `id, x`, mapped to `id` (match) and `x`.
fn encode_x(x: Value<'_>, cast: Option<Cast>, null: WhenNull) -> Result<Vec<u8>, InvalidField> {
    let sync = sync(vec![column("id", "id"), with(column("x", "x"), cast, null)], "id");
    encode(&compile(&sync, &["id", "x"]).unwrap(), &["id", "x"], &[Value::Int(1), x])
}

fn encode(mapping: &Mapping, columns: &[&str], row: &[Value<'_>]) -> Result<Vec<u8>, InvalidField> {
    let mut batch = RowBatch::new(schema(columns));
    row.iter().for_each(|value| batch.push(*value));
    let mut out = vec![0xAA];
    let result = mapping.encode(batch.row(0), &mut out);
    if result.is_err() {
        assert_eq!(out, [0xAA], "an invalid row leaves nothing behind");
    }
    result.map(|()| out.split_off(1))
}

#[test]
fn fields_stand_in_byte_order_whatever_the_order_of_columns() {
    let fields = vec![
        column("b", "x"),
        column("a.z", "id"),
        column("B", "y"),
        FieldSpec {
            name: "const".to_owned(),
            source: FieldSource::Constant(Constant::Text("w".to_owned())),
            when_null: WhenNull::Skip,
        },
    ];
    let sync = sync(fields, "a.z");
    let mapping = compile(&sync, &["id", "x", "y"]).unwrap();
    assert_eq!(mapping.field_names().collect::<Vec<_>>(), ["B", "a.z", "b", "const"]);
    let record = encode(&mapping, &["id", "x", "y"], &[Value::Int(1), Value::Text("t"), Value::Bool(true)]).unwrap();
    let swapped = compile(&sync, &["y", "x", "id", "more"]).unwrap();
    let row = [Value::Bool(true), Value::Text("t"), Value::Int(1), Value::Int(9)];
    assert_eq!(encode(&swapped, &["y", "x", "id", "more"], &row).unwrap(), record);
    assert_eq!(swapped.fingerprint_text(), mapping.fingerprint_text());
    assert_eq!((mapping.key_columns(), swapped.key_columns()), (&[0][..], &[2][..]));
}

#[test]
fn star_adds_the_remaining_columns_by_name() {
    let mut spec = sync(vec![column("email", "mail"), column("id", "id")], "id");
    spec.star = Some(StarSpec { except: vec!["secret".to_owned()], when_null: WhenNull::Clear });
    // `email` is mapped explicitly, from another column; `a.b` is one name, not a path.
    let mapping = compile(&spec, &["id", "mail", "email", "secret", "plan", "a.b"]).unwrap();
    assert_eq!(mapping.field_names().collect::<Vec<_>>(), [r"a\.b", "email", "id", "plan"]);
    let row = [Value::Int(1), Value::Text("m"), Value::Text("e"), Value::Text("s"), Value::Null, Value::Int(2)];
    let record = encode(&mapping, &["id", "mail", "email", "secret", "plan", "a.b"], &row).unwrap();
    let json = to_json(RecordRef::new(&record));
    assert_eq!(json!(json), json!({"a.b": 2, "email": "m", "id": 1, "plan": null}));
}

#[test]
fn every_mistake_is_named_at_once() {
    let mut spec = sync(
        vec![column("a", "emial"), column("p", "email"), column("p.q", "email"), column("x.", "id"), column("p", "id")],
        "nope",
    );
    spec.star = Some(StarSpec { except: vec!["ids".to_owned()], when_null: WhenNull::Skip });
    let errors = compile(&spec, &["email", "zip"]).unwrap_err();
    let texts: Vec<_> = errors.iter().map(|error| format!("{error} [{}]", error.hint())).collect();
    insta::assert_snapshot!(texts.join("\n"), @r#"
    key column `id` is not returned by the model [add the column to the model or correct the name]
    field `a` reads column `emial`, which the model does not return [did you mean `email`?]
    field `x.` reads column `id`, which the model does not return [add the column to the model or correct the name]
    field `p` is mapped twice [remove one of the two]
    `"*"` excepts column `ids`, which the model does not return [remove it from `except`]
    field `p` cannot be a value, because `p.q` makes it an object [rename one of the two fields]
    match field `nope` is not mapped [map `nope` in the sync's fields]
    "#);
}

#[test]
fn casts_that_can_never_work_are_refused_before_the_run() {
    let mut schema = (*schema(&["id", "at"])).clone();
    schema.columns[1].kind = ColumnKind::LocalTimestamp;
    let at = with(column("at", "at"), Some(Cast::Timestamp), WhenNull::Skip);
    let errors = Mapping::compile(&sync(vec![column("id", "id"), at], "id"), &schema, &[]).unwrap_err();
    assert!(matches!(errors.as_slice(), [MappingError::ImpossibleCast { .. }]), "{errors:?}");
}

#[test]
fn nulls_follow_the_policy_of_their_field() {
    let nothing = encode_x(Value::Null, None, WhenNull::Skip).unwrap();
    assert_eq!(RecordRef::new(&nothing).get("x"), None);
    let cleared = encode_x(Value::Null, Some(Cast::Integer), WhenNull::Clear).unwrap();
    assert_eq!(RecordRef::new(&cleared).get("x"), Some(Value::Null));
    assert_eq!(encode_x(Value::Null, None, WhenNull::Error).unwrap_err().code, InvalidCode::NullField);
}

#[test]
fn a_match_value_must_be_there() {
    let spec = sync(vec![with(column("x", "x"), None, WhenNull::Clear)], "x");
    let mapping = compile(&spec, &["id", "x"]).unwrap();
    for empty in [Value::Null, Value::Text(""), Value::Text(" \t"), Value::Bytes(b"")] {
        let invalid = encode(&mapping, &["id", "x"], &[Value::Int(1), empty]).unwrap_err();
        assert_eq!((invalid.code, invalid.field.as_str()), (InvalidCode::NullMatch, "x"));
    }
    assert!(encode(&mapping, &["id", "x"], &[Value::Int(1), Value::Int(0)]).is_ok());
}

#[test]
fn match_is_key_only_when_it_is_the_whole_key() {
    let is_key = |field: FieldSpec, keys: &[&str]| {
        let keys: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
        let spec = sync(vec![field], "m");
        Mapping::compile(&spec, &schema(&["id", "org"]), &keys).unwrap().match_is_key()
    };
    assert!(is_key(column("m", "id"), &["id"]));
    assert!(is_key(with(column("m", "id"), Some(Cast::Text), WhenNull::Skip), &["id"]));
    assert!(!is_key(with(column("m", "id"), Some(Cast::Date), WhenNull::Skip), &["id"]));
    assert!(!is_key(column("m", "org"), &["id"]));
    assert!(!is_key(column("m", "id"), &["id", "org"]));
}

#[test]
fn what_cannot_be_sent_makes_the_row_invalid_without_showing_it() {
    let code = |value, cast| encode_x(value, cast, WhenNull::Skip).unwrap_err();
    let bad = code(Value::Float(f64::NAN), None);
    assert_eq!((bad.code, bad.detail.as_str()), (InvalidCode::BadValue, "a float that is NaN or infinite"));
    assert_eq!(code(Value::Float(f64::INFINITY), Some(Cast::Text)).code, InvalidCode::BadValue);
    assert_eq!(code(Value::Unrepresentable(Unrepresentable::InvalidUtf8), None).code, InvalidCode::BadValue);
    assert_eq!(code(Value::Unrepresentable(Unrepresentable::TooLarge), None).code, InvalidCode::TooLarge);
    let cast = code(Value::Text("canary"), Some(Cast::Integer));
    assert_eq!(cast.to_string(), "field `x`: the text value is not a number written in digits");
}

#[test]
fn a_record_has_a_largest_size() {
    let fields = (b'a'..=b'f').map(|name| column(&char::from(name).to_string(), "x")).collect();
    let mapping = compile(&sync(fields, "a"), &["id", "x"]).unwrap();
    let big = "x".repeat(MAX_VALUE_BYTES);
    let invalid = encode(&mapping, &["id", "x"], &[Value::Int(1), Value::Text(&big)]).unwrap_err();
    assert_eq!(invalid.code, InvalidCode::TooLarge);
}

/// `Ok(text form)` of a cast, or `Err` when the row becomes invalid.
fn cast_text(value: Value<'_>, to: Cast) -> Result<String, ()> {
    super::cast::cast(value, to).map(|cast: Casted<'_>| to_text(cast.as_value()).into_owned()).map_err(|_| ())
}

#[test]
fn cast_table() {
    const DECIMAL: Cast = Cast::Decimal { scale: None };
    const CENTS: Cast = Cast::Decimal { scale: Some(2) };
    const BIG: &str = "123456789012345678901234567890.5";
    let table: &[(Value<'_>, Cast, Option<&str>)] = &[
        (Value::Int(7), Cast::Text, Some("7")),
        (Value::Decimal("07.50"), Cast::Text, Some("7.5")),
        (Value::Bytes(b"\x00\xff"), Cast::Text, Some("\\x00ff")),
        (Value::Timestamp(1_500), Cast::Text, Some("1970-01-01T00:00:00.001500Z")),
        (Value::Text(" 42 "), Cast::Integer, Some("42")),
        (Value::Decimal("42.000"), Cast::Integer, Some("42")),
        (Value::Decimal("42.5"), Cast::Integer, None),
        (Value::Float(42.0), Cast::Integer, Some("42")),
        (Value::Float(0.1), Cast::Integer, None),
        (Value::Float(1e300), Cast::Integer, None),
        (Value::Text("9223372036854775807"), Cast::Integer, Some("9223372036854775807")),
        (Value::Text("9223372036854775808"), Cast::Integer, None),
        (Value::Text("1e3"), Cast::Integer, None),
        (Value::Text(""), Cast::Integer, None),
        (Value::Bool(true), Cast::Integer, Some("1")),
        (Value::Date(0), Cast::Integer, None),
        (Value::Decimal(BIG), DECIMAL, Some(BIG)),
        (Value::Text("+1.10"), DECIMAL, Some("1.1")),
        (Value::Text("1,5"), DECIMAL, None),
        (Value::Bool(true), DECIMAL, None),
        (Value::Float(0.1), DECIMAL, Some("0.1")),
        (Value::Decimal("1.005"), CENTS, Some("1.01")),
        (Value::Decimal("-1.005"), CENTS, Some("-1.01")),
        (Value::Decimal("9.999"), CENTS, Some("10")),
        (Value::Decimal("-0.004"), CENTS, Some("0")),
        (Value::Decimal("2.5"), Cast::Decimal { scale: Some(0) }, Some("3")),
        (Value::Int(3), CENTS, Some("3")),
        (Value::Int(1 << 53), Cast::Float, Some("9007199254740992")),
        (Value::Int((1 << 53) + 1), Cast::Float, None),
        (Value::Int(i64::MAX), Cast::Float, None),
        (Value::Text("1e3"), Cast::Float, Some("1000")),
        (Value::Text("inf"), Cast::Float, None),
        (Value::Text("1e999"), Cast::Float, None),
        (Value::Text("Yes"), Cast::Boolean, Some("true")),
        (Value::Int(0), Cast::Boolean, Some("false")),
        (Value::Int(2), Cast::Boolean, None),
        (Value::Text("maybe"), Cast::Boolean, None),
        (Value::Decimal("1.0"), Cast::Boolean, Some("true")),
        (Value::Timestamp(-1), Cast::Date, Some("1969-12-31")),
        (Value::LocalTimestamp(86_400_000_000), Cast::Date, Some("1970-01-02")),
        (Value::Text("2024-02-29"), Cast::Date, Some("2024-02-29")),
        (Value::Text("2023-02-29"), Cast::Date, None),
        (Value::Text("2024-02-29T23:30:00-05:00"), Cast::Date, Some("2024-03-01")),
        (Value::Text("2024-02-29 23:30:00"), Cast::Date, Some("2024-02-29")),
        (Value::Text("29.02.2024"), Cast::Date, None),
        (Value::Int(0), Cast::Date, None),
        (Value::Text("2024-02-29T12:00:00.123456+02:00"), Cast::Timestamp, Some("2024-02-29T10:00:00.123456Z")),
        (Value::Text("1969-12-31T23:59:59.9999999Z"), Cast::Timestamp, Some("1969-12-31T23:59:59.999999Z")),
        (Value::Text("2024-02-29T12:00:00"), Cast::Timestamp, None),
        (Value::LocalTimestamp(0), Cast::Timestamp, None),
        (Value::Text("-0001-01-01T00:00:00Z"), Cast::Timestamp, None),
        (Value::Text(r#"{"a": [1]}"#), Cast::Json, Some(r#"{"a": [1]}"#)),
        (Value::Text("{a}"), Cast::Json, None),
        (Value::Bool(true), Cast::Json, Some("true")),
        (Value::Uuid([0; 16]), Cast::Json, None),
    ];
    for (value, to, expected) in table {
        assert_eq!(cast_text(*value, *to).ok().as_deref(), *expected, "{value:?} as {to:?}, expected {expected:?}");
    }
}

#[test]
fn json_forms() {
    let forms = [
        (Value::Decimal("5.00"), json!(5)),
        (Value::Int(i64::MIN), json!(i64::MIN)),
        (Value::Decimal("0.1"), json!(0.1)),
        (Value::Decimal("9223372036854775808"), json!("9223372036854775808")),
        (Value::Decimal("0.12345678901234567890"), json!("0.1234567890123456789")),
        (Value::Float(-0.0), json!(0.0)),
        (Value::Float(1e300), json!(1e300)),
        (Value::Date(20_000), json!("2024-10-04")),
        (Value::Time(34_200_500_000), json!("09:30:00.500")),
        (Value::LocalTimestamp(-1), json!("1969-12-31T23:59:59.999999")),
        (Value::Json(r#"{"b":[1,null]}"#), json!({"b": [1, null]})),
        (Value::Uuid([0x1f; 16]), json!("1f1f1f1f-1f1f-1f1f-1f1f-1f1f1f1f1f1f")),
        (Value::Null, json!(null)),
    ];
    for (value, expected) in forms {
        assert_eq!(value_to_json(value), expected, "{value:?}");
    }
}

#[test]
fn dots_nest_in_json() {
    let mut record = Vec::new();
    for (name, value) in [("a", 1), (r"b\.c", 2), ("b.c", 3), ("b.d.e", 4)] {
        encode_field(name, Value::Int(value), &mut record).unwrap();
    }
    let expected = json!({"a": 1, "b.c": 2, "b": {"c": 3, "d": {"e": 4}}});
    assert_eq!(json!(to_json(RecordRef::new(&record))), expected);
}

proptest! {
    #[test]
    fn text_of_a_record_is_the_text_of_its_row(int: i64, float in proptest::num::f64::NORMAL | proptest::num::f64::ZERO,
            decimal in "-?[0-9]{0,25}(\\.[0-9]{1,9})?", micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
        let decimal = format!("{decimal}0");
        for value in [Value::Int(int), Value::Float(float), Value::Decimal(&decimal), Value::Timestamp(micros)] {
            let mut record = Vec::new();
            encode_field("x", value, &mut record).unwrap();
            let stored = RecordRef::new(&record).get("x").unwrap();
            prop_assert_eq!(to_text(value), to_text(stored));
            prop_assert!(to_text(value).len() <= text_len(value), "{:?}", value);
        }
    }

    #[test]
    fn texts_of_times_come_back(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
        let text = to_text(Value::Timestamp(micros)).into_owned();
        prop_assert!(text.len() <= text_len(Value::Timestamp(micros)));
        prop_assert!(super::cast::cast(Value::Text(&text), Cast::Timestamp).unwrap().as_value() == Value::Timestamp(micros));
        let day = micros.div_euclid(86_400_000_000) as i32;
        let text = to_text(Value::Date(day)).into_owned();
        prop_assert!(super::cast::cast(Value::Text(&text), Cast::Date).unwrap().as_value() == Value::Date(day));
    }

    #[test]
    fn numbers_survive_casts_exactly(int: i64, scale in 0_u8..12, float in proptest::num::f64::NORMAL) {
        let decimal = Cast::Decimal { scale: None };
        prop_assert_eq!(cast_text(Value::Text(&int.to_string()), Cast::Integer).unwrap(), int.to_string());
        prop_assert_eq!(cast_text(Value::Int(int), Cast::Decimal { scale: Some(scale) }).unwrap(), int.to_string());
        let digits = cast_text(Value::Float(float), decimal).unwrap();
        prop_assert_eq!(digits.parse::<f64>().unwrap(), float);
    }

    #[test]
    fn rounding_is_to_the_nearest(units in -1_000_000_000_i64..1_000_000_000, scale in 0_u32..4) {
        // Six places in integers against text.
        let text = format!("{}{}.{:06}", if units < 0 { "-" } else { "" }, units.abs() / 1_000_000, units.abs() % 1_000_000);
        let step = 10_i64.pow(6 - scale);
        let rounded = (units.abs() + step / 2) / step * step * units.signum();
        let expected = format!("{}{}.{:06}", if rounded < 0 { "-" } else { "" }, rounded.abs() / 1_000_000, rounded.abs() % 1_000_000);
        let cast = cast_text(Value::Decimal(&text), Cast::Decimal { scale: Some(scale as u8) }).unwrap();
        prop_assert_eq!(cast, to_text(Value::Decimal(&expected)).into_owned());
    }

    #[test]
    fn any_text_is_cast_or_refused_without_panic(text in "\\PC*|[-+0-9.eE:TZ ]*") {
        for to in [Cast::Text, Cast::Integer, Cast::Decimal { scale: Some(3) }, Cast::Float, Cast::Boolean, Cast::Date,
                Cast::Timestamp, Cast::Json] {
            cast_text(Value::Text(&text), to).ok();
        }
    }
}
