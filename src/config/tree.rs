//! TOML text to a tree of values that know where they stand.

use std::{collections::BTreeMap, fmt, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::diagnostic::{Origin, Sink};

/// A value and its place.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) value: Item,
    pub(super) origin: Origin,
}

/// A value.
#[derive(Clone)]
pub(super) enum Item {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    DateTime,
    Array(Vec<Node>),
    Table(Table),
    /// From the environment: every setting is text there, and decoded as what the setting wants.
    Environment(String),
}

impl Item {
    /// The type's name, for messages.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Environment(_) => "a text",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Bool(_) => "a boolean",
            Self::DateTime => "a date or time",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl fmt::Debug for Node {
    /// Prints the type only: a misplaced secret must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} at {}>", self.value.kind(), self.origin)
    }
}

/// A table: its entries by key.
pub(super) type Table = BTreeMap<String, Entry>;

/// A key and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: Origin,
    pub(super) node: Node,
}

/// Parses a file. Syntax errors go to `sink`; what could be read of a broken file is still returned, so that other
/// mistakes in it are reported too.
pub(super) fn parse(path: &Path, text: &str, sink: &Sink) -> Table {
    let file = File { path, text, places: Places::of(text), sink };
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let offset = error.span().map_or(0, |span| span.start);
        let message = error.message().lines().map(str::trim).collect::<Vec<_>>().join("; ");
        file.syntax_error(offset, &message);
    }
    file.table(document.get_ref())
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
    places: Places,
    sink: &'a Sink,
}

/// Lines and columns of offsets, found in a time that does not grow with the file's length.
struct Places {
    /// Where each line after the first begins.
    lines: Vec<usize>,
    /// Bytes that continue a character.
    continued: Vec<usize>,
}

impl Places {
    fn of(text: &str) -> Self {
        let bytes = || text.bytes().enumerate();
        Self {
            lines: bytes().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1).collect(),
            continued: (0..text.len()).filter(|at| !text.is_char_boundary(*at)).collect(),
        }
    }

    /// Line and column, both from 1; columns count characters.
    fn of_offset(&self, offset: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|before| self.lines.get(before)).copied().unwrap_or(0);
        let continued = |until: usize| self.continued.partition_point(|at| *at < until);
        (line + 1, offset - start - (continued(offset) - continued(start)) + 1)
    }
}

impl File<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let (line, column) = self.places.of_offset(offset.min(self.text.len()));
        Origin::File { path: self.path.to_owned(), line, column }
    }

    fn syntax_error(&self, offset: usize, cause: &str) {
        let hint = if cause.contains("duplicate key") {
            "a key may stand only once in its table; remove one"
        } else {
            "see https://toml.io for the syntax; texts need quotes"
        };
        let line = self.text.get(..offset).and_then(|before| before.lines().next_back()).unwrap_or_default();
        self.sink.syntax(&self.origin(offset), line.trim_start().starts_with('['), cause, hint);
    }

    fn table(&self, table: &DeTable<'_>) -> Table {
        table
            .iter()
            .map(|(key, value)| {
                let entry = Entry { key: self.origin(key.span().start), node: self.node(value) };
                (key.get_ref().clone().into_owned(), entry)
            })
            .collect()
    }

    fn node(&self, value: &Spanned<DeValue<'_>>) -> Node {
        let origin = self.origin(value.span().start);
        let value = match value.get_ref() {
            DeValue::String(text) => Item::Text(text.clone().into_owned()),
            DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
                Ok(integer) => Item::Int(integer),
                Err(_) => {
                    self.sink.error(
                        &origin,
                        "the integer is too large",
                        "it does not fit 64 bits",
                        "use a smaller number, or quotes if it is a text",
                    );
                    Item::Int(1)
                }
            },
            DeValue::Float(digits) => Item::Float(digits.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(truth) => Item::Bool(*truth),
            DeValue::Datetime(_) => Item::DateTime,
            DeValue::Array(items) => Item::Array(items.iter().map(|item| self.node(item)).collect()),
            DeValue::Table(table) => Item::Table(self.table(table)),
        };
        Node { value, origin }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Places;

    proptest! {
        #[test]
        fn places_are_counted_in_lines_and_characters(text in "[a\n\r\té字]{0,60}") {
            let places = Places::of(&text);
            for (offset, _) in text.char_indices() {
                let before = &text[..offset];
                let line = before.rsplit('\n').next().unwrap_or_default();
                let expected = (before.matches('\n').count() + 1, line.chars().count() + 1);
                prop_assert_eq!(places.of_offset(offset), expected);
            }
        }
    }
}
