//! Where a field's value comes from.

use std::time::Duration;

use super::{Cast, SecretSpec};

/// Where a field's value comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldSource {
    /// A column, cast if asked.
    Column {
        /// The column's name.
        column: String,
        /// The cast.
        cast: Option<Cast>,
    },
    /// A constant.
    Constant(Constant),
    /// A text with `{{ column }}` in it; null when a column that it names is null.
    Template(String),
    /// The elements of a list column as one text.
    Joined {
        /// The column's name.
        column: String,
        /// What stands between two elements.
        separator: String,
    },
    /// A list column as a JSON array.
    List {
        /// The column's name.
        column: String,
        /// Where a text is split; `None`: it holds a JSON array.
        separator: Option<String>,
    },
    /// A column as a platform wants an identifier of a person: normalised, hashed, or both.
    Identifier {
        /// The column's name.
        column: String,
        /// The rule that the text is brought into form by.
        normalise: Option<Normalise>,
        /// How it is hashed.
        hash: Option<HashSpec>,
    },
}

impl FieldSource {
    /// True when every row gets the same value.
    pub const fn is_constant(&self) -> bool {
        matches!(self, Self::Constant(_))
    }

    /// The one column that the value is, as it is or cast.
    pub fn plain_column(&self) -> Option<&str> {
        match self {
            Self::Column { column, .. } => Some(column),
            Self::Constant(_)
            | Self::Template(_)
            | Self::Joined { .. }
            | Self::List { .. }
            | Self::Identifier { .. } => None,
        }
    }
}

/// A constant of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// Text.
    Text(String),
    /// Integer.
    Int(i64),
    /// Float.
    Float(f64),
    /// Boolean.
    Bool(bool),
}

/// How a text is brought into the form that a platform hashes. What each rule does, and its source, stands with the
/// rules in the mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalise {
    /// Lower case, no blanks.
    Email,
    /// As `Email`; in Gmail addresses also no dots and no `+` suffix (Google).
    EmailGoogle,
    /// E.164: `+` and digits.
    Phone,
    /// E.164 digits without `+` (Meta).
    PhoneMeta,
    /// Trimmed, lower case.
    Name,
    /// Lower case, no punctuation (Meta).
    NameMeta,
    /// Lower-case letters and digits only; also for states (Meta).
    CityMeta,
    /// Two capital letters (ISO 3166-1).
    Country,
    /// Two lower-case letters (Meta).
    CountryMeta,
    /// Trimmed.
    PostalCode,
    /// Lower case, no blanks or dashes; five digits in the United States (Meta).
    PostalCodeMeta,
}

impl Normalise {
    /// All rules.
    pub const ALL: [Self; 11] = [
        Self::Email,
        Self::EmailGoogle,
        Self::Phone,
        Self::PhoneMeta,
        Self::Name,
        Self::NameMeta,
        Self::CityMeta,
        Self::Country,
        Self::CountryMeta,
        Self::PostalCode,
        Self::PostalCodeMeta,
    ];

    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::EmailGoogle => "email_google",
            Self::Phone => "phone",
            Self::PhoneMeta => "phone_meta",
            Self::Name => "name",
            Self::NameMeta => "name_meta",
            Self::CityMeta => "city_meta",
            Self::Country => "country",
            Self::CountryMeta => "country_meta",
            Self::PostalCode => "postal_code",
            Self::PostalCodeMeta => "postal_code_meta",
        }
    }
}

/// How a text is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashSpec {
    /// The function.
    pub function: HashFunction,
    /// How the 32 bytes are written.
    pub encoding: HashEncoding,
}

/// A hash function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashFunction {
    /// SHA-256 of the text in UTF-8.
    Sha256,
    /// HMAC-SHA-256 of the text under a secret key.
    HmacSha256(SecretSpec),
}

impl HashFunction {
    /// The name in the configuration.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::HmacSha256(_) => "hmac-sha256",
        }
    }
}

/// How a hash is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashEncoding {
    /// Lower-case hexadecimal digits.
    Hex,
    /// Base64 with padding.
    Base64,
}

impl HashEncoding {
    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Base64 => "base64",
        }
    }
}

/// When a new mapping is applied to rows whose data has not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remap {
    /// At once: every row whose record differs is sent.
    Now,
    /// When the row's data changes.
    Later,
}

/// `fresh = { column, within }`: how old the newest value of a column may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreshSpec {
    /// A timestamp or date column of the model.
    pub column: String,
    /// The greatest age.
    pub within: Duration,
}
