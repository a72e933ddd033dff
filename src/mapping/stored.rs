//! The mapping as a stable text, and back.
//!
//! Version 1: a line `{"mapping":1}`, then one JSON object a field, in byte order of the field names. It holds what the
//! configuration says of a field (constants and templates included) and for a keyed hash the key's identifier.

use serde::{Deserialize, Serialize};

use super::{
    HashKeys, Mapping,
    bound::{Bound, BoundSource, Maker},
    cast,
    text::to_text,
};
use crate::model::{
    Schema, Value,
    spec::{
        Cast, Constant, FieldSource, FieldSpec, HashEncoding, HashFunction, HashSpec, Normalise, SecretSpec, SyncSpec,
        WhenNull,
    },
};

/// The version of the text.
const HEAD: &str = "{\"mapping\":1}";

impl Mapping {
    /// The mapping as a stable text. Equal texts map equal rows to equal records. Holds no secret.
    pub fn fingerprint_text(&self) -> String {
        let line = |field: &Bound| serde_json::to_string(&Line::of(field)).unwrap_or_default();
        let lines = self.fields.iter().map(|field| line(field) + "\n");
        std::iter::once(format!("{HEAD}\n")).chain(lines).collect()
    }

    /// The single texts of several that stand one after another.
    pub fn split_texts(texts: &str) -> Vec<String> {
        let mut split: Vec<String> = Vec::new();
        for line in texts.lines() {
            match split.last_mut() {
                Some(text) if line != HEAD => {
                    text.push_str(line);
                    text.push('\n');
                }
                Some(_) | None => split.push(format!("{line}\n")),
            }
        }
        split
    }

    /// The mapping of a text that an earlier run wrote, bound to the present columns. `None` when it cannot be had any
    /// more: another version, a column that is gone or of another kind, or a keyed hash whose key has changed.
    pub fn from_fingerprint_text(text: &str, schema: &Schema, keys: &HashKeys) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != HEAD {
            return None;
        }
        let lines: Vec<Line> = lines.map(|line| serde_json::from_str(line).ok()).collect::<Option<_>>()?;
        let mut sync = SyncSpec::new("", "", "", "");
        let mut present = HashKeys::default();
        for line in lines {
            if let Some(id) = &line.key {
                present.insert(&line.field, keys.with_id(id)?.clone());
            }
            if line.is_match {
                sync.match_fields.push(line.field.clone());
            }
            sync.fields.push(line.spec()?);
        }
        Self::compile_with(&sync, schema, &[], &present).ok()
    }
}

/// One field.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Line {
    field: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<StoredConstant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    cast: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scale: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    join: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    separator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    normalise: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    when_null: Option<String>,
    #[serde(rename = "match", skip_serializing_if = "std::ops::Not::not")]
    is_match: bool,
}

/// A constant. Floats as text: every digit must come back.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StoredConstant {
    Bool(bool),
    Int(i64),
    Text(String),
    Float { float: String },
}

const LIST: &str = "list";

impl Line {
    fn of(field: &Bound) -> Self {
        let line = Self { field: field.name.clone(), ..Self::default() };
        let read = Self {
            when_null: Some(field.when_null.name().to_owned()),
            is_match: field.is_match,
            field: field.name.clone(),
            ..Self::default()
        };
        match &field.source {
            BoundSource::Constant { value, .. } => Self { value: Some(StoredConstant::of(value)), ..line },
            BoundSource::Template { template, .. } => Self { template: Some(template.source().to_owned()), ..read },
            BoundSource::Column { column, cast } => {
                let scale = match cast {
                    Some(Cast::Decimal { scale }) => *scale,
                    _ => None,
                };
                let cast = cast.map(|cast| cast::name(cast).to_owned());
                Self { column: Some(column.name.clone()), cast, scale, ..read }
            }
            BoundSource::Made { column, maker } => Self { column: Some(column.name.clone()), ..read }.made(maker),
        }
    }

    fn made(self, maker: &Maker) -> Self {
        match maker {
            Maker::Join(separator) => Self { join: Some(separator.clone()), ..self },
            Maker::List(separator) => Self { cast: Some(LIST.to_owned()), separator: separator.clone(), ..self },
            Maker::Identifier { normalise, hash } => {
                let key = hash.as_ref().and_then(|hash| hash.key.as_ref());
                let function = if key.is_some() { "hmac-sha256" } else { "sha256" };
                Self {
                    normalise: normalise.map(|rule| rule.name().to_owned()),
                    hash: hash.as_ref().map(|_| function.to_owned()),
                    encoding: hash.as_ref().map(|hash| hash.encoding.name().to_owned()),
                    key: key.map(|key| key.id().to_owned()),
                    ..self
                }
            }
        }
    }

    fn spec(self) -> Option<FieldSpec> {
        let when_null = match &self.when_null {
            Some(name) => named([WhenNull::Skip, WhenNull::Clear, WhenNull::Error], WhenNull::name, name)?,
            None => WhenNull::Skip,
        };
        Some(FieldSpec { name: self.field.clone(), source: self.source()?, when_null })
    }

    fn source(self) -> Option<FieldSource> {
        let column = match (self.value, self.template, self.column) {
            (Some(value), None, None) => return value.constant().map(FieldSource::Constant),
            (None, Some(template), None) => return Some(FieldSource::Template(template)),
            (None, None, Some(column)) => column,
            _ => return None,
        };
        if let Some(separator) = self.join {
            return Some(FieldSource::Joined { column, separator });
        }
        if self.normalise.is_some() || self.hash.is_some() {
            let normalise = match &self.normalise {
                Some(name) => Some(named(Normalise::ALL, Normalise::name, name)?),
                None => None,
            };
            let hash = match self.hash {
                Some(name) => Some(hash(&name, self.encoding.as_deref()?)?),
                None => None,
            };
            return Some(FieldSource::Identifier { column, normalise, hash });
        }
        match self.cast.as_deref() {
            None => Some(FieldSource::Column { column, cast: None }),
            Some(LIST) => Some(FieldSource::List { column, separator: self.separator }),
            Some(name) => Some(FieldSource::Column { column, cast: Some(cast::from_name(name, self.scale)?) }),
        }
    }
}

fn hash(name: &str, encoding: &str) -> Option<HashSpec> {
    let encoding = named([HashEncoding::Hex, HashEncoding::Base64], HashEncoding::name, encoding)?;
    let function = match name {
        "sha256" => HashFunction::Sha256,
        // The key is given by its identifier, so the reference is never followed.
        "hmac-sha256" => HashFunction::HmacSha256(SecretSpec::Env(String::new())),
        _ => return None,
    };
    Some(HashSpec { function, encoding })
}

fn named<T: Copy, const N: usize>(all: [T; N], name_of: impl Fn(T) -> &'static str, name: &str) -> Option<T> {
    all.into_iter().find(|one| name_of(*one) == name)
}

impl StoredConstant {
    fn of(value: &Constant) -> Self {
        match value {
            Constant::Text(v) => Self::Text(v.clone()),
            Constant::Int(v) => Self::Int(*v),
            Constant::Float(v) => Self::Float { float: to_text(Value::Float(*v)).into_owned() },
            Constant::Bool(v) => Self::Bool(*v),
        }
    }

    fn constant(self) -> Option<Constant> {
        Some(match self {
            Self::Text(v) => Constant::Text(v),
            Self::Int(v) => Constant::Int(v),
            Self::Float { float } => Constant::Float(float.parse().ok()?),
            Self::Bool(v) => Constant::Bool(v),
        })
    }
}
