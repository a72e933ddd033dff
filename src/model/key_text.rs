//! Keys from their text, as `rejected` prints them and operators give them back.

use super::{Key, KeyKind, MAX_KEY_BYTES, Value, encode_part};

/// Why a text is no key of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyTextProblem {
    /// A part is not of its column's kind, or there are too many or too few parts.
    #[error("it does not have the parts and kinds of the key columns")]
    Shape,
    /// A text column holds `, `, so that the parts can be read in several ways.
    #[error("its parts can be read in several ways")]
    Ambiguous,
    /// The encoded key is longer than [`MAX_KEY_BYTES`].
    #[error("it is longer than {MAX_KEY_BYTES} bytes")]
    TooLong,
}

impl Key {
    /// The key with this text: the inverse of [`Key::to_text`] for key columns of these kinds.
    ///
    /// # Errors
    /// When the text is no such key, or that of several.
    pub fn from_text(text: &str, kinds: &[KeyKind]) -> Result<Self, KeyTextProblem> {
        let pieces: Vec<&str> = text.split(", ").collect();
        let mut found = Vec::new();
        read(&pieces, kinds, 0, &mut Vec::new(), &mut found);
        match found.as_slice() {
            [] => Err(KeyTextProblem::Shape),
            [key] if key.len() > MAX_KEY_BYTES => Err(KeyTextProblem::TooLong),
            [key] => Ok(Self::from_encoded(key)),
            [_, ..] => Err(KeyTextProblem::Ambiguous),
        }
    }
}

/// Gives each column one or more of the pieces, in every way that fits; two ways are enough to know.
fn read(pieces: &[&str], kinds: &[KeyKind], column: usize, before: &mut Vec<u8>, found: &mut Vec<Vec<u8>>) {
    let Some((&kind, kinds)) = kinds.split_first() else {
        if pieces.is_empty() {
            found.push(before.clone());
        }
        return;
    };
    for taken in 1..=pieces.len() {
        let Some((head, tail)) = pieces.split_at_checked(taken) else { return };
        let start = before.len();
        if found.len() < 2 && encode(&head.join(", "), kind, column, before).is_some() {
            read(tail, kinds, column + 1, before, found);
        }
        before.truncate(start);
    }
}

fn encode(text: &str, kind: KeyKind, column: usize, out: &mut Vec<u8>) -> Option<()> {
    let bytes;
    let value = match kind {
        KeyKind::Integer => Value::Int(text.parse().ok()?),
        KeyKind::Text => Value::Text(text),
        KeyKind::Bool => Value::Bool(text.parse().ok()?),
        KeyKind::Uuid => Value::Uuid(unhex(&text.replace('-', ""))?.try_into().ok()?),
        KeyKind::Date => Value::Date(i32::try_from(midnight(text)? / 86_400).ok()?),
        KeyKind::Timestamp => Value::Timestamp(text.parse::<jiff::Timestamp>().ok()?.as_microsecond()),
        KeyKind::Bytes => {
            bytes = unhex(text.strip_prefix("\\x")?)?;
            Value::Bytes(&bytes)
        }
    };
    encode_part(value, kind, column, out).ok()
}

/// Seconds from 1970 to the beginning of this day.
fn midnight(text: &str) -> Option<i64> {
    let date: jiff::civil::Date = text.parse().ok()?;
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    let pair = |pair: &[u32]| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        [] | [_] | [_, _, ..] => None,
    };
    digits.chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KINDS: [KeyKind; 7] = [
        KeyKind::Integer,
        KeyKind::Text,
        KeyKind::Bool,
        KeyKind::Uuid,
        KeyKind::Date,
        KeyKind::Timestamp,
        KeyKind::Bytes,
    ];

    proptest! {
        /// Every key that is printed can be given back; one that can be read in several ways is refused, not guessed.
        #[test]
        fn a_printed_key_is_read_back(
            int: i64, text in "[a-c, ]{0,8}", flag: bool, uuid: [u8; 16], day in -700_000_i32..2_900_000,
            micros in -30_000_000_000_000_000_i64..200_000_000_000_000_000, raw in prop::collection::vec(any::<u8>(), 0..6),
        ) {
            let values = [
                Value::Int(int), Value::Text(&text), Value::Bool(flag), Value::Uuid(uuid), Value::Date(day),
                Value::Timestamp(micros), Value::Bytes(&raw),
            ];
            let mut all = Vec::new();
            for (value, kind) in values.into_iter().zip(KINDS) {
                let mut one = Vec::new();
                encode_part(value, kind, 0, &mut one).unwrap();
                let one = Key::from_encoded(&one);
                prop_assert_eq!(Key::from_text(&one.to_text().unwrap(), &[kind]), Ok(one));
                encode_part(value, kind, 0, &mut all).unwrap();
            }
            let all = Key::from_encoded(&all);
            prop_assert_eq!(Key::from_text(&all.to_text().unwrap(), &KINDS), Ok(all));
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let pair = [KeyKind::Text, KeyKind::Text];
        assert_eq!(Key::from_text("a, b, c", &pair), Err(KeyTextProblem::Ambiguous));
        assert_eq!(Key::from_text("a", &pair), Err(KeyTextProblem::Shape));
        assert_eq!(Key::from_text("7, 8", &[KeyKind::Integer]), Err(KeyTextProblem::Shape));
        assert_eq!(Key::from_text("seven", &[KeyKind::Integer]), Err(KeyTextProblem::Shape));
        assert_eq!(Key::from_text(&"x".repeat(600), &[KeyKind::Text]), Err(KeyTextProblem::TooLong));
    }
}
