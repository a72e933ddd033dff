//! `[syncs.NAME.fields]`.

use super::{
    reader::Reader,
    secret,
    sync::KEYS,
    tree::{Entry, Item, Node, Table},
};
use crate::{
    mapping::Template,
    model::{
        FieldPath,
        spec::{
            Cast, Constant, FieldSource, FieldSpec, HashEncoding, HashFunction, HashSpec, Normalise, StarSpec, WhenNull,
        },
    },
};

/// Keys that say what is made of a column.
const COLUMN_KEYS: [&str; 7] = ["as", "scale", "join", "separator", "normalise", "hash", "encoding"];
/// Every key of a field.
const KNOWN: [&str; 11] =
    ["column", "value", "template", "when_null", "as", "scale", "join", "separator", "normalise", "hash", "encoding"];

/// Decodes the fields of a sync.
pub(super) fn fields(sync: &Reader<'_>, when_null: WhenNull) -> (Vec<FieldSpec>, Option<StarSpec>) {
    let Some(node) = sync.get("fields") else {
        sync.missing(&["fields"], "{ email = \"email\" }");
        return (Vec::new(), None);
    };
    let Item::Table(table) = &node.value else {
        sync.wrong("fields", node, "a table", "write `[syncs.NAME.fields]` and one line a field");
        return (Vec::new(), None);
    };
    if table.is_empty() {
        sync.refuse("fields", node, "it is empty", "map at least one field, or all with `\"*\" = {}`");
    }
    let mut star_spec = None;
    let mut fields = Vec::new();
    for (name, entry) in table {
        if name == "*" {
            star_spec = star(sync, &entry.node, when_null);
        } else if is_misplaced(sync, name, &entry.node) {
            misplaced(sync, name, entry);
        } else {
            check_name(sync, name, entry);
            fields.extend(field(sync, name, &entry.node, when_null));
        }
    }
    check_nesting(sync, table);
    (fields, star_spec)
}

/// A sync's own key that slid below the header of its fields: TOML cannot tell, and the sync would run without it.
fn is_misplaced(sync: &Reader<'_>, name: &str, node: &Node) -> bool {
    let explicit = match &node.value {
        Item::Table(table) => ["column", "value", "template"].iter().any(|key| table.contains_key(*key)),
        _ => false,
    };
    KEYS.contains(&name) && !sync.has(name) && !explicit
}

fn misplaced(sync: &Reader<'_>, name: &str, entry: &Entry) {
    let message = format!("`{name}` is a key of {}, but it stands among its fields", sync.what);
    let cause = "keys below a `fields` header belong to the fields";
    let hint =
        format!("move it above the header; for a destination field of this name write {name} = {{ column = \"…\" }}");
    sync.sink.error(&entry.key, message, cause, hint);
}

fn check_name(sync: &Reader<'_>, name: &str, entry: &Entry) {
    if let Err(problem) = FieldPath::parse(name) {
        let message = format!("field name `{name}` of {} is not valid", sync.what);
        sync.sink.error(&entry.key, message, problem.to_string(), r"dots nest; write a literal dot as `\\.`");
    }
}

fn check_nesting(sync: &Reader<'_>, table: &Table) {
    let mut paths: Vec<_> =
        table.iter().filter_map(|(name, entry)| FieldPath::parse(name).ok().map(|path| (path, name, entry))).collect();
    paths.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    for pair in paths.windows(2) {
        if let [(parent, parent_name, _), (child, child_name, entry)] = pair
            && parent.is_parent_of(child)
        {
            let message = format!("field `{child_name}` of {} cannot stand beside `{parent_name}`", sync.what);
            let cause = format!("`{parent_name}` would be a value and an object at once");
            sync.sink.error(&entry.key, message, cause, "rename or remove one of the two");
        }
    }
}

fn field(sync: &Reader<'_>, name: &str, node: &Node, default: WhenNull) -> Option<FieldSpec> {
    match &node.value {
        Item::Text(_) => {
            let column = sync.as_text(name, node)?;
            let source = FieldSource::Column { column, cast: None };
            Some(FieldSpec { name: name.to_owned(), source, when_null: default })
        }
        Item::Table(table) if is_dotted(table) => {
            let hint = format!("quote the whole name: \"{name}.NAME\" = …");
            sync.wrong(name, node, "a column, a cast or a constant", hint);
            None
        }
        Item::Table(_) => table_field(sync, name, node, default),
        Item::Int(_) | Item::Float(_) | Item::Bool(_) | Item::DateTime | Item::Array(_) | Item::Environment(_) => {
            sync.wrong(name, node, "a column", format!("write a constant as {name} = {{ value = … }}"));
            None
        }
    }
}

