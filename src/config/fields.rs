//! `[syncs.NAME.fields]`.

use super::{
    reader::Reader,
    sync::KEYS,
    tree::{Entry, Item, Node, Table},
};
use crate::model::{
    FieldPath,
    spec::{Cast, Constant, FieldSource, FieldSpec, StarSpec, WhenNull},
};

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
        Item::Table(table) => ["column", "value", "template", "join"].iter().any(|key| table.contains_key(*key)),
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
    const KNOWN: [&str; 7] = ["column", "value", "as", "scale", "when_null", "template", "join"];
    !table.is_empty() && !table.keys().any(|key| crate::model::nearest(key, KNOWN).is_some())
}

fn table_field(sync: &Reader<'_>, name: &str, node: &Node, default: WhenNull) -> Option<FieldSpec> {
    let reader = Reader::of(node, format!("field `{name}` of {}", sync.what), sync.sink)?;
    let column = reader.text("column");
    let constant = reader.get("value").and_then(|value| constant(&reader, value));
    let cast = cast(&reader);
    let when_null = when_null(&reader);
    reader.reserved(&["template", "join"]);
    let later = reader.has("template") || (reader.has("join") && !reader.has("column"));
    let source = match (reader.has("column"), reader.has("value")) {
        (true, false) => column.map(|column| FieldSource::Column { column, cast }),
        (false, true) => {
            for key in ["as", "scale", "when_null"].into_iter().filter(|key| reader.has(key)) {
                let message = format!("`{key}` of {} has no effect", reader.what);
                reader.sink.error(
                    reader.origin_of(key),
                    message,
                    "a constant is sent as it is",
                    format!("remove `{key}`"),
                );
            }
            constant.map(FieldSource::Constant)
        }
        (true, true) => {
            let cause = "got `column` and `value`, expected one";
            sync.refuse(name, node, cause, "remove one of the two");
            None
        }
        (false, false) if later => None,
        (false, false) => {
            reader.missing(&["column", "value"], "\"…\"");
            None
        }
    };
    reader.finish();
    Some(FieldSpec { name: name.to_owned(), source: source?, when_null: when_null.unwrap_or(default) })
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

fn cast(reader: &Reader<'_>) -> Option<Cast> {
    let casts = [
        ("text", Cast::Text),
        ("integer", Cast::Integer),
        ("decimal", Cast::Decimal { scale: None }),
        ("float", Cast::Float),
        ("boolean", Cast::Boolean),
        ("date", Cast::Date),
        ("timestamp", Cast::Timestamp),
        ("json", Cast::Json),
    ];
    let cast = reader.choice("as", &casts, &["list"]);
    let scale = reader.integer("scale", 0, 38).and_then(|scale| u8::try_from(scale).ok());
    match (cast, scale, reader.get("scale")) {
        (Some(Cast::Decimal { .. }), scale, _) => Some(Cast::Decimal { scale }),
        (cast, Some(_), Some(node)) => {
            reader.refuse(
                "scale",
                node,
                "it belongs to `as = \"decimal\"`",
                "add `as = \"decimal\"` or remove `scale`",
            );
            cast
        }
        (cast, _, _) => cast,
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
