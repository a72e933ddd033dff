//! HubSpot's error objects: of a whole answer, or in the `errors` of a batch answer.
//!
//! Read leniently: an unusual error must not make the rest of the answer unreadable.

use serde_json::Value;

use crate::{
    destination::{Rejection, answer::safe_code},
    model::RecordRef,
    wire::VendorText,
};

/// `category` of an id that leads nowhere.
pub(super) const OBJECT_NOT_FOUND: &str = "OBJECT_NOT_FOUND";

/// One error object, whatever its shape.
#[derive(Clone, Copy)]
pub(super) struct Problem<'a>(pub(super) &'a Value);

impl<'a> Problem<'a> {
    fn text(self, key: &str) -> Option<&'a str> {
        self.0.get(key)?.as_str()
    }

    /// The kind of error, empty when it names none.
    pub(super) fn category(self) -> &'a str {
        self.text("category").or_else(|| self.text("errorType")).unwrap_or_default()
    }

    pub(super) fn message(self) -> &'a str {
        self.text("message").unwrap_or_default()
    }

    /// Which limit a 429 is about: `DAILY`, `TEN_SECONDLY_ROLLING`, `SECONDLY`.
    pub(super) fn policy(self) -> &'a str {
        self.text("policyName").unwrap_or_default()
    }

    /// The errors inside.
    pub(super) fn inner(self) -> impl Iterator<Item = Problem<'a>> {
        self.0.get("errors").and_then(Value::as_array).into_iter().flatten().map(Problem)
    }

    /// Texts under a key of the context, which is a list or a single text.
    pub(super) fn context(self, key: &str) -> impl Iterator<Item = &'a str> {
        let value = self.0.get("context").and_then(|context| context.get(key));
        let list = value.and_then(Value::as_array).map_or(&[] as &[Value], Vec::as_slice);
        list.iter().filter_map(Value::as_str).chain(value.and_then(Value::as_str))
    }

    /// The elements of the list that HubSpot writes into the message of a refused value:
    /// `Property values were not valid: [{"isValid":false,"error":"INVALID_EMAIL","name":"email","message":…}]`.
    fn embedded(self) -> Vec<Value> {
        let list = self.message().find(": [{").and_then(|at| self.message().get(at + 2..));
        list.and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default()
    }

    /// The words for a person: those of the list inside, where there is one.
    fn words(self) -> String {
        let embedded = self.embedded();
        let inner: Vec<_> = embedded.iter().filter_map(|value| value.get("message")?.as_str()).collect();
        if inner.is_empty() { self.message().to_owned() } else { inner.join("; ") }
    }

    /// The code of the first detail, and the property it is about.
    fn detail(self) -> (Option<String>, Option<String>) {
        let own = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        if let Some(first) = self.embedded().first() {
            return (own(first, "error"), own(first, "name"));
        }
        let Some(first) = self.inner().next() else { return (None, self.property()) };
        (own(first.0, "code"), first.property().or_else(|| self.property()))
    }

    fn property(self) -> Option<String> {
        self.context("propertyName").next().or_else(|| self.text("in")).map(str::to_owned)
    }

    /// True when the value belongs to another record, which another row of the run may change.
    fn is_conflict(self, detail: Option<&str>) -> bool {
        self.category() == "CONFLICT"
            || detail == Some("CONFLICTING_UNIQUE_VALUE")
            || self.message().contains("already has that value")
    }

    /// True when a create is refused because a record has the match value: `Contact already exists. Existing ID: 51`, or
    /// `Cannot set PropertyValueCoordinates{propertyName=erp_id, value=…}. 51 already has that value.`
    pub(super) fn is_about_existing(self, id_property: &str) -> bool {
        let (detail, field) = self.detail();
        let message = self.message();
        let names_match = field.as_deref() == Some(id_property)
            || message.contains(&format!("propertyName={id_property},"))
            || (id_property == "email" && message.contains("already exists"));
        names_match && (self.is_conflict(detail.as_deref()) || message.contains("already exists"))
    }

    /// The record that stands in the way.
    pub(super) fn existing_id(self) -> Option<Box<str>> {
        const BEFORE: &str = "Existing ID: ";
        let message = self.message();
        let rest = message.get(message.find(BEFORE)? + BEFORE.len()..)?;
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        rest.get(..digits).filter(|id| !id.is_empty()).map(Into::into)
    }

    /// The code to show: category and detail, `VALIDATION_ERROR/INVALID_EMAIL`.
    pub(super) fn code(self, record: Option<RecordRef<'_>>) -> Option<String> {
        // HubSpot's codes are written in capitals; anything else may be a value.
        let safe = |code: &str| safe_code(code, record).filter(|code| !code.bytes().any(|b| b.is_ascii_lowercase()));
        let category = safe(self.category());
        let detail = self.detail().0.and_then(|detail| safe(&detail));
        match (category, detail) {
            (Some(category), Some(detail)) if category != detail => Some(format!("{category}/{detail}")),
            (category, detail) => category.or(detail),
        }
    }

    /// This error as the refusal of a row. A field is named only if the record has it, so no value passes for a name.
    pub(super) fn rejection(self, record: RecordRef<'_>) -> Rejection {
        let (detail, field) = self.detail();
        Rejection {
            code: self.code(Some(record)).unwrap_or_else(|| "UNNAMED_ERROR".to_owned()),
            text: VendorText::new(&self.words()),
            field: field.filter(|field| record.get(field).is_some()),
            conflict: self.is_conflict(detail.as_deref()),
        }
    }

    /// The scopes that a 403 says are missing, as `MISSING_SCOPES (a, b)`.
    pub(super) fn missing_scopes(self) -> Option<String> {
        let keys = ["requiredGranularScopes", "requiredScopes", "missingScopes"];
        let among = |problem: Problem<'a>| keys.into_iter().flat_map(move |key| problem.context(key));
        let all = among(self).chain(self.inner().flat_map(among));
        let mut scopes: Vec<_> = all.filter_map(|scope| safe_code(scope, None)).take(8).collect();
        scopes.dedup();
        (!scopes.is_empty()).then(|| format!("MISSING_SCOPES ({})", scopes.join(", ")))
    }
}