/// True for `address.city = "city"` without quotes, which TOML reads as a table.
fn is_dotted(table: &Table) -> bool {
    !table.is_empty() && !table.keys().any(|key| crate::model::nearest(key, KNOWN).is_some())
}

fn table_field(sync: &Reader<'_>, name: &str, node: &Node, default: WhenNull) -> Option<FieldSpec> {
    let reader = Reader::of(node, format!("field `{name}` of {}", sync.what), sync.sink)?;
    let when_null = when_null(&reader).unwrap_or(default);
    let column = reader.text("column");
    let constant = reader.get("value").and_then(|value| constant(&reader, value));
    let template = reader.get("template").and_then(|node| template(&reader, node));
    let given: Vec<_> = ["column", "value", "template"].into_iter().filter(|key| reader.has(key)).collect();
    let source = match given.as_slice() {
        ["column"] => made_of(&reader, column),
        ["value"] => {
            without_effect(&reader, &["when_null"], "a constant is sent as it is");
            without_effect(&reader, &COLUMN_KEYS, "a constant is sent as it is");
            constant.map(FieldSource::Constant)
        }
        [_] => {
            without_effect(&reader, &COLUMN_KEYS, "a template makes a text");
            template.map(FieldSource::Template)
        }
        [] => {
            reader.missing(&["column", "value", "template"], "\"…\"");
            None
        }
        [first, second, ..] => {
            let cause = format!("got `{first}` and `{second}`, expected one");
            sync.refuse(name, node, cause, "remove one of the two");
            None
        }
    };
    for key in COLUMN_KEYS {
        reader.get(key);
    }
    reader.finish();
    Some(FieldSpec { name: name.to_owned(), source: source?, when_null })
}

/// Reports keys that cannot do anything where they stand.
fn without_effect(reader: &Reader<'_>, keys: &[&'static str], cause: &str) {
    for key in keys.iter().filter(|key| reader.has(key)) {
        let message = format!("`{key}` of {} has no effect", reader.what);
        reader.sink.error(reader.origin_of(key), message, cause, format!("remove `{key}`"));
    }
}

fn template(reader: &Reader<'_>, node: &Node) -> Option<String> {
    let text = reader.as_text("template", node)?;
    let hint = "write columns of the model as `{{ column }}`";
    match Template::compile(&text) {
        Ok(template) if template.names().is_empty() => {
            reader.refuse("template", node, "it reads no column", "write a constant as `{ value = \"…\" }`");
            None
        }
        Ok(_) => Some(text),
        Err(error) => {
            reader.refuse("template", node, error.reason, hint);
            None
        }
    }
}

/// A column and what is made of it: one of `as`, `join`, and `normalise` with `hash`.
fn made_of(reader: &Reader<'_>, column: Option<String>) -> Option<FieldSource> {
    if reader.has("join") {
        without_effect(reader, &["as", "scale", "separator", "normalise", "hash", "encoding"], "`join` makes a text");
        let separator = separator(reader, "join");
        return Some(FieldSource::Joined { column: column?, separator: separator? });
    }
    if reader.has("normalise") || reader.has("hash") {
        without_effect(reader, &["as", "scale", "separator"], "`normalise` and `hash` make a text");
        let (rules, hash) = (Normalise::ALL.map(|rule| (rule.name(), rule)), hash(reader));
        let normalise = reader.choice("normalise", &rules, &[]);
        return Some(FieldSource::Identifier { column: column?, normalise, hash });
    }
    without_effect(reader, &["encoding"], "it belongs to `hash`");
    match form(reader) {
        Some(Form::List) => {
            without_effect(reader, &["scale"], "it belongs to `as = \"decimal\"`");
            let separator = separator(reader, "separator");
            Some(FieldSource::List { column: column?, separator })
        }
        Some(Form::Cast(cast)) => {
            without_effect(reader, &["separator"], "it belongs to `as = \"list\"`");
            Some(FieldSource::Column { column: column?, cast: Some(scaled(reader, cast)) })
        }
        None => {
            without_effect(reader, &["separator"], "it belongs to `as = \"list\"`");
            if !reader.has("as") {
                without_effect(reader, &["scale"], "it belongs to `as = \"decimal\"`");
            }
            Some(FieldSource::Column { column: column?, cast: None })
        }
    }
}

