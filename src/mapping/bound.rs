//! Fields bound to the columns of a schema.

use super::{Template, cast::CastProblem, cast::Casted, hash::BoundHash, lists, normalise};
use crate::model::{
    RowRef, Value, encode_field, put_bytes,
    spec::{Cast, Constant, Normalise, WhenNull},
};

/// One field, bound.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    pub(super) name: String,
    /// The name as it begins each field of a record.
    pub(super) head: Vec<u8>,
    pub(super) source: BoundSource,
    pub(super) when_null: WhenNull,
    pub(super) is_match: bool,
}

/// A column with its place in the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BoundColumn {
    pub(super) position: usize,
    pub(super) name: String,
}

/// Where a bound field's value comes from.
#[derive(Debug, Clone)]
pub(super) enum BoundSource {
    /// The whole field in canonical form: a constant never changes.
    Constant { encoded: Vec<u8>, value: Constant },
    /// A column, cast if asked.
    Column { column: BoundColumn, cast: Option<Cast> },
    /// A column that something new is made of.
    Made { column: BoundColumn, maker: Maker },
    /// A template over these columns.
    Template { template: Template, columns: Vec<BoundColumn> },
}

/// Makes a new value of a value that is not null.
#[derive(Debug, Clone)]
pub(super) enum Maker {
    /// The elements of a list with this between them.
    Join(String),
    /// A JSON array; texts are split at the separator, if there is one.
    List(Option<String>),
    /// Normalised, then hashed.
    Identifier { normalise: Option<Normalise>, hash: Option<BoundHash> },
}

impl Maker {
    /// The new value; `None`: nothing is left of the value, which is then null.
    pub(super) fn make<'a>(&self, value: Value<'a>) -> Result<Option<Casted<'a>>, CastProblem> {
        match self {
            Self::Join(separator) => lists::join(value, separator).map(|text| Some(Casted::Text(text))),
            Self::List(separator) => lists::list(value, separator.as_deref()).map(|json| Some(Casted::Json(json))),
            Self::Identifier { normalise, hash } => identifier(value, *normalise, hash.as_ref()),
        }
    }
}

fn identifier<'a>(
    value: Value<'a>,
    rule: Option<Normalise>,
    hash: Option<&BoundHash>,
) -> Result<Option<Casted<'a>>, CastProblem> {
    let text = super::cast::cast(value, Cast::Text)?;
    let Value::Text(text) = text.as_value() else { return Ok(None) };
    let text = match rule {
        Some(rule) => normalise::normalise(rule, text)?,
        None => text.into(),
    };
    // A platform takes the hash of an empty text for a person, so nothing is left instead.
    if text.is_empty() {
        return Ok(None);
    }
    Ok(Some(Casted::Text(hash.map_or_else(|| text.to_string(), |hash| hash.of(&text)))))
}

impl Bound {
    pub(super) fn new(name: &str, source: BoundSource, when_null: WhenNull, is_match: bool) -> Self {
        let mut head = Vec::new();
        put_bytes(name.as_bytes(), &mut head);
        Self { name: name.to_owned(), head, source, when_null, is_match }
    }

    pub(super) fn constant(name: &str, value: &Constant) -> Self {
        let plain = match value {
            Constant::Text(v) => Value::Text(v),
            Constant::Int(v) => Value::Int(*v),
            // The configuration refuses `nan` and `inf`; a null is what is left of them.
            Constant::Float(v) if !v.is_finite() => Value::Null,
            Constant::Float(v) => Value::Float(*v),
            Constant::Bool(v) => Value::Bool(*v),
        };
        let mut encoded = Vec::new();
        // Only floats that are not finite and unrepresentable values fail, and neither gets here.
        encode_field(name, plain, &mut encoded).unwrap_or(());
        Self::new(name, BoundSource::Constant { encoded, value: value.clone() }, WhenNull::Skip, false)
    }

    /// The columns that the field reads.
    pub(super) fn columns(&self) -> &[BoundColumn] {
        match &self.source {
            BoundSource::Constant { .. } => &[],
            BoundSource::Column { column, .. } | BoundSource::Made { column, .. } => std::slice::from_ref(column),
            BoundSource::Template { columns, .. } => columns,
        }
    }

    /// Whether a column that the field reads is null, which makes the field null.
    pub(super) fn is_null(&self, row: RowRef<'_>) -> bool {
        self.columns().iter().any(|column| row.is_null(column.position))
    }
}
