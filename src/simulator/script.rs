//! The grammar of scripted faults: a JSON array, one JSON object, or TOML with `[[faults]]` tables.
//!
//! ```toml
//! [[faults]]
//! match = { path_contains = "batch/upsert", nth = 3 }
//! phase = "before"
//! action = { status = { code = 503 } }
//!
//! [[faults]]
//! match = { property = { name = "plan", equals = "gold" }, times = 2 }
//! action = { reject_row = { category = "VALIDATION_ERROR", message = "{value} is not allowed for {key}" } }
//! ```

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer, de};

use super::parse_duration;

/// A fault file that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// Neither JSON nor TOML of this grammar.
    #[error("got a fault script that is not JSON of the grammar")]
    Json(#[from] serde_json::Error),
    /// As above, for text that does not start like JSON.
    #[error("got a fault script that is not TOML of the grammar")]
    Toml(#[from] toml::de::Error),
}

/// Reads a fault script.
///
/// # Errors
/// When the text is not of the grammar (unknown keys are refused).
pub fn parse_faults(text: &str) -> Result<Vec<Fault>, ScriptError> {
    match text.trim_start().chars().next() {
        Some('[') if !text.trim_start().starts_with("[[") => Ok(serde_json::from_str(text)?),
        Some('{') => {
            let value: serde_json::Value = serde_json::from_str(text)?;
            let listed = value.get("faults").is_some();
            Ok(if listed {
                serde_json::from_value::<Script>(value)?.faults
            } else {
                vec![serde_json::from_value(value)?]
            })
        }
        Some(_) | None => Ok(toml::from_str::<Script>(text)?.faults),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    #[serde(default)]
    faults: Vec<Fault>,
}

/// When to misbehave, and how. May name row values: deliberately without `Debug` of its parts.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    #[serde(default, rename = "match")]
    pub(super) when: Match,
    #[serde(default)]
    pub(super) phase: Phase,
    #[serde(deserialize_with = "action")]
    pub(super) action: Action,
}

/// All given conditions must hold. Without any, every vendor request matches.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Match {
    pub(super) path_contains: Option<String>,
    pub(super) method: Option<String>,
    /// Only the nth request (from 1) for which the other conditions hold.
    pub(super) nth: Option<u64>,
    /// Every nth such request.
    pub(super) every: Option<u64>,
    /// Only such requests after the first n.
    pub(super) after: Option<u64>,
    /// At most so many times.
    pub(super) times: Option<u64>,
    /// A row whose identifying value contains this.
    pub(super) row_key_contains: Option<String>,
    /// A row with this property.
    pub(super) property: Option<PropertyMatch>,
}

/// A property's value, whole or in part.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PropertyMatch {
    pub(super) name: String,
    pub(super) equals: Option<String>,
    pub(super) contains: Option<String>,
}

/// Whether the fault strikes before or after the request took effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    #[default]
    Before,
    After,
}

/// What happens. `after` means: applied first.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Action {
    /// Refuses the matching rows alone.
    RejectRow(Rejection),
    /// Refuses the whole request without naming a row.
    PoisonBatch,
    /// Answers with this status.
    Status {
        code: u16,
        #[serde(default)]
        body: Option<serde_json::Value>,
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// Answers with the vendor's 429.
    RateLimit {
        /// The `Retry-After` header, verbatim.
        #[serde(default, deserialize_with = "header_text")]
        retry_after: Option<String>,
        /// The policy named is the daily one.
        #[serde(default)]
        daily: bool,
    },
    /// Closes the connection without an answer.
    Close,
    /// Never answers, or closes without an answer after `for`.
    Hang {
        #[serde(default, rename = "for", deserialize_with = "duration")]
        span: Option<Duration>,
    },
    /// Applies, then closes the connection without an answer.
    DropAnswer,
    /// Closes without an answer now; applies after `delay`, or on `POST /_sim/release` if that comes first.
    ApplyLate {
        #[serde(default, deserialize_with = "duration")]
        delay: Option<Duration>,
    },
    /// Waits, then goes on as usual (`after`: applies, then waits).
    Slow {
        #[serde(deserialize_with = "some_duration")]
        delay: Duration,
    },
    /// Answers success with no results and no errors, and writes nothing.
    Silent {
        #[serde(default = "ok")]
        code: u16,
    },
    /// Answers with a page of HTML, as a proxy in front of the vendor does.
    Html {
        #[serde(default = "bad_gateway")]
        code: u16,
    },
    /// Applies, then ends the connection in the middle of the answer.
    Truncate,
}

/// Why a row is refused. `{key}` and `{value}` in the message stand for the row's own.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rejection {
    #[serde(default = "validation_error")]
    pub(super) category: String,
    #[serde(default = "refused")]
    pub(super) message: String,
}

impl Action {
    /// The name in the report.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::RejectRow(_) => "reject_row",
            Self::PoisonBatch => "poison_batch",
            Self::Status { .. } => "status",
            Self::RateLimit { .. } => "rate_limit",
            Self::Close => "close",
            Self::Hang { .. } => "hang",
            Self::DropAnswer => "drop_answer",
            Self::ApplyLate { .. } => "apply_late",
            Self::Slow { .. } => "slow",
            Self::Silent { .. } => "silent",
            Self::Html { .. } => "html",
            Self::Truncate => "truncate",
        }
    }
}

impl Match {
    /// Whether rows have to be looked at.
    pub(super) fn concerns_rows(&self) -> bool {
        self.row_key_contains.is_some() || self.property.is_some()
    }
}

/// An action without parameters may be given as its bare name.
fn action<'de, D: Deserializer<'de>>(from: D) -> Result<Action, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    let value = match value {
        serde_json::Value::String(name) if !matches!(&*name, "poison_batch" | "close" | "drop_answer" | "truncate") => {
            serde_json::json!({ name: {} })
        }
        other => other,
    };
    serde_json::from_value(value).map_err(de::Error::custom)
}

fn ok() -> u16 {
    200
}

fn bad_gateway() -> u16 {
    502
}

fn validation_error() -> String {
    "VALIDATION_ERROR".to_owned()
}

fn refused() -> String {
    "row {key} was refused by a scripted fault".to_owned()
}

fn some_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(from)?).map_err(de::Error::custom)
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    some_duration(from).map(Some)
}

fn header_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Text {
        Number(i64),
        Text(String),
    }
    Ok(Some(match Text::deserialize(from)? {
        Text::Number(number) => number.to_string(),
        Text::Text(text) => text,
    }))
}
