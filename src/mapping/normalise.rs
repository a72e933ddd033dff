//! The forms in which ad platforms hash identifiers of people, so that both sides hash the same text.
//!
//! Sources:
//! - Google: developers.google.com/data-manager/api/devguides/concepts/formatting ("Format user data");
//! - Meta: developers.facebook.com/docs/marketing-api/conversions-api/parameters/customer-information-parameters, with
//!   the golden vectors that the tests use;
//! - TikTok and LinkedIn hash e-mail addresses in lower case and phone numbers in E.164 too: `email` and `phone`.

use std::borrow::Cow;

use super::cast::CastProblem;
use crate::model::spec::Normalise;

/// Digits of the shortest number that is taken for one with a country code.
const LEAST_DIGITS: usize = 8;
/// Most digits of an international number (ITU-T E.164, section 6.1).
const MOST_DIGITS: usize = 15;

/// Brings a text into form. An empty result means that there is nothing to hash.
pub(super) fn normalise(rule: Normalise, text: &str) -> Result<Cow<'_, str>, CastProblem> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(Cow::Borrowed(""));
    }
    Ok(match rule {
        Normalise::Email => email(trimmed)?.into(),
        Normalise::EmailGoogle => google(email(trimmed)?)?.into(),
        Normalise::Phone => format!("+{}", phone(trimmed)?).into(),
        Normalise::PhoneMeta => phone(trimmed)?.into(),
        Normalise::Name => trimmed.to_lowercase().into(),
        Normalise::NameMeta => kept(trimmed, |c| c.is_alphanumeric() || c == ' ').trim().to_owned().into(),
        Normalise::CityMeta => kept(trimmed, char::is_alphanumeric).into(),
        Normalise::Country => country(trimmed)?.to_ascii_uppercase().into(),
        Normalise::CountryMeta => country(trimmed)?.to_ascii_lowercase().into(),
        Normalise::PostalCode => trimmed.into(),
        Normalise::PostalCodeMeta => postal_code_meta(trimmed).into(),
    })
}

/// The kept characters in lower case. Letters keep their accents, and combining marks stay with their letter.
fn kept(text: &str, keep: impl Fn(char) -> bool) -> String {
    let combining = |c: char| matches!(c, '\u{300}'..='\u{36f}');
    text.to_lowercase().chars().filter(|c| keep(*c) || combining(*c)).collect()
}

fn email(text: &str) -> Result<String, CastProblem> {
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
    let whole = plain.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    let one = plain.matches('@').count() == 1;
    if whole && one { Ok(plain) } else { Err(form("an e-mail address")) }
}

/// Gmail ignores dots in the local part and what follows a `+`.
fn google(address: String) -> Result<String, CastProblem> {
    match address.split_once('@') {
        Some((local, domain @ ("gmail.com" | "googlemail.com"))) => {
            let local = local.split('+').next().unwrap_or_default();
            email(&format!("{}@{domain}", local.replace('.', "")))
        }
        Some(_) | None => Ok(address),
    }
}

/// The digits of a number with its country code, which must begin with `+` or `00`.
fn phone(text: &str) -> Result<String, CastProblem> {
    const WANTED: &str = "a phone number with a country code (`+` or `00`)";
    let digits = text.strip_prefix('+').or_else(|| text.strip_prefix("00")).ok_or_else(|| form(WANTED))?;
    let separator = |c: char| c.is_whitespace() || matches!(c, '-' | '.' | '/' | '(' | ')' | '\u{2010}'..='\u{2015}');
    let digits: String = digits.chars().filter(|c| !separator(*c)).collect();
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit())
        && (LEAST_DIGITS..=MOST_DIGITS).contains(&digits.len())
        && !digits.starts_with('0');
    if is_number { Ok(digits) } else { Err(form(WANTED)) }
}

fn country(text: &str) -> Result<&str, CastProblem> {
    let is_code = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_code { Ok(text) } else { Err(form("a two-letter country code (ISO 3166-1)")) }
}

fn postal_code_meta(text: &str) -> String {
    let digits = |part: &str, count: usize| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('-') {
        // ZIP+4 of the United States.
        Some((zip, four)) if digits(zip, 5) && digits(four, 4) => zip.to_owned(),
        Some(_) | None => kept(text, char::is_alphanumeric),
    }
}

const fn form(wanted: &'static str) -> CastProblem {
    CastProblem::Form { from: "text", wanted }
}
