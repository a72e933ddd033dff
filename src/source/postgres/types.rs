//! The table of PostgreSQL types: how a column is fetched, decoded, and ordered as a key.

use sqlx::{
    TypeInfo,
    postgres::{PgTypeInfo, PgTypeKind},
};

use super::decode::Decoder;
use crate::model::{Column, ColumnKind, KeyKind};

/// How the wrapping select fetches a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fetch {
    /// As it is, in binary.
    Plain,
    /// Rendered by the server: `::text`.
    Text,
    /// Widened: `::bigint` (oid).
    Bigint,
    /// Rendered as JSON: `to_jsonb(…)::text`.
    Json,
}

/// How a type is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) fetch: Fetch,
    pub(super) decoder: Decoder,
    pub(super) kind: ColumnKind,
    pub(super) key: Option<KeyKind>,
}

impl Shape {
    const fn plain(decoder: Decoder, kind: ColumnKind, key: Option<KeyKind>) -> Self {
        Self { fetch: Fetch::Plain, decoder, kind, key }
    }

    const fn text(key: Option<KeyKind>) -> Self {
        Self { fetch: Fetch::Text, decoder: Decoder::Text, kind: ColumnKind::Text, key }
    }

    const JSON: Self = Self { fetch: Fetch::Json, decoder: Decoder::Json, kind: ColumnKind::Json, key: None };

    /// The expression that fetches the column, whose quoted name is `quoted`.
    pub(super) fn select(self, quoted: &str) -> String {
        match self.fetch {
            Fetch::Plain => format!("m.{quoted}"),
            Fetch::Text => format!("m.{quoted}::text as {quoted}"),
            Fetch::Bigint => format!("m.{quoted}::bigint as {quoted}"),
            Fetch::Json => format!("to_jsonb(m.{quoted})::text as {quoted}"),
        }
    }

    /// The expression that sorts the column in the order of encoded keys. Qualified with `m.`, since a bare name after
    /// `order by` means the output column. `converts`: the server's encoding is not UTF-8, so text is sorted as UTF-8 bytes.
    pub(super) fn order(self, quoted: &str, converts: bool) -> String {
        match (self.kind, self.fetch, converts) {
            (ColumnKind::Text, _, true) => format!("convert_to(m.{quoted}::text, 'UTF8')"),
            (ColumnKind::Text, _, false) => format!("(m.{quoted}::text collate \"C\")"),
            (_, Fetch::Bigint, _) => format!("m.{quoted}::bigint"),
            _ => format!("m.{quoted}"),
        }
    }
}

/// A column of the schema and how to read it.
pub(super) fn column(name: &str, info: &PgTypeInfo) -> (Column, Shape) {
    let shape = shape(info);
    let source_type = info.name().to_lowercase();
    (Column { name: name.to_owned(), kind: shape.kind, key_kind: shape.key, source_type }, shape)
}

/// Object ids of built-in types are fixed (`src/include/catalog/pg_type.dat` of PostgreSQL). A domain never shows up:
/// the server describes it as its base type.
fn shape(info: &PgTypeInfo) -> Shape {
    use ColumnKind as Kind;
    match info.oid().map_or(0, |oid| oid.0) {
        16 => Shape::plain(Decoder::Bool, Kind::Bool, Some(KeyKind::Bool)),
        17 => Shape::plain(Decoder::Bytes, Kind::Bytes, Some(KeyKind::Bytes)),
        20 => Shape::plain(Decoder::Int8, Kind::Int, Some(KeyKind::Integer)),
        21 => Shape::plain(Decoder::Int2, Kind::Int, Some(KeyKind::Integer)),
        23 => Shape::plain(Decoder::Int4, Kind::Int, Some(KeyKind::Integer)),
        26 => Shape { fetch: Fetch::Bigint, ..Shape::plain(Decoder::Int8, Kind::Int, Some(KeyKind::Integer)) },
        // name, text, varchar
        19 | 25 | 1043 => Shape::plain(Decoder::Text, Kind::Text, Some(KeyKind::Text)),
        114 => Shape::plain(Decoder::Json, Kind::Json, None),
        3802 => Shape::plain(Decoder::Jsonb, Kind::Json, None),
        700 => Shape::plain(Decoder::Float4, Kind::Float, None),
        701 => Shape::plain(Decoder::Float8, Kind::Float, None),
        1700 => Shape::plain(Decoder::Numeric, Kind::Decimal, None),
        1082 => Shape::plain(Decoder::Date, Kind::Date, Some(KeyKind::Date)),
        1083 => Shape::plain(Decoder::Time, Kind::Time, None),
        1114 => Shape::plain(Decoder::LocalTimestamp, Kind::LocalTimestamp, Some(KeyKind::Timestamp)),
        1184 => Shape::plain(Decoder::Timestamp, Kind::Timestamp, Some(KeyKind::Timestamp)),
        2950 => Shape::plain(Decoder::Uuid, Kind::Uuid, Some(KeyKind::Uuid)),
        // char(n) loses its padding as text; inet, cidr and the mac addresses have one text per value.
        1042 | 869 | 650 | 829 | 774 => Shape::text(Some(KeyKind::Text)),
        // record and record[]
        2249 | 2287 => Shape::JSON,
        _ => by_structure(info),
    }
}

fn by_structure(info: &PgTypeInfo) -> Shape {
    match info.kind() {
        PgTypeKind::Enum(_) => Shape::text(Some(KeyKind::Text)),
        PgTypeKind::Array(_) | PgTypeKind::Composite(_) => Shape::JSON,
        PgTypeKind::Simple | PgTypeKind::Pseudo | PgTypeKind::Range(_) | PgTypeKind::Domain(_) => {
            let citext = info.name().rsplit('.').next().is_some_and(|name| name.eq_ignore_ascii_case("citext"));
            Shape::text(citext.then_some(KeyKind::Text))
        }
    }
}
