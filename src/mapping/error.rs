//! Why a mapping does not fit a model.

use crate::model::PathProblem;

/// Why a sync's mapping cannot be applied to its model's columns. Such a run is refused before anything is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// A mapped column is missing.
    #[error("field `{field}` reads column `{column}`, which the model does not return")]
    MissingColumn {
        /// Destination field.
        field: String,
        /// The column it names.
        column: String,
        /// The nearest existing column.
        nearest: Option<String>,
    },
    /// A key column is missing.
    #[error("key column `{column}` is not returned by the model")]
    MissingKeyColumn {
        /// The column.
        column: String,
        /// The nearest existing column.
        nearest: Option<String>,
    },
    /// `"*" = { except = … }` names a column that is missing. Refused, because a misspelt exception would send a column.
    #[error("`\"*\"` excepts column `{column}`, which the model does not return")]
    MissingExcept {
        /// The column.
        column: String,
        /// The nearest existing column.
        nearest: Option<String>,
    },
    /// A destination field name cannot be parsed.
    #[error("field name `{field}`: {problem}")]
    BadName {
        /// Destination field.
        field: String,
        /// What is wrong with it.
        problem: PathProblem,
    },
    /// Two fields have one name.
    #[error("field `{field}` is mapped twice")]
    Duplicate {
        /// Destination field.
        field: String,
    },
    /// A field would be a value and an object at once.
    #[error("field `{parent}` cannot be a value, because `{child}` makes it an object")]
    LeafAndParent {
        /// The field that is both.
        parent: String,
        /// The field inside it.
        child: String,
    },
    /// A match field is not mapped.
    #[error("match field `{field}` is not mapped")]
    MatchNotMapped {
        /// Destination field.
        field: String,
    },
    /// A column's kind can never be cast as asked.
    #[error("field `{field}` casts column `{column}` of type `{source_type}` to {cast}, which is never possible")]
    ImpossibleCast {
        /// Destination field.
        field: String,
        /// The column.
        column: String,
        /// The source's name for its type.
        source_type: String,
        /// The cast's name.
        cast: &'static str,
    },
    /// A template reads a column that is missing.
    #[error("the template of field `{field}` reads `{column}`, which the model does not return")]
    MissingInTemplate {
        /// Destination field.
        field: String,
        /// The name in the template.
        column: String,
        /// The nearest existing column.
        nearest: Option<String>,
    },
    /// A template does not parse, or reads no column.
    #[error("the template of field `{field}` is not valid: {reason}")]
    BadTemplate {
        /// Destination field.
        field: String,
        /// The mistake.
        reason: String,
    },
    /// A column that can never hold a list.
    #[error("field `{field}` needs a list, but column `{column}` is of type `{source_type}`")]
    NoList {
        /// Destination field.
        field: String,
        /// The column.
        column: String,
        /// The source's name for its type.
        source_type: String,
    },
    /// A keyed hash without its key.
    #[error("the hash key of field `{field}` was not given")]
    MissingKey {
        /// Destination field.
        field: String,
    },
    /// The column of `guard.fresh` is missing.
    #[error("`guard.fresh` reads column `{column}`, which the model does not return")]
    MissingFresh {
        /// The column.
        column: String,
        /// The nearest existing column.
        nearest: Option<String>,
    },
    /// The column of `guard.fresh` holds no times.
    #[error(
        "`guard.fresh` reads column `{column}` of type `{source_type}`, expected a timestamp, a date or texts of them"
    )]
    FreshKind {
        /// The column.
        column: String,
        /// The source's name for its type.
        source_type: String,
    },
    /// Nothing is mapped.
    #[error("the mapping has no fields")]
    NoFields,
}

impl MappingError {
    /// What the operator can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::MissingColumn { nearest: Some(name), .. }
            | Self::MissingKeyColumn { nearest: Some(name), .. }
            | Self::MissingExcept { nearest: Some(name), .. }
            | Self::MissingInTemplate { nearest: Some(name), .. }
            | Self::MissingFresh { nearest: Some(name), .. } => format!("did you mean `{name}`?"),
            Self::MissingColumn { nearest: None, .. }
            | Self::MissingKeyColumn { nearest: None, .. }
            | Self::MissingInTemplate { nearest: None, .. }
            | Self::MissingFresh { nearest: None, .. } => "add the column to the model or correct the name".to_owned(),
            Self::MissingExcept { nearest: None, .. } => "remove it from `except`".to_owned(),
            Self::BadName { .. } => r"dots nest; write a literal dot as `\.`".to_owned(),
            Self::Duplicate { .. } => "remove one of the two".to_owned(),
            Self::LeafAndParent { .. } => "rename one of the two fields".to_owned(),
            Self::MatchNotMapped { field } => format!("map `{field}` in the sync's fields"),
            Self::ImpossibleCast { .. } => "convert the column in the model's SQL".to_owned(),
            Self::BadTemplate { .. } => "write columns of the model as `{{ column }}`".to_owned(),
            Self::NoList { .. } => "give it a JSON, array or text column".to_owned(),
            Self::MissingKey { .. } => "give the key by reference: `hash = { hmac-sha256 = { env = … } }`".to_owned(),
            Self::FreshKind { .. } => "name a timestamp or date column".to_owned(),
            Self::NoFields => "map at least one field".to_owned(),
        }
    }
}
