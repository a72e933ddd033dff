//! The table of MySQL's and MariaDB's types: how a column is fetched, decoded, and ordered as a key.

use sqlx::{MySql, Type, TypeInfo, mysql::MySqlTypeInfo};

use super::decode::Decoder;
use crate::model::{Column, ColumnKind, KeyKind};

/// How the wrapping select fetches a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fetch {
    /// As it is.
    Plain,
    /// Rendered by the server: `cast(… as char)`.
    Text,
    /// A geometry as well-known text.
    Wkt,
}

/// How a column sorts in the order of encoded keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// As the server sorts it.
    Plain,
    /// By its number: `bit`.
    Number,
    /// By the bytes of its text in UTF-8. No collation does that: even `utf8mb4_bin` of MariaDB ignores spaces at the end.
    /// Enums sort by their text, not by their declaration; MariaDB's `uuid`, `inet4` and `inet6` by theirs.
    Text,
}

/// How a type is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    fetch: Fetch,
    order: Order,
    pub(super) decoder: Decoder,
    pub(super) kind: ColumnKind,
    key: Option<KeyKind>,
}

impl Shape {
    const fn plain(decoder: Decoder, kind: ColumnKind, key: Option<KeyKind>) -> Self {
        Self { fetch: Fetch::Plain, order: Order::Plain, decoder, kind, key }
    }

    const fn integer(unsigned: bool) -> Self {
        Self::plain(Decoder::Integer { unsigned }, ColumnKind::Int, Some(KeyKind::Integer))
    }

    const TEXT: Self = Self { order: Order::Text, ..Self::plain(Decoder::Text, ColumnKind::Text, Some(KeyKind::Text)) };

    const fn rendered(fetch: Fetch) -> Self {
        Self { fetch, ..Self::plain(Decoder::Text, ColumnKind::Text, None) }
    }

    /// The expression that fetches the column, whose quoted name is `quoted`.
    pub(super) fn select(self, quoted: &str) -> String {
        match self.fetch {
            Fetch::Plain => format!("m.{quoted}"),
            Fetch::Text => format!("cast(m.{quoted} as char) as {quoted}"),
            Fetch::Wkt => format!("st_astext(m.{quoted}) as {quoted}"),
        }
    }

    /// The expression that sorts the column in the order of encoded keys.
    pub(super) fn order(self, quoted: &str) -> String {
        match self.order {
            Order::Plain => format!("m.{quoted}"),
            Order::Number => format!("m.{quoted} + 0"),
            Order::Text => format!("cast(convert(m.{quoted} using utf8mb4) as binary)"),
        }
    }
}

/// A column of the schema and how to read it.
pub(super) fn column(name: &str, info: &MySqlTypeInfo) -> (Column, Shape) {
    let shape = shape(info);
    (Column { name: name.to_owned(), kind: shape.kind, key_kind: shape.key, source_type: type_name(info) }, shape)
}

/// The driver names types by what the server says of a column; it calls `tinyint(1)` a boolean, and texts of a binary
/// collation by the names of binary types.
pub(super) fn shape(info: &MySqlTypeInfo) -> Shape {
    use ColumnKind as Kind;
    match info.name() {
        "BOOLEAN" => Shape::integer(*info == <u8 as Type<MySql>>::type_info()),
        "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" => Shape::integer(false),
        "TINYINT UNSIGNED" | "SMALLINT UNSIGNED" | "MEDIUMINT UNSIGNED" | "INT UNSIGNED" | "BIGINT UNSIGNED"
        | "YEAR" => Shape::integer(true),
        "BIT" => Shape { order: Order::Number, ..Shape::plain(Decoder::Bits, Kind::Int, Some(KeyKind::Integer)) },
        "DECIMAL" => Shape::plain(Decoder::Decimal, Kind::Decimal, None),
        "FLOAT" => Shape::plain(Decoder::Float, Kind::Float, None),
        "DOUBLE" => Shape::plain(Decoder::Double, Kind::Float, None),
        "DATE" => Shape::plain(Decoder::Date, Kind::Date, Some(KeyKind::Date)),
        "DATETIME" => Shape::plain(Decoder::LocalTimestamp, Kind::LocalTimestamp, Some(KeyKind::Timestamp)),
        "TIMESTAMP" => Shape::plain(Decoder::Timestamp, Kind::Timestamp, Some(KeyKind::Timestamp)),
        // An interval of up to 838 hours, negative ones too, and no time of a day.
        "TIME" => Shape::rendered(Fetch::Text),
        "GEOMETRY" => Shape::rendered(Fetch::Wkt),
        "JSON" => Shape::plain(Decoder::Json, Kind::Json, None),
        // `null` without a type.
        "NULL" => Shape::rendered(Fetch::Plain),
        "ENUM" | "SET" => Shape::TEXT,
        _ if is_text(info) => Shape::TEXT,
        _ => Shape::plain(Decoder::Bytes, Kind::Bytes, Some(KeyKind::Bytes)),
    }
}

/// Whether a column of characters or bytes holds characters: its collation is not `binary`. What its flags say does not
/// matter, since MariaDB's JSON and every text of a `_bin` collation are flagged as binary.
fn is_text(info: &MySqlTypeInfo) -> bool {
    <str as Type<MySql>>::compatible(info)
}

/// The type's name for messages.
fn type_name(info: &MySqlTypeInfo) -> String {
    let name = info.name().to_lowercase();
    match name.as_str() {
        "boolean" => "tinyint(1)".to_owned(),
        "binary" if is_text(info) => "char".to_owned(),
        "varbinary" if is_text(info) => "varchar".to_owned(),
        _ if is_text(info) => name.replace("blob", "text"),
        _ => name,
    }
}
