//! Rows to records.

use super::{
    Mapping, cast,
    compile::{Bound, BoundSource},
};
use crate::model::{
    InvalidCode, MAX_RECORD_BYTES, RowRef, Unrepresentable, Value, ValueProblem, encode_value,
    spec::{Cast, WhenNull},
};

/// Why a row has no record: the row is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field `{field}`: {detail}")]
pub struct InvalidField {
    /// The stable code.
    pub code: InvalidCode,
    /// The destination field.
    pub field: String,
    /// What is wrong, without any value.
    pub detail: String,
}

impl Mapping {
    /// Appends the record of `row` in canonical form. Allocates only for casts and for rows that are invalid.
    ///
    /// # Errors
    /// [`InvalidField`] for the first field that cannot be part of a record; `out` is then left as it was.
    pub fn encode(&self, row: RowRef<'_>, out: &mut Vec<u8>) -> Result<(), InvalidField> {
        let start = out.len();
        let result = self.fields.iter().try_for_each(|field| field.encode(row, start, out));
        if result.is_err() {
            out.truncate(start);
        }
        result
    }
}

impl Bound {
    #[inline]
    fn encode(&self, row: RowRef<'_>, start: usize, out: &mut Vec<u8>) -> Result<(), InvalidField> {
        match &self.source {
            BoundSource::Constant { encoded, .. } => out.extend_from_slice(encoded),
            BoundSource::Column { position, cast, when_null, is_match, .. } => {
                let value = row.cell(*position);
                if value.is_null() {
                    self.encode_null(*is_match, *when_null, out)?;
                } else if let Some(cast) = cast {
                    self.encode_cast(value, *cast, *is_match, out)?;
                } else {
                    self.encode_value(value, *is_match, out)?;
                }
            }
        }
        if out.len() - start > MAX_RECORD_BYTES {
            return Err(self.invalid(InvalidCode::TooLarge, "the record is larger than 4 MiB"));
        }
        Ok(())
    }

    fn encode_null(&self, is_match: bool, when_null: WhenNull, out: &mut Vec<u8>) -> Result<(), InvalidField> {
        if is_match {
            return Err(self.invalid(InvalidCode::NullMatch, "the match value is null"));
        }
        match when_null {
            WhenNull::Skip => Ok(()),
            WhenNull::Clear => self.encode_value(Value::Null, false, out),
            WhenNull::Error => {
                Err(self.invalid(InvalidCode::NullField, "the value is null and `when_null` is \"error\""))
            }
        }
    }

    fn encode_cast(&self, value: Value<'_>, cast: Cast, is_match: bool, out: &mut Vec<u8>) -> Result<(), InvalidField> {
        match cast::cast(value, cast) {
            Ok(cast) => self.encode_value(cast.as_value(), is_match, out),
            Err(problem) => Err(self.invalid(problem.code(), problem.to_string())),
        }
    }

    #[inline]
    fn encode_value(&self, value: Value<'_>, is_match: bool, out: &mut Vec<u8>) -> Result<(), InvalidField> {
        if is_match && is_empty(value) {
            return Err(self.invalid(InvalidCode::NullMatch, "the match value is empty"));
        }
        out.extend_from_slice(&self.head);
        encode_value(value, out).map_err(|problem| self.invalid(problem_code(problem), problem.to_string()))
    }

    #[cold]
    fn invalid(&self, code: InvalidCode, detail: impl Into<String>) -> InvalidField {
        InvalidField { code, field: self.name.clone(), detail: detail.into() }
    }
}

fn is_empty(value: Value<'_>) -> bool {
    match value {
        Value::Text(text) | Value::Json(text) => text.trim().is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        _ => false,
    }
}

/// The stable code of a value that cannot be part of a record.
pub(super) const fn problem_code(problem: ValueProblem) -> InvalidCode {
    match problem {
        ValueProblem::Unrepresentable(Unrepresentable::TooLarge) => InvalidCode::TooLarge,
        ValueProblem::Unrepresentable(
            Unrepresentable::InvalidUtf8
            | Unrepresentable::InfiniteTime
            | Unrepresentable::TimeOutOfRange
            | Unrepresentable::NotANumber
            | Unrepresentable::UnknownType,
        )
        | ValueProblem::NotFinite => InvalidCode::BadValue,
    }
}
