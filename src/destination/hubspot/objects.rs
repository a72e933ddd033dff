//! Names of objects: which ones stand in a path as they are, and which ones the account has to be asked for.

use std::collections::HashSet;

use serde::Deserialize;

use crate::{destination::answer::Answer, wire::Fault};

/// Objects that every account has, by the names that their paths have
/// (<https://developers.hubspot.com/docs/guides/crm/understanding-the-crm>). One that is missing here costs a request.
const STANDARD: [&str; 30] = [
    "appointments",
    "calls",
    "carts",
    "commerce_payments",
    "communications",
    "companies",
    "contacts",
    "courses",
    "deals",
    "discounts",
    "emails",
    "feedback_submissions",
    "fees",
    "goal_targets",
    "invoices",
    "leads",
    "line_items",
    "listings",
    "meetings",
    "notes",
    "orders",
    "postal_mail",
    "products",
    "quotes",
    "services",
    "subscriptions",
    "tasks",
    "taxes",
    "tickets",
    "users",
];

/// Whether a name is an object type id (`0-1`, `2-123456`) or that of an object that every account has.
pub(super) fn is_known(object: &str) -> bool {
    let named = |name: &str| STANDARD.contains(&name);
    let singular = || named(&format!("{object}s")) || object == "company";
    is_type_id(object) || named(object) || singular()
}

/// Whether a name is one of a custom object that paths take: `2-123456` or `p12345_cars`.
pub(super) fn is_custom(object: &str) -> bool {
    (is_type_id(object) && object.starts_with("2-")) || is_qualified(object)
}

/// Whether a name has to be asked for: the plain name of a custom object.
pub(super) fn is_plain(object: &str) -> bool {
    !is_known(object) && !is_qualified(object)
}

fn is_type_id(object: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    object.split_once('-').is_some_and(|(kind, number)| digits(kind) && digits(number))
}

/// `p12345_cars`: the account, then the name.
fn is_qualified(object: &str) -> bool {
    let parts = object.strip_prefix('p').and_then(|rest| rest.split_once('_'));
    parts.is_some_and(|(account, name)| account.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty())
}

#[derive(Deserialize)]
struct Schemas {
    results: Vec<Schema>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Schema {
    #[serde(default)]
    name: String,
    object_type_id: Option<String>,
    fully_qualified_name: Option<String>,
    #[serde(default)]
    required_properties: HashSet<String>,
}

/// The object type id of a custom object, of the answer to `GET /crm/v3/schemas`. `None` when no object has the name.
///
/// # Errors
/// A protocol fault when the answer cannot be read.
pub(super) fn type_id(object: &str, answer: &Answer<'_>) -> Result<Option<String>, Fault> {
    let schemas: Schemas = answer.object()?;
    let found = schemas.results.into_iter().find(|schema| schema.name == object);
    let name = found.and_then(|schema| schema.object_type_id.or(schema.fully_qualified_name));
    Ok(name.filter(|name| super::config::is_object_name(name)))
}

/// The properties that every record needs, of the answer to `GET /crm/v3/schemas/{objectType}`.
///
/// # Errors
/// A protocol fault when the answer cannot be read.
pub(super) fn required(answer: &Answer<'_>) -> Result<HashSet<String>, Fault> {
    answer.object::<Schema>().map(|schema| schema.required_properties)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        for known in ["contacts", "contact", "0-1", "2-123456", "company", "line_items"] {
            assert!(is_known(known) && !is_plain(known), "{known}");
        }
        for custom in ["2-123456", "p12345_cars", "p_cars"] {
            assert!(is_custom(custom) && !is_plain(custom), "{custom}");
        }
        for plain in ["cars", "pets_owned", "p12345", "2-", "parts"] {
            assert!(is_plain(plain) && !is_custom(plain), "{plain}");
        }
    }
}
