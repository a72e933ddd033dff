//! Rows to records.

use super::{
    Mapping, Template,
    bound::{Bound, BoundColumn, BoundSource},
    cast, template,
};
use crate::model::{
    InvalidCode, MAX_RECORD_BYTES, RowRef, Unrepresentable, Value, ValueProblem, encode_value, put_short,
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
    /// Appends the record of `row` in canonical form. Allocates only for casts, templates, lists and hashes, and for rows that are
    /// invalid.
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
            BoundSource::Column { column, cast } => {
                let value = row.cell(column.position);
                match cast {
                    _ if value.is_null() => self.encode_null(out)?,
                    Some(cast) => self.encode_cast(value, *cast, out)?,
                    None => self.encode_value(value, out)?,
                }
            }
            BoundSource::Made { column, maker } => {
                let value = row.cell(column.position);
                let made = if value.is_null() { Ok(None) } else { maker.make(value) };
                match made {
                    Ok(None) => self.encode_null(out)?,
                    Ok(Some(made)) => self.encode_value(made.as_value(), out)?,
                    Err(problem) => return Err(self.invalid(problem.code(), problem.to_string())),
                }
            }
            BoundSource::Template { .. } if self.is_null(row) => self.encode_null(out)?,
            BoundSource::Template { template, columns } => self.encode_template(template, columns, row, out)?,
        }
        if out.len() - start > MAX_RECORD_BYTES {
            return Err(self.invalid(InvalidCode::TooLarge, "the record is larger than 4 MiB"));
        }
        Ok(())
    }

    fn encode_null(&self, out: &mut Vec<u8>) -> Result<(), InvalidField> {
        if self.is_match {
            return Err(self.invalid(InvalidCode::NullMatch, "the match value is null"));
        }
        match self.when_null {
            WhenNull::Skip => Ok(()),
            WhenNull::Clear => self.encode_value(Value::Null, out),
            WhenNull::Error => {
                Err(self.invalid(InvalidCode::NullField, "the value is null and `when_null` is \"error\""))
            }
        }
    }

    fn encode_template(
        &self,
        template: &Template,
        columns: &[BoundColumn],
        row: RowRef<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), InvalidField> {
        let mut values = Vec::with_capacity(columns.len());
        for column in columns {
            let value = template::context(row.cell(column.position));
            let value = value.map_err(|problem| self.invalid(problem_code(problem), problem.to_string()))?;
            values.push((column.name.as_str(), value));
        }
        match template.render(minijinja::Value::from_pairs(values)) {
            Ok(text) => self.encode_value(Value::Text(&text), out),
            Err(error) => Err(self.invalid(InvalidCode::BadTemplate, format!("the template fails: {error}"))),
        }
    }

    fn encode_cast(&self, value: Value<'_>, cast: Cast, out: &mut Vec<u8>) -> Result<(), InvalidField> {
        match cast::cast(value, cast) {
            Ok(cast) => self.encode_value(cast.as_value(), out),
            Err(problem) => Err(self.invalid(problem.code(), problem.to_string())),
        }
    }

    #[inline]
    fn encode_value(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<(), InvalidField> {
        if self.is_match && is_empty(value) {
            return Err(self.invalid(InvalidCode::NullMatch, "the match value is empty"));
        }
        put_short(&self.head, out);
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
