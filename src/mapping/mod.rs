//! Model columns to records: fields, constants, templates, casts, lists, hashes, null policy. Pure: no I/O, no clock.
//!
//! [`Mapping::compile`] binds a sync's fields to the columns of a schema once; [`Mapping::encode`] then writes one row's
//! record in canonical form, without allocating for plain columns. [`to_json`] and [`to_text`] turn the records that are
//! sent into the forms that destinations take.

mod bound;
mod cast;
mod compile;
mod encode;
mod error;
mod form;
mod freshness;
mod hash;
mod json;
mod lists;
mod normalise;
mod parse;
mod stored;
mod template;
#[cfg(test)]
mod tests;
mod text;

pub use compile::{KeyPart, Mapping};
pub use encode::InvalidField;
pub use error::MappingError;
pub use form::Form;
pub use freshness::FreshColumn;
pub use hash::{HashKey, HashKeys};
pub use json::{to_json, value_to_json};
pub use template::{Template, TemplateError, template_value};
pub use text::{text_len, to_text};
