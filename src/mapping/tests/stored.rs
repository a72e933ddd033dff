//! The text form of mappings and its way back; the column of `fresh`.

use super::*;
use crate::{
    mapping::{FreshColumn, HashKey, HashKeys},
    model::spec::{FreshSpec, HashEncoding, HashFunction, HashSpec, Normalise, SecretSpec},
};

const COLUMNS: [&str; 4] = ["id", "a", "b", "c"];

fn keys(id: &str) -> HashKeys {
    let mut keys = HashKeys::default();
    for field in ["f0", "f1", "f2", "f3"] {
        keys.insert(field, HashKey::new(&"secret-canary".into(), id.to_owned()));
    }
    keys
}

fn bind(spec: &SyncSpec, columns: &[&str], keys: &HashKeys) -> Mapping {
    Mapping::compile_with(spec, &schema(columns), &["id".to_owned()], keys).unwrap()
}

fn sources() -> impl Strategy<Value = FieldSource> {
    let column = || proptest::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned);
    let casts = vec![
        None,
        Some(Cast::Text),
        Some(Cast::Json),
        Some(Cast::Decimal { scale: None }),
        Some(Cast::Decimal { scale: Some(3) }),
        Some(Cast::Date),
    ];
    let constants = prop_oneof![
        ".*".prop_map(Constant::Text),
        any::<i64>().prop_map(Constant::Int),
        any::<bool>().prop_map(Constant::Bool),
        (proptest::num::f64::NORMAL | proptest::num::f64::ZERO).prop_map(Constant::Float),
    ];
    let function =
        prop_oneof![Just(HashFunction::Sha256), Just(HashFunction::HmacSha256(SecretSpec::Env("K".to_owned()))),];
    let encoding = proptest::sample::select(vec![HashEncoding::Hex, HashEncoding::Base64]);
    let hash = (function, encoding).prop_map(|(function, encoding)| HashSpec { function, encoding });
    let rule = proptest::option::of(proptest::sample::select(Normalise::ALL.to_vec()));
    prop_oneof![
        constants.prop_map(FieldSource::Constant),
        (column(), proptest::sample::select(casts)).prop_map(|(column, cast)| FieldSource::Column { column, cast }),
        (column(), "[^a]{0,9}").prop_map(|(column, text)| {
            let text = text.replace(['{', '}', '%', '#'], "");
            FieldSource::Template(format!("{text}{{{{ {column} }}}}"))
        }),
        (column(), ".{1,3}").prop_map(|(column, separator)| FieldSource::Joined { column, separator }),
        (column(), proptest::option::of(".{1,3}"))
            .prop_map(|(column, separator)| FieldSource::List { column, separator }),
        (column(), rule, hash).prop_map(|(column, normalise, hash)| FieldSource::Identifier {
            column,
            normalise,
            hash: Some(hash)
        }),
        column().prop_map(|column| FieldSource::Identifier { column, normalise: Some(Normalise::Email), hash: None }),
    ]
}

