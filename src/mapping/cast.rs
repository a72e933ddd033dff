//! Casts: exact, or the row is invalid. Never a silent null.

use super::{encode::problem_code, parse, text::normal_decimal, to_text};
use crate::model::{ColumnKind, InvalidCode, Value, ValueProblem, spec::Cast};

/// A value after a cast: as it came, or made new.
#[derive(Clone, PartialEq)]
pub(super) enum Casted<'a> {
    Plain(Value<'a>),
    Text(String),
    Decimal(String),
    Json(String),
}

impl Casted<'_> {
    pub(super) fn as_value(&self) -> Value<'_> {
        match self {
            Self::Plain(value) => *value,
            Self::Text(text) => Value::Text(text),
            Self::Decimal(text) => Value::Decimal(text),
            Self::Json(text) => Value::Json(text),
        }
    }
}

/// Why a value cannot be cast. Names kinds only, never the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum CastProblem {
    #[error("a value of kind {from} cannot be cast to {to}")]
    Kind { from: &'static str, to: &'static str },
    #[error("the {from} value is not {wanted}")]
    Form { from: &'static str, wanted: &'static str },
    #[error("{0}")]
    Value(ValueProblem),
}

impl CastProblem {
    pub(super) const fn code(self) -> InvalidCode {
        match self {
            Self::Kind { .. } | Self::Form { .. } => InvalidCode::BadValue,
            Self::Value(problem) => problem_code(problem),
        }
    }
}

/// The cast's name in the configuration.
pub(super) const fn name(cast: Cast) -> &'static str {
    match cast {
        Cast::Text => "text",
        Cast::Integer => "integer",
        Cast::Decimal { .. } => "decimal",
        Cast::Float => "float",
        Cast::Boolean => "boolean",
        Cast::Date => "date",
        Cast::Timestamp => "timestamp",
        Cast::Json => "json",
    }
}

/// The cast of a name; `None` for a name that is none, or a scale that does not belong to it.
pub(super) fn from_name(wanted: &str, scale: Option<u8>) -> Option<Cast> {
    if wanted == name(Cast::Decimal { scale }) {
        return Some(Cast::Decimal { scale });
    }
    let plain = [Cast::Text, Cast::Integer, Cast::Float, Cast::Boolean, Cast::Date, Cast::Timestamp, Cast::Json];
    plain.into_iter().find(|cast| scale.is_none() && name(*cast) == wanted)
}

/// False when no value of the column could ever be cast.
pub(super) const fn possible(kind: ColumnKind, cast: Cast) -> bool {
    use ColumnKind as K;
    match kind {
        K::Text | K::Dynamic => true,
        K::Bool => matches!(cast, Cast::Text | Cast::Boolean | Cast::Integer | Cast::Json),
        K::Int | K::Decimal => !matches!(cast, Cast::Date | Cast::Timestamp),
        K::Float => !matches!(cast, Cast::Date | Cast::Timestamp | Cast::Boolean),
        K::Json => !matches!(cast, Cast::Date | Cast::Timestamp),
        K::Timestamp => matches!(cast, Cast::Text | Cast::Date | Cast::Timestamp),
        K::Date | K::LocalTimestamp => matches!(cast, Cast::Text | Cast::Date),
        K::Bytes | K::Time | K::Uuid => matches!(cast, Cast::Text),
    }
}

