//! What a portal is started with.

use std::str::FromStr;

use super::schema::Kind;
use crate::simulator::OptionError;

const EXPECTED: &str = "[OBJECT.]NAME:TYPE[:unique][:required], TYPE one of string, number, date, datetime, bool, \
    enumeration(a|b), checkbox(a|b)";

/// A simulated portal.
#[derive(Debug, Clone)]
pub struct HubSpotOptions {
    /// The account id.
    pub portal: u64,
    /// Names of custom objects.
    pub objects: Vec<String>,
    /// Custom properties.
    pub properties: Vec<PropertySpec>,
    /// Existing properties that identify a record: `NAME` or `OBJECT.NAME`.
    pub unique: Vec<String>,
    /// Declares an unknown property as a string on its first use instead of refusing it.
    pub accept_any_property: bool,
}

impl Default for HubSpotOptions {
    fn default() -> Self {
        Self {
            portal: 4242,
            objects: Vec::new(),
            properties: Vec::new(),
            unique: Vec::new(),
            accept_any_property: false,
        }
    }
}

/// A custom property of one object or of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertySpec {
    pub(super) object: Option<String>,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) unique: bool,
    pub(super) required: bool,
}

impl FromStr for PropertySpec {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        let wrong = || OptionError::new(text, EXPECTED);
        let mut parts = text.split(':');
        let (object, name) = scoped(parts.next().unwrap_or_default());
        let kind = parts.next().and_then(kind).ok_or_else(wrong)?;
        let (mut unique, mut required) = (false, false);
        for flag in parts {
            match flag {
                "unique" => unique = true,
                "required" => required = true,
                _ => return Err(wrong()),
            }
        }
        if name.is_empty() {
            return Err(wrong());
        }
        Ok(Self { object: object.map(str::to_owned), name: name.to_owned(), kind, unique, required })
    }
}

/// Splits `OBJECT.NAME`.
pub(super) fn scoped(text: &str) -> (Option<&str>, &str) {
    text.split_once('.').map_or((None, text), |(object, name)| (Some(object), name))
}

fn kind(text: &str) -> Option<Kind> {
    let (name, options) = match text.split_once('(') {
        Some((name, rest)) => (name, Some(rest.strip_suffix(')')?)),
        None => (text, None),
    };
    let list = || Some(options?.split('|').map(str::to_owned).collect());
    match (name, options) {
        ("string", None) => Some(Kind::String),
        ("number", None) => Some(Kind::Number),
        ("date", None) => Some(Kind::Date),
        ("datetime", None) => Some(Kind::Datetime),
        ("bool", None) => Some(Kind::Bool),
        ("enumeration", Some(_)) => list().map(Kind::One),
        ("checkbox", Some(_)) => list().map(Kind::Many),
        _ => None,
    }
}
