//! References to secrets: `{ env = … }`, `{ file = … }`, `{ command = […] }`.

use super::{
    reader::Reader,
    tree::{Item, Node},
};
use crate::model::spec::{SecretSpec, TextSpec};

const HINT: &str = "write { env = \"NAME\" }, { file = \"PATH\" } or { command = [\"PROGRAM\", …] }";

/// A reference to a secret. A literal is refused and never printed.
pub(super) fn secret(reader: &Reader<'_>, key: &'static str) -> Option<SecretSpec> {
    let node = reader.get(key)?;
    match &node.value {
        Item::Table(_) => reference(reader, key, node),
        Item::Text(_)
        | Item::Environment(_)
        | Item::Int(_)
        | Item::Float(_)
        | Item::Bool(_)
        | Item::DateTime
        | Item::Array(_) => {
            let cause = format!("got {} written out, expected a reference", node.value.kind());
            let message = format!("`{key}` of {} is a secret and may not stand in the configuration", reader.what);
            reader.sink.error(&node.origin, message, cause, HINT);
            None
        }
    }
}

/// A reference to a secret, or a list of them.
pub(super) fn secrets(reader: &Reader<'_>, key: &'static str) -> Option<Vec<SecretSpec>> {
    match reader.get(key).map(|node| &node.value) {
        Some(Item::Array(items)) if !items.is_empty() => {
            items.iter().map(|item| reference(reader, key, item)).collect()
        }
        _ => secret(reader, key).map(|secret| vec![secret]),
    }
}

/// Whether a database URL has a password written out: before the host, or as the parameter that PostgreSQL's URLs know.
pub(super) fn holds_password(url: &url::Url) -> bool {
    url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password")
}

/// A text, or a reference to a secret.
pub(super) fn text_or_secret(reader: &Reader<'_>, key: &'static str) -> Option<TextSpec> {
    let node = reader.get(key)?;
    match &node.value {
        Item::Table(_) => reference(reader, key, node).map(TextSpec::Secret),
        Item::Text(_)
        | Item::Environment(_)
        | Item::Int(_)
        | Item::Float(_)
        | Item::Bool(_)
        | Item::DateTime
        | Item::Array(_) => reader.as_text(key, node).map(TextSpec::Plain),
    }
}

fn reference(outer: &Reader<'_>, key: &str, node: &Node) -> Option<SecretSpec> {
    let reader = Reader::of(node, format!("secret `{key}` of {}", outer.what), outer.sink)?;
    let mut given: Vec<_> = [
        reader.text("env").map(SecretSpec::Env),
        reader.text("file").map(|path| SecretSpec::File(path.into())),
        reader.texts("command").map(SecretSpec::Command),
    ]
    .into_iter()
    .flatten()
    .collect();
    let named = ["env", "file", "command"].into_iter().filter(|key| reader.has(key)).count();
    if named == 0 {
        reader.missing(&["env", "file", "command"], "\"NAME\"");
    } else if named > 1 {
        let cause = format!("got {named} of `env`, `file` and `command`, expected one");
        outer.sink.error(&node.origin, format!("{} has not one origin", reader.what), cause, HINT);
        given.clear();
    }
    reader.finish();
    given.pop()
}