/// Casts a value that is not null.
pub(super) fn cast(value: Value<'_>, cast: Cast) -> Result<Casted<'_>, CastProblem> {
    match value {
        Value::Unrepresentable(why) => return Err(CastProblem::Value(ValueProblem::Unrepresentable(why))),
        Value::Float(v) if !v.is_finite() => return Err(CastProblem::Value(ValueProblem::NotFinite)),
        _ => {}
    }
    match cast {
        Cast::Text => Ok(to_text_value(value)),
        Cast::Integer => to_integer(value),
        Cast::Decimal { scale } => to_decimal(value, scale),
        Cast::Float => to_float(value),
        Cast::Boolean => to_boolean(value),
        Cast::Date => to_date(value),
        Cast::Timestamp => to_timestamp(value),
        Cast::Json => to_json(value),
    }
}

fn kind(value: Value<'_>, cast: Cast) -> CastProblem {
    CastProblem::Kind { from: value.kind_name(), to: name(cast) }
}

fn form(value: Value<'_>, wanted: &'static str) -> CastProblem {
    CastProblem::Form { from: value.kind_name(), wanted }
}

fn to_text_value(value: Value<'_>) -> Casted<'_> {
    match value {
        Value::Text(text) | Value::Json(text) => Casted::Plain(Value::Text(text)),
        other => Casted::Text(to_text(other).into_owned()),
    }
}

/// The digits of a number in any form, as a decimal; `None` when the value is no number.
fn digits(value: Value<'_>) -> Result<Option<String>, CastProblem> {
    Ok(match value {
        Value::Int(v) => Some(v.to_string()),
        Value::Decimal(v) => Some(v.to_owned()),
        // Display never writes an exponent and prints the shortest digits that give the float back.
        Value::Float(v) => Some(v.to_string()),
        Value::Text(v) | Value::Json(v) => {
            Some(parse::decimal(v).ok_or_else(|| form(value, "a number written in digits"))?)
        }
        _ => None,
    })
}

fn to_integer(value: Value<'_>) -> Result<Casted<'_>, CastProblem> {
    const WANTED: &str = "an integer of 64 bits";
    let integer = match value {
        Value::Int(v) => v,
        Value::Bool(v) => i64::from(v),
        other => {
            let digits = digits(other)?.ok_or_else(|| kind(other, Cast::Integer))?;
            normal_decimal(&digits).parse().map_err(|_| form(other, WANTED))?
        }
    };
    Ok(Casted::Plain(Value::Int(integer)))
}

fn to_decimal(value: Value<'_>, scale: Option<u8>) -> Result<Casted<'_>, CastProblem> {
    let digits = digits(value)?.ok_or_else(|| kind(value, Cast::Decimal { scale }))?;
    Ok(Casted::Decimal(match scale {
        Some(scale) => parse::round(&digits, usize::from(scale)),
        None => digits,
    }))
}

fn to_float(value: Value<'_>) -> Result<Casted<'_>, CastProblem> {
    let float = match value {
        Value::Float(v) => v,
        // The saturating cast back tells whether the float holds every digit.
        #[expect(clippy::cast_possible_truncation, reason = "compared with the original")]
        Value::Int(v) if (v as f64) as i128 == i128::from(v) => v as f64,
        Value::Int(_) => return Err(form(value, "exactly representable as a float")),
        Value::Decimal(text) | Value::Text(text) | Value::Json(text) => {
            parse::float(text).ok_or_else(|| form(value, "a finite number"))?
        }
        other => return Err(kind(other, Cast::Float)),
    };
    Ok(Casted::Plain(Value::Float(float)))
}

fn to_boolean(value: Value<'_>) -> Result<Casted<'_>, CastProblem> {
    const WANTED: &str = "`true` or `false`, `t` or `f`, `yes` or `no`, `1` or `0`";
    let truth = match value {
        Value::Bool(v) => v,
        Value::Int(0) => false,
        Value::Int(1) => true,
        Value::Decimal(text) => match normal_decimal(text).as_ref() {
            "0" => false,
            "1" => true,
            _ => return Err(form(value, WANTED)),
        },
        Value::Text(text) | Value::Json(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "1" => true,
            "false" | "f" | "no" | "0" => false,
            _ => return Err(form(value, WANTED)),
        },
        Value::Int(_) => return Err(form(value, WANTED)),
        other => return Err(kind(other, Cast::Boolean)),
    };
    Ok(Casted::Plain(Value::Bool(truth)))
}

fn to_date(value: Value<'_>) -> Result<Casted<'_>, CastProblem> {
    const WANTED: &str = "an ISO 8601 date of the years 1 to 9999";
    let days = match value {
        Value::Date(days) => Some(days),
        Value::Timestamp(micros) | Value::LocalTimestamp(micros) => {
            i32::try_from(micros.div_euclid(86_400_000_000)).ok()
        }
        Value::Text(text) => parse::date(text),
        other => return Err(kind(other, Cast::Date)),
    };
    days.map(|days| Casted::Plain(Value::Date(days))).ok_or_else(|| form(value, WANTED))
}

fn to_timestamp(value: Value<'_>) -> Result<Casted<'_>, CastProblem> {
    const WANTED: &str = "an ISO 8601 date and time with a zone, of the years 1 to 9999";
    let micros = match value {
        Value::Timestamp(micros) => Some(micros),
        Value::Text(text) => parse::timestamp(text),
        other => return Err(kind(other, Cast::Timestamp)),
    };
    micros.map(|micros| Casted::Plain(Value::Timestamp(micros))).ok_or_else(|| form(value, WANTED))
}

fn to_json(value: Value<'_>) -> Result<Casted<'_>, CastProblem> {
    match value {
        Value::Json(text) => Ok(Casted::Plain(Value::Json(text))),
        Value::Text(text) => match serde_json::from_str::<serde::de::IgnoredAny>(text) {
            Ok(_) => Ok(Casted::Plain(Value::Json(text))),
            Err(_) => Err(form(value, "JSON")),
        },
        Value::Bool(_) | Value::Int(_) | Value::Decimal(_) | Value::Float(_) => {
            Ok(Casted::Json(to_text(value).into_owned()))
        }
        other => Err(kind(other, Cast::Json)),
    }
}
