//! Whether a value fits its property. Messages echo the value, as HubSpot's do.

use serde_json::{Value, json};

use super::schema::{Kind, Property};

/// HubSpot's limit for a text value, in characters.
const MAX_TEXT: usize = 65_536;
const DAY_MS: i64 = 86_400_000;

/// A value that does not fit: HubSpot's error code and message.
pub(super) type Misfit = (&'static str, String);

/// Checks one value. An empty one clears the property and always fits.
pub(super) fn check(property: &Property, value: &str) -> Result<(), Misfit> {
    if property.read_only {
        let message = format!("\"{}\" is a read only property; its value cannot be set.", property.name);
        return Err(("READ_ONLY_VALUE", message));
    }
    if value.is_empty() {
        return Ok(());
    }
    let verdict = |fits: bool, code, message: &dyn Fn() -> String| if fits { Ok(()) } else { Err((code, message())) };
    match &property.kind {
        Kind::String => verdict(fits_text(value), "INVALID_LENGTH", &|| format!("{value} is too long.")),
        Kind::Number => verdict(is_number(value), "INVALID_DOUBLE", &|| format!("{value} was not a valid number.")),
        Kind::Date => verdict(is_date(value), "INVALID_DATE", &|| format!("{value} was not a valid date.")),
        Kind::Datetime => verdict(is_datetime(value), "INVALID_LONG", &|| format!("{value} was not a valid long.")),
        Kind::Email => verdict(is_email(value), "INVALID_EMAIL", &|| format!("Email address {value} is invalid")),
        Kind::Bool => verdict(matches!(value, "true" | "false"), "INVALID_OPTION", &|| not_allowed(value, &[])),
        Kind::One(options) => {
            verdict(options.iter().any(|option| option == value), "INVALID_OPTION", &|| not_allowed(value, options))
        }
        Kind::Many(options) => {
            let fits = value.split(';').all(|part| part.is_empty() || options.iter().any(|option| option == part));
            verdict(fits, "INVALID_OPTION", &|| not_allowed(value, options))
        }
    }
}

/// One element of the list in HubSpot's message.
pub(super) fn described(name: &str, (code, message): &Misfit, portal: u64) -> Value {
    json!({
        "isValid": false, "message": message, "error": code, "name": name,
        "localizedErrorMessage": message, "portalId": portal,
    })
}

/// The complaint about a name that the object does not have.
pub(super) fn unknown(name: &str) -> Misfit {
    ("PROPERTY_DOESNT_EXIST", format!("Property \"{name}\" does not exist"))
}

fn not_allowed(value: &str, options: &[String]) -> String {
    let options = if options.is_empty() { "true, false".to_owned() } else { options.join(", ") };
    format!("{value} was not one of the allowed options: [{options}]")
}

fn fits_text(value: &str) -> bool {
    value.len() <= MAX_TEXT || value.chars().count() <= MAX_TEXT
}

fn is_number(value: &str) -> bool {
    value.bytes().any(|byte| byte.is_ascii_digit())
        && value.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'))
        && value.parse::<f64>().is_ok_and(f64::is_finite)
}

fn is_date(value: &str) -> bool {
    let civil = value.len() == 10 && value.parse::<jiff::civil::Date>().is_ok();
    civil || value.parse::<i64>().is_ok_and(|millis| millis % DAY_MS == 0)
}

fn is_datetime(value: &str) -> bool {
    value.parse::<i64>().is_ok() || value.parse::<jiff::Timestamp>().is_ok() || is_date(value)
}

fn is_email(value: &str) -> bool {
    let value = value.trim();
    let Some((local, domain)) = value.split_once('@') else { return false };
    let plain = |part: &str| !part.is_empty() && !part.contains(['@', ' ', ',', ';', '<', '>']);
    plain(local) && plain(domain) && domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.')
}
