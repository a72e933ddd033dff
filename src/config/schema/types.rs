//! The forms of values, and tables of keys.

use serde_json::{Map, Value, json};

/// A text that is not empty.
pub(super) fn text(meaning: &str) -> Value {
    json!({ "type": "string", "minLength": 1, "description": meaning })
}

/// A duration such as `15m`.
pub(super) fn duration(meaning: &str) -> Value {
    json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$", "description": meaning, "examples": ["15m"] })
}

/// A percentage such as `10%`.
pub(super) fn percent(meaning: &str) -> Value {
    json!({ "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?%$", "description": meaning, "examples": ["10%"] })
}

pub(super) fn integer(meaning: &str, least: i64, most: i64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most, "description": meaning })
}

pub(super) fn boolean(meaning: &str) -> Value {
    json!({ "type": "boolean", "description": meaning })
}

pub(super) fn choice(meaning: &str, values: &[&str]) -> Value {
    json!({ "enum": values, "description": meaning })
}

/// One of the shared definitions.
pub(super) fn of(definition: &str, meaning: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{definition}"), "description": meaning })
}

pub(super) fn list(meaning: &str, item: Value) -> Value {
    json!({ "type": "array", "items": item, "description": meaning })
}

/// One text, or several in order.
pub(super) fn texts(meaning: &str) -> Value {
    let several = json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 });
    json!({ "anyOf": [{ "type": "string", "minLength": 1 }, several], "description": meaning })
}

pub(super) fn any(meaning: &str, forms: Vec<Value>) -> Value {
    json!({ "anyOf": forms, "description": meaning })
}

/// Named items of one form.
pub(super) fn named(meaning: &str, item: Value) -> Value {
    json!({
        "type": "object",
        "description": meaning,
        "propertyNames": { "pattern": "^[A-Za-z0-9_-]{1,64}$" },
        "additionalProperties": item,
    })
}

/// A table with these keys and no others.
pub(super) struct Table {
    meaning: String,
    keys: Map<String, Value>,
}

impl Table {
    pub(super) fn new(meaning: &str) -> Self {
        Self { meaning: meaning.to_owned(), keys: Map::new() }
    }

    /// A key. None is required: a file may hold a part of an item that another folder has the rest of.
    pub(super) fn key(mut self, name: &str, form: Value) -> Self {
        self.keys.insert(name.to_owned(), form);
        self
    }

    /// Further keys.
    pub(super) fn keys(mut self, keys: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        self.keys.extend(keys.into_iter().map(|(name, form)| (name.to_owned(), form)));
        self
    }

    pub(super) fn build(self) -> Value {
        json!({
            "type": "object",
            "description": self.meaning,
            "properties": self.keys,
            "additionalProperties": false,
        })
    }
}
