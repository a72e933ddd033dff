//! Templates, lists and hashes.

use super::*;
use crate::{
    mapping::{HashKey, HashKeys, bound::Maker, normalise::normalise},
    model::spec::{HashEncoding, HashFunction, HashSpec, Normalise, SecretSpec},
};

fn field(name: &str, source: FieldSource) -> FieldSpec {
    FieldSpec { name: name.to_owned(), source, when_null: WhenNull::Skip }
}

fn template(text: &str) -> FieldSource {
    FieldSource::Template(text.to_owned())
}

/// The JSON of field `x`, made of the columns `a` and `b`.
fn made(source: FieldSource, a: Value<'_>, b: Value<'_>) -> Result<serde_json::Value, InvalidField> {
    let sync = sync(vec![column("id", "id"), field("x", source)], "id");
    let mapping = compile(&sync, &["id", "a", "b"]).unwrap();
    let record = encode(&mapping, &["id", "a", "b"], &[Value::Int(1), a, b])?;
    Ok(to_json(RecordRef::new(&record)).get("x").cloned().unwrap_or_default())
}

#[test]
fn templates_see_typed_values() {
    let of = |text: &str, value| made(template(text), value, Value::Null).unwrap();
    assert_eq!(of("Hello {{ a | title }}!", Value::Text("ada LOVELACE")), json!("Hello Ada Lovelace!"));
    assert_eq!(of("{{ a + 1 }}", Value::Int(i64::MAX - 1)), json!(i64::MAX.to_string()));
    assert_eq!(
        of("{{ a }}", Value::Decimal("00123456789012345678901234567890.10")),
        json!("123456789012345678901234567890.1")
    );
    assert_eq!(of("{{ a.tags[1] }}/{{ a.n }}", Value::Json(r#"{"tags":["x","y"],"n":7}"#)), json!("y/7"));
    assert_eq!(of("{{ a }}", Value::Timestamp(0)), json!("1970-01-01T00:00:00Z"));
    assert_eq!(of("{{ 'yes' if a else 'no' }}", Value::Bool(false)), json!("no"));
    assert_eq!(of("{% for n in range(3) %}{{ a }}{% endfor %}", Value::Int(4)), json!("444"));
}

#[test]
fn a_null_in_any_named_column_is_null() {
    let both = || template("{{ a }} {{ b }}");
    assert_eq!(made(both(), Value::Text("x"), Value::Text("y")).unwrap(), json!("x y"));
    assert_eq!(made(both(), Value::Text("x"), Value::Null).unwrap(), json!(null));
    let mut cleared = field("x", both());
    cleared.when_null = WhenNull::Clear;
    let mapping = compile(&sync(vec![column("id", "id"), cleared], "id"), &["id", "a", "b"]).unwrap();
    let record = encode(&mapping, &["id", "a", "b"], &[Value::Int(1), Value::Null, Value::Int(1)]).unwrap();
    assert_eq!(RecordRef::new(&record).get("x"), Some(Value::Null));
    let mut nulls = Vec::new();
    let mut batch = RowBatch::new(super::schema(&["id", "a", "b"]));
    [Value::Int(1), Value::Null, Value::Int(1)].into_iter().for_each(|value| batch.push(value));
    mapping.nulls(batch.row(0), &mut nulls);
    assert_eq!(nulls, [1]);
}

#[test]
fn a_template_that_fails_makes_the_row_invalid_without_showing_it() {
    let failed = made(template("{{ a | int }}"), Value::Text("canary-7f3a"), Value::Null).unwrap_err();
    assert_eq!(failed.code, InvalidCode::BadTemplate);
    assert!(!failed.to_string().contains("canary"), "{failed}");
    let nan = made(template("{{ a }}"), Value::Float(f64::NAN), Value::Null).unwrap_err();
    assert_eq!(nan.code, InvalidCode::BadValue);
}

#[test]
fn mistakes_in_templates_and_lists_are_refused_before_the_run() {
    let mut schema = (*super::schema(&["id", "first_name", "n"])).clone();
    schema.columns[2].kind = ColumnKind::Int;
    let fields = vec![
        column("id", "id"),
        field("a", template("{{ frist_name }}")),
        field("b", template("{{ first_name")),
        field("c", template("plain")),
        field("d", FieldSource::Joined { column: "n".to_owned(), separator: ";".to_owned() }),
        field("e", identifier(None, Some(hmac(HashEncoding::Hex)))),
    ];
    let errors = Mapping::compile(&sync(fields, "id"), &schema, &["id".to_owned()]).unwrap_err();
    let texts: Vec<_> = errors.iter().map(|error| format!("{error} [{}]", error.hint())).collect();
    insta::assert_snapshot!(texts.join("\n"), @r#"
    the template of field `a` reads `frist_name`, which the model does not return [did you mean `first_name`?]
    the template of field `b` is not valid: syntax error (line 1 of the template) [write columns of the model as `{{ column }}`]
    the template of field `c` is not valid: it reads no column [write columns of the model as `{{ column }}`]
    field `d` needs a list, but column `n` is of type `any` [give it a JSON, array or text column]
    the hash key of field `e` was not given [give the key by reference: `hash = { hmac-sha256 = { env = … } }`]
    "#);
}

#[test]
fn star_leaves_out_what_any_field_reads() {
    let mut spec =
        sync(vec![column("id", "id"), field("x", template("{{ a }}")), field("h", identifier(None, None))], "id");
    spec.star = Some(StarSpec { except: vec![], when_null: WhenNull::Skip });
    let mapping = compile(&spec, &["id", "a", "b", "c"]).unwrap();
    assert_eq!(mapping.field_names().collect::<Vec<_>>(), ["c", "h", "id", "x"], "`b` is hashed, not sent in clear");
}

fn join(value: Value<'_>) -> Option<String> {
    let made = Maker::Join(";".to_owned()).make(value).ok()?.unwrap();
    Some(to_text(made.as_value()).into_owned())
}

fn list(value: Value<'_>, separator: Option<&str>) -> Result<String, ()> {
    let made = Maker::List(separator.map(str::to_owned)).make(value).map_err(|_| ())?.unwrap();
    Ok(to_text(made.as_value()).into_owned())
}

#[test]
fn lists_are_joined_and_split() {
    let joined: &[(Value<'_>, Option<&str>)] = &[
        (Value::Json(r#"["a", "b c", null, 1.50, true]"#), Some("a;b c;1.50;true")),
        (Value::Text(r#"["ä\n"]"#), Some("ä\n")),
        (Value::Json("[]"), Some("")),
        (Value::Json("[12345678901234567890123]"), Some("12345678901234567890123")),
        (Value::Json(r#"["a;b"]"#), None),
        (Value::Json(r#"[["a"]]"#), None),
        (Value::Json("{}"), None),
        (Value::Text("a,b"), None),
        (Value::Int(1), None),
    ];
    for (value, expected) in joined {
        assert_eq!(join(*value).as_deref(), *expected, "{value:?} {expected:?}");
    }
    assert_eq!(list(Value::Json(r#"["a", {"b": 1}, 2.50]"#), None).unwrap(), r#"["a",{"b": 1},2.50]"#);
    assert_eq!(list(Value::Text("a, \"b\" ,,c"), Some(",")).unwrap(), r#"["a","\"b\"","c"]"#);
    assert_eq!(list(Value::Text(" "), Some(",")).unwrap(), "[]");
    assert_eq!(list(Value::Json("[1]"), Some(",")).unwrap(), "[1]");
    assert!(list(Value::Text("a, b"), None).is_err());
    assert!(list(Value::Bool(true), Some(",")).is_err());
}

#[test]
fn what_cannot_be_normalised_makes_the_row_invalid() {
    let invalid = made(identifier(Some(Normalise::Phone), None), Value::Null, Value::Text("030 12345"));
    let invalid = invalid.unwrap_err();
    assert_eq!(invalid.code, InvalidCode::BadValue);
    assert_eq!(invalid.detail, "the text value is not a phone number with a country code (`+` or `00`)");
    let empty = made(identifier(Some(Normalise::Email), Some(sha256())), Value::Null, Value::Text("  ")).unwrap();
    assert_eq!(empty, json!(null), "no person has the hash of an empty text");
}

fn identifier(normalise: Option<Normalise>, hash: Option<HashSpec>) -> FieldSource {
    FieldSource::Identifier { column: "b".to_owned(), normalise, hash }
}

fn sha256() -> HashSpec {
    HashSpec { function: HashFunction::Sha256, encoding: HashEncoding::Hex }
}

fn hmac(encoding: HashEncoding) -> HashSpec {
    HashSpec { function: HashFunction::HmacSha256(SecretSpec::Env("K".to_owned())), encoding }
}

/// Examples of the platforms' own documents (see `normalise.rs`).
#[test]
fn normal_forms() {
    use Normalise as N;
    let table = [
        (N::Email, " John_Smith@gmail.com ", Some("john_smith@gmail.com")),
        (N::Email, "user.name+NYC@Example.com", Some("user.name+nyc@example.com")),
        (N::Email, "no address", None),
        (N::Email, "a@b@c", None),
        (N::EmailGoogle, "cloudy.sanfrancisco+shopping@gmail.com", Some("cloudysanfrancisco@gmail.com")),
        (N::EmailGoogle, "A.B@GoogleMail.com", Some("ab@googlemail.com")),
        (N::EmailGoogle, "user.name+NYC@Example.com", Some("user.name+nyc@example.com")),
        (N::EmailGoogle, "+tag@gmail.com", None),
        (N::Phone, "+1 (800) 555-0100", Some("+18005550100")),
        (N::Phone, "0049 30/123 45 67", Some("+49301234567")),
        (N::Phone, "(800)555-0100", None),
        (N::Phone, "+1 800 CALL ME", None),
        (N::Phone, "+1234567890123456", None),
        (N::PhoneMeta, "+1 (650)555-1212", Some("16505551212")),
        (N::Name, "  Mary-Jane O'Neil ", Some("mary-jane o'neil")),
        (N::NameMeta, "Mary-Jane O'Neil.", Some("maryjane oneil")),
        (N::NameMeta, "Valéry", Some("valéry")),
        (N::NameMeta, "정", Some("정")),
        (N::CityMeta, "New York", Some("newyork")),
        (N::CityMeta, "St. John's", Some("stjohns")),
        (N::Country, "us", Some("US")),
        (N::CountryMeta, "US", Some("us")),
        (N::Country, "Germany", None),
        (N::PostalCode, " 10115 ", Some("10115")),
        (N::PostalCodeMeta, "94035-1234", Some("94035")),
        (N::PostalCodeMeta, "M1 1AE", Some("m11ae")),
    ];
    for (rule, text, expected) in table {
        assert_eq!(normalise(rule, text).ok().as_deref(), expected, "{rule:?} {text}");
    }
}

/// The vectors that Meta publishes with its customer information parameters, and RFC 4231 (test case 2) for HMAC.
#[test]
fn golden_vectors_of_hashes() {
    let meta = [
        (Normalise::Email, "John_Smith@gmail.com", "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"),
        (Normalise::PhoneMeta, "+1 (650)555-1212", "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"),
        (Normalise::NameMeta, "Mary", "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec"),
        (Normalise::NameMeta, "정", "8fa8cd9c440be61d0151429310034083132b35975c4bea67fdd74158eb51db14"),
        (Normalise::NameMeta, "Valéry", "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c"),
    ];
    for (rule, text, hash) in meta {
        let made = made(identifier(Some(rule), Some(sha256())), Value::Null, Value::Text(text)).unwrap();
        assert_eq!(made, json!(hash), "{text}");
    }
    let keyed = |encoding| {
        let spec = sync(vec![column("id", "id"), field("x", identifier(None, Some(hmac(encoding))))], "id");
        let mut keys = HashKeys::default();
        keys.insert("x", HashKey::new(&"Jefe".into(), "k".to_owned()));
        let mapping = Mapping::compile_with(&spec, &super::schema(&["id", "b"]), &["id".to_owned()], &keys).unwrap();
        let text = Value::Text("what do ya want for nothing?");
        let record = encode(&mapping, &["id", "b"], &[Value::Int(1), text]).unwrap();
        to_json(RecordRef::new(&record))["x"].clone()
    };
    let hex = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(keyed(HashEncoding::Hex), json!(hex));
    assert_eq!(keyed(HashEncoding::Base64), json!("W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="));
}

proptest! {
    #[test]
    fn joined_lists_come_apart_again(parts in proptest::collection::vec("[^;]{1,8}", 0..6)) {
        let text = join(Value::Json(&json!(parts).to_string())).unwrap();
        let back: Vec<&str> = if parts.is_empty() { vec![] } else { text.split(';').collect() };
        prop_assert_eq!(back, parts);
    }

    #[test]
    fn split_texts_are_their_parts(parts in proptest::collection::vec("[a-zé\"\\\\]{1,8}", 0..6)) {
        let made = list(Value::Text(&parts.join(" , ")), Some(",")).unwrap();
        prop_assert_eq!(serde_json::from_str::<Vec<String>>(&made).unwrap(), parts);
    }

    #[test]
    fn normal_forms_are_final(text in "\\PC{0,20}|[+0-9 ()-]{0,20}|[a-z.+]{1,8}@gmail\\.com") {
        for rule in Normalise::ALL {
            let Ok(once) = normalise(rule, &text) else { continue };
            let again = if rule == Normalise::PhoneMeta { format!("+{once}") } else { once.to_string() };
            if !once.is_empty() {
                prop_assert_eq!(normalise(rule, &again).ok(), Some(once.clone()), "{:?}", rule);
            }
        }
    }
}
