//! Masks row values in a vendor's words, before they are sealed and stored.

use crate::{
    model::{RecordRef, Value},
    proof::{Rule, is_broken},
};

const MASK: &str = "***";
/// A value that is cut short by the vendor is still recognised by a beginning of this many characters.
const BEGINNING: usize = 8;

/// The vendor's words with every value of the record, and everything that looks like an e-mail address, masked.
///
/// Values of one or two characters are masked only where they stand as a word of their own, so that the message stays
/// readable. Letter case does not matter. Texts of JSON fields are masked member by member.
pub fn mask(text: &str, record: RecordRef<'_>, extra: &[&str]) -> String {
    if is_broken(Rule::WordsMasked) {
        return text.to_owned();
    }
    let mut secrets: Vec<Vec<char>> = Vec::new();
    for (_, value) in record.fields() {
        collect(value, &mut secrets);
    }
    secrets.extend(extra.iter().map(|text| folded(text)));
    secrets.retain(|secret| !secret.is_empty());
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.dedup();
    let original: Vec<char> = text.chars().collect();
    let mut hidden = vec![false; original.len()];
    let folded_text: Vec<char> = original.iter().map(|&c| fold(c)).collect();
    for secret in &secrets {
        hide(secret, &folded_text, &mut hidden);
    }
    hide_addresses(&original, &mut hidden);
    render(&original, &hidden)
}

fn collect(value: Value<'_>, secrets: &mut Vec<Vec<char>>) {
    match value {
        Value::Null | Value::Bool(_) | Value::Unrepresentable(_) => {}
        Value::Json(text) => {
            secrets.push(folded(text));
            if let Ok(json) = serde_json::from_str::<serde_json::Value>(text) {
                collect_json(&json, secrets);
            }
        }
        Value::Text(text) => {
            secrets.push(folded(text));
            secrets.push(folded(text.trim()));
            // As it stands inside a JSON string.
            let quoted = serde_json::Value::from(text).to_string();
            secrets.push(folded(quoted.trim_matches('"')));
        }
        Value::Int(_)
        | Value::Decimal(_)
        | Value::Float(_)
        | Value::Bytes(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Timestamp(_)
        | Value::LocalTimestamp(_)
        | Value::Uuid(_) => secrets.push(folded(&crate::mapping::to_text(value))),
    }
}

fn collect_json(json: &serde_json::Value, secrets: &mut Vec<Vec<char>>) {
    match json {
        serde_json::Value::Null | serde_json::Value::Bool(_) => {}
        serde_json::Value::Number(number) => secrets.push(folded(&number.to_string())),
        serde_json::Value::String(text) => secrets.push(folded(text)),
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect_json(item, secrets)),
        serde_json::Value::Object(members) => members.values().for_each(|item| collect_json(item, secrets)),
    }
}

fn fold(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

fn folded(text: &str) -> Vec<char> {
    text.chars().map(fold).collect()
}

/// Hides each place where the secret, or a long enough beginning of it, stands.
fn hide(secret: &[char], text: &[char], hidden: &mut [bool]) {
    let least = if secret.len() > BEGINNING { BEGINNING } else { secret.len() };
    let mut at = 0;
    while at + least <= text.len() {
        let common = text[at..].iter().zip(secret).take_while(|(a, b)| a == b).count();
        if common >= least && (secret.len() > 2 || stands_alone(text, at, secret.len())) {
            hidden[at..at + common].fill(true);
            at += common;
        } else {
            at += 1;
        }
    }
}

fn stands_alone(text: &[char], at: usize, len: usize) -> bool {
    let word = |index: Option<usize>| index.and_then(|i| text.get(i)).is_some_and(|c| c.is_alphanumeric());
    !word(at.checked_sub(1)) && !word(Some(at + len))
}

/// Hides everything around an `@` that can be part of an address: it may be another record's.
fn hide_addresses(text: &[char], hidden: &mut [bool]) {
    let part = |c: &char| c.is_alphanumeric() || "._%+-".contains(*c);
    for at in (0..text.len()).filter(|&at| text[at] == '@') {
        let before = text[..at].iter().rev().take_while(|c| part(c)).count();
        let after = text[at + 1..].iter().take_while(|c| part(c)).count();
        if before > 0 && after > 0 {
            hidden[at - before..=at + after].fill(true);
        }
    }
}

fn render(text: &[char], hidden: &[bool]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut masked = false;
    for (&c, &hide) in text.iter().zip(hidden) {
        match (hide, masked) {
            (true, false) => out.push_str(MASK),
            (true, true) => {}
            // Control characters could forge a log or table line.
            (false, _) => out.push(if c.is_control() { ' ' } else { c }),
        }
        masked = hide;
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::model::encode_field;

    use super::*;

    fn record(fields: &[(&str, Value<'_>)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in fields {
            encode_field(name, *value, &mut out).unwrap();
        }
        out
    }

    #[test]
    fn values_are_masked_whatever_their_case_or_form() {
        let bytes = record(&[
            ("age", Value::Int(7)),
            ("email", Value::Text("Ann.Canary@Example.com")),
            ("mrr", Value::Decimal("1234.5")),
            ("tags", Value::Json(r#"{"a":["vip-canary"]}"#)),
        ]);
        let text = "email ann.canary@example.com (7 of 17), mrr 1234.5, tag VIP-canary; other bob@x.io holds id 99";
        let masked = mask(text, RecordRef::new(&bytes), &["key-1"]);
        assert_eq!(masked, "email *** (*** of 17), mrr ***, tag ***; other *** holds id 99");
    }

    #[test]
    fn a_value_cut_short_by_the_vendor_is_masked() {
        let bytes = record(&[("note", Value::Text("a very long private note about a customer"))]);
        assert_eq!(mask("bad value: a very long priv...", RecordRef::new(&bytes), &[]), "bad value: ***...");
    }

    #[test]
    fn short_values_are_masked_as_words_and_longer_ones_anywhere() {
        let masked = |value: &str, text: &str| {
            let bytes = record(&[("f", Value::Text(value))]);
            mask(text, RecordRef::new(&bytes), &[])
        };
        assert_eq!(masked("ab", "ab abc cab, ab"), "*** abc cab, ***");
        assert_eq!(masked("abc", "abc abcd dabc"), "*** ***d d***");
        // Eight characters are all of it; of nine they are a beginning.
        assert_eq!(masked("abcdefgh", "abcdefg abcdefgh"), "abcdefg ***");
        assert_eq!(masked("abcdefghi", "abcdefg abcdefgh-"), "abcdefg ***-");
    }

    #[test]
    fn what_only_looks_like_an_address_is_not_masked() {
        for text in ["see @here", "to@ nobody", "a @ b", "@"] {
            assert_eq!(mask(text, RecordRef::new(&[]), &[]), text);
        }
        assert_eq!(mask("<a.b+c@x-y.io>", RecordRef::new(&[]), &[]), "<***>");
    }

    proptest! {
        #[test]
        fn no_value_survives(value in "[a-zA-Z0-9é ]{3,30}", before in ".{0,20}", after in ".{0,20}") {
            let bytes = record(&[("f", Value::Text(&value))]);
            let masked = mask(&format!("{before}{value}{after}"), RecordRef::new(&bytes), &[]);
            prop_assert!(!masked.contains(&value) || value.trim().is_empty() || MASK.contains(&value));
        }
    }
}