fn values() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(prop_oneof![
        ".{0,12}",
        Just("[\"x\",1]".to_owned()),
        Just("a@b.c".to_owned()),
        Just("12.5".to_owned()),
        Just("2026-11-22".to_owned()),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// The mapping that comes back maps every row as the one that was written.
    #[test]
    fn a_mapping_comes_back_from_its_text(
        fields in proptest::collection::vec((sources(), 0_u8..3), 1..5), row in [values(), values(), values()],
    ) {
        let nulls = [WhenNull::Skip, WhenNull::Clear, WhenNull::Error];
        let spec = (0..).zip(fields).map(|(place, (source, null)): (i32, _)| {
            FieldSpec { name: format!("f{place}"), source, when_null: nulls[usize::from(null)] }
        });
        let spec = sync(spec.chain([column("key", "id")]).collect(), "key");
        let written = bind(&spec, &COLUMNS, &keys("k"));
        let text = written.fingerprint_text();
        prop_assert!(!text.contains("secret-canary"));
        // The columns may stand elsewhere by now, beside others.
        let later = ["new", "c", "b", "a", "id"];
        let back = Mapping::from_fingerprint_text(&text, &schema(&later), &keys("k")).expect("a mapping");
        prop_assert_eq!(back.fingerprint_text(), text);
        let cell = |at: usize| row[at].as_deref().map_or(Value::Null, Value::Text);
        let before = encode(&written, &COLUMNS, &[Value::Int(7), cell(0), cell(1), cell(2)]);
        let after = encode(&back, &later, &[Value::Int(0), cell(2), cell(1), cell(0), Value::Int(7)]);
        prop_assert_eq!(before, after);
    }

    #[test]
    fn any_text_is_a_mapping_or_none(text in "(\\{\"mapping\":1\\}\n)?(\\{\"(field|column|value|as)\":(\"[a-z]{1,4}\"|1|\\{\\})\\}\n|\\PC{0,9}\n){0,3}") {
        Mapping::from_fingerprint_text(&text, &schema(&COLUMNS), &HashKeys::default());
    }
}

#[test]
fn a_mapping_that_cannot_be_had_any_more_is_none() {
    let hash =
        HashSpec { function: HashFunction::HmacSha256(SecretSpec::Env("K".to_owned())), encoding: HashEncoding::Hex };
    let source = FieldSource::Identifier { column: "a".to_owned(), normalise: None, hash: Some(hash) };
    let hashed = FieldSpec { name: "f0".to_owned(), source, when_null: WhenNull::Skip };
    let text = bind(&sync(vec![column("key", "id"), hashed], "key"), &COLUMNS, &keys("old")).fingerprint_text();
    let back = |text: &str, columns: &[&str], key| Mapping::from_fingerprint_text(text, &schema(columns), &keys(key));
    assert!(back(&text, &COLUMNS, "old").is_some());
    assert!(back(&text, &COLUMNS, "new").is_none(), "another key");
    assert!(back(&text, &["id", "b"], "old").is_none(), "a column is gone");
    assert!(back(&text.replace("\"mapping\":1", "\"mapping\":2"), &COLUMNS, "old").is_none(), "another version");
    assert!(back(&text.replace("\"hash\"", "\"hush\""), &COLUMNS, "old").is_none(), "an unknown word");
}

#[test]
fn golden_text_of_version_1() {
    let mut fields = vec![
        with(column("id", "id"), Some(Cast::Text), WhenNull::Skip),
        with(column("amount", "a"), Some(Cast::Decimal { scale: Some(2) }), WhenNull::Clear),
    ];
    let constant = FieldSource::Constant(Constant::Float(0.1));
    fields.push(FieldSpec { name: "tax".to_owned(), source: constant, when_null: WhenNull::Skip });
    let text = bind(&sync(fields, "id"), &COLUMNS, &HashKeys::default()).fingerprint_text();
    insta::assert_snapshot!(text, @r#"
    {"mapping":1}
    {"field":"amount","column":"a","as":"decimal","scale":2,"when_null":"clear"}
    {"field":"id","column":"id","as":"text","when_null":"skip","match":true}
    {"field":"tax","value":{"float":"0.1"}}
    "#);
}

#[test]
fn the_age_of_a_row_is_that_of_its_column() {
    let spec = |column: &str| FreshSpec { column: column.to_owned(), within: std::time::Duration::from_secs(1) };
    let fresh = FreshColumn::bind(&spec("a"), &schema(&COLUMNS)).unwrap();
    let of = |value| {
        let mut batch = RowBatch::new(schema(&["id", "a"]));
        [Value::Int(1), value].into_iter().for_each(|value| batch.push(value));
        fresh.of(batch.row(0))
    };
    const DAY: i64 = 86_400_000_000;
    assert_eq!(of(Value::Timestamp(5)), Some(5));
    assert_eq!(of(Value::LocalTimestamp(5)), Some(5));
    assert_eq!(of(Value::Date(1)), Some(2 * DAY), "the end of the day");
    assert_eq!(of(Value::Text("1970-01-02")), Some(2 * DAY));
    assert_eq!(of(Value::Text("1970-01-02 00:00:01")), Some(DAY + 1_000_000));
    assert_eq!(of(Value::Text("1970-01-02T01:00:00+01:00")), Some(DAY));
    assert_eq!(of(Value::Text("yesterday")), None);
    assert_eq!(of(Value::Null), None);
    let mut wrong = (*schema(&COLUMNS)).clone();
    wrong.columns[1].kind = ColumnKind::Int;
    assert!(matches!(FreshColumn::bind(&spec("a"), &wrong), Err(MappingError::FreshKind { .. })));
    let missing = FreshColumn::bind(&spec("idd"), &wrong).unwrap_err();
    assert_eq!(missing.hint(), "did you mean `id`?");
}