/// What `as` names.
#[derive(Clone, Copy)]
enum Form {
    Cast(Cast),
    List,
}

fn form(reader: &Reader<'_>) -> Option<Form> {
    let forms = [
        ("text", Form::Cast(Cast::Text)),
        ("integer", Form::Cast(Cast::Integer)),
        ("decimal", Form::Cast(Cast::Decimal { scale: None })),
        ("float", Form::Cast(Cast::Float)),
        ("boolean", Form::Cast(Cast::Boolean)),
        ("date", Form::Cast(Cast::Date)),
        ("timestamp", Form::Cast(Cast::Timestamp)),
        ("json", Form::Cast(Cast::Json)),
        ("list", Form::List),
    ];
    reader.choice("as", &forms, &[])
}

fn scaled(reader: &Reader<'_>, cast: Cast) -> Cast {
    match cast {
        Cast::Decimal { .. } => {
            let scale = reader.integer("scale", 0, 38).and_then(|scale| u8::try_from(scale).ok());
            Cast::Decimal { scale }
        }
        Cast::Text | Cast::Integer | Cast::Float | Cast::Boolean | Cast::Date | Cast::Timestamp | Cast::Json => {
            without_effect(reader, &["scale"], "it belongs to `as = \"decimal\"`");
            cast
        }
    }
}

/// A text that may be a blank.
fn separator(reader: &Reader<'_>, key: &'static str) -> Option<String> {
    let node = reader.get(key)?;
    match &node.value {
        Item::Text(text) if !text.is_empty() => Some(text.clone()),
        Item::Text(_) => {
            reader.refuse(key, node, "got an empty text", "write what stands between two elements, such as \";\"");
            None
        }
        _ => {
            reader.wrong(key, node, "a text", "put it in quotes");
            None
        }
    }
}

fn hash(reader: &Reader<'_>) -> Option<HashSpec> {
    const HINT: &str = "write \"sha256\" or { hmac-sha256 = { env = \"NAME\" } }";
    let encodings = [HashEncoding::Hex, HashEncoding::Base64].map(|encoding| (encoding.name(), encoding));
    let encoding = reader.choice("encoding", &encodings, &[]).unwrap_or(HashEncoding::Hex);
    let Some(node) = reader.get("hash") else {
        without_effect(reader, &["encoding"], "it belongs to `hash`");
        return None;
    };
    let function = match &node.value {
        Item::Text(text) if text == "sha256" => HashFunction::Sha256,
        Item::Text(text) => {
            reader.refuse("hash", node, format!("got `{text}`, expected `sha256` or a table"), HINT);
            return None;
        }
        Item::Table(_) => {
            let inner = Reader::of(node, format!("`hash` of {}", reader.what), reader.sink)?;
            inner.require(&["hmac-sha256"], "{ env = \"NAME\" }");
            let key = secret::secret(&inner, "hmac-sha256");
            inner.finish();
            HashFunction::HmacSha256(key?)
        }
        _ => {
            reader.wrong("hash", node, "`sha256` or a table", HINT);
            return None;
        }
    };
    Some(HashSpec { function, encoding })
}

fn constant(reader: &Reader<'_>, node: &Node) -> Option<Constant> {
    match &node.value {
        Item::Text(text) => Some(Constant::Text(text.clone())),
        Item::Int(integer) => Some(Constant::Int(*integer)),
        Item::Float(float) if float.is_finite() => Some(Constant::Float(*float)),
        Item::Bool(truth) => Some(Constant::Bool(*truth)),
        Item::Float(_) | Item::DateTime | Item::Array(_) | Item::Table(_) | Item::Environment(_) => {
            let hint = "write dates as texts; other constants belong into the model's SQL";
            reader.wrong("value", node, "a text, a finite number or a boolean", hint);
            None
        }
    }
}

/// Decodes `when_null`.
pub(super) fn when_null(reader: &Reader<'_>) -> Option<WhenNull> {
    let all = [WhenNull::Skip, WhenNull::Clear, WhenNull::Error].map(|policy| (policy.name(), policy));
    reader.choice("when_null", &all, &[])
}

fn star(sync: &Reader<'_>, node: &Node, default: WhenNull) -> Option<StarSpec> {
    let reader = Reader::of(node, format!("`\"*\"` of {}", sync.what), sync.sink)?;
    let except = reader.texts("except").unwrap_or_default();
    let when_null = when_null(&reader).unwrap_or(default);
    reader.finish();
    Some(StarSpec { except, when_null })
}
