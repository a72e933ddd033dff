//! Request bodies. Every property value must be a string; unknown keys are refused.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

/// A string that borrows from the body where it can.
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Strings;
        impl<'de> Visitor<'de> for Strings {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        from.deserialize_str(Strings)
    }
}

/// The properties of one row, in the order of the body.
#[derive(Default)]
pub(super) struct Pairs<'a>(pub(super) Vec<(Text<'a>, Text<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Pairs<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(Entries)
    }
}

/// A row of a writing batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Input<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) id_property: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) properties: Option<Pairs<'a>>,
    #[serde(borrow)]
    pub(super) object_write_trace_id: Option<Text<'a>>,
}

/// A writing batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch<'a> {
    #[serde(borrow)]
    pub(super) inputs: Vec<Input<'a>>,
}

/// A reading batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ReadBatch {
    pub(super) inputs: Vec<IdOnly>,
    pub(super) id_property: Option<String>,
    #[serde(default)]
    pub(super) properties: Vec<String>,
    /// Taken and ignored.
    #[serde(default, rename = "propertiesWithHistory")]
    _with_history: Vec<String>,
}

/// An id.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdOnly {
    pub(super) id: String,
}

/// The body of a single create or update.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Single<'a> {
    #[serde(borrow)]
    pub(super) properties: Pairs<'a>,
}

impl Pairs<'_> {
    /// Owned copies, for faults that look at rows.
    pub(super) fn list(pairs: &[(Text<'_>, Text<'_>)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_str().to_owned())).collect()
    }
}
