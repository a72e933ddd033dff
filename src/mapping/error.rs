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
            | Self::MissingExcept { nearest: Some(name), .. } => format!("did you mean `{name}`?"),
            Self::MissingColumn { nearest: None, .. } | Self::MissingKeyColumn { nearest: None, .. } => {
                "add the column to the model or correct the name".to_owned()
            }
            Self::MissingExcept { nearest: None, .. } => "remove it from `except`".to_owned(),
            Self::BadName { .. } => r"dots nest; write a literal dot as `\.`".to_owned(),
            Self::Duplicate { .. } => "remove one of the two".to_owned(),
            Self::LeafAndParent { .. } => "rename one of the two fields".to_owned(),
            Self::MatchNotMapped { field } => format!("map `{field}` in the sync's fields"),
            Self::ImpossibleCast { .. } => "convert the column in the model's SQL".to_owned(),
            Self::NoFields => "map at least one field".to_owned(),
        }
    }
}
