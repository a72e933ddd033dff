//! `numeric` from its base-10000 digits to text, never through a float.
//!
//! Format: digit count, weight of the first digit (in powers of 10000), sign, display scale, then the digits, each 16 bits
//! (`numeric_send` in `src/backend/utils/adt/numeric.c`).

use crate::model::{Unrepresentable, Value};

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;
/// Decimal places of one digit.
const PLACES: usize = 4;

/// The number as text in `out`, with as many decimals as the server would show.
pub(super) fn decode<'a>(bytes: &[u8], out: &'a mut String) -> Value<'a> {
    out.clear();
    match write(bytes, out) {
        Ok(()) => Value::Decimal(out),
        Err(reason) => Value::Unrepresentable(reason),
    }
}

fn write(bytes: &[u8], out: &mut String) -> Result<(), Unrepresentable> {
    let (&[c0, c1, w0, w1, s0, s1, d0, d1], digits) =
        bytes.split_first_chunk::<8>().ok_or(Unrepresentable::UnknownType)?;
    let count = usize::from(u16::from_be_bytes([c0, c1]));
    let weight = i32::from(i16::from_be_bytes([w0, w1]));
    let scale = usize::from(u16::from_be_bytes([d0, d1]));
    let digits = Digits { raw: digits, weight };
    match u16::from_be_bytes([s0, s1]) {
        POSITIVE => {}
        NEGATIVE => out.push('-'),
        NAN | INFINITY | MINUS_INFINITY => return Err(Unrepresentable::NotANumber),
        _ => return Err(Unrepresentable::UnknownType),
    }
    if digits.raw.len() != count * 2 || !digits.valid() {
        return Err(Unrepresentable::UnknownType);
    }
    digits.write_integer(out);
    digits.write_fraction(scale, out);
    Ok(())
}

struct Digits<'a> {
    raw: &'a [u8],
    weight: i32,
}

impl Digits<'_> {
    fn valid(&self) -> bool {
        self.raw.chunks_exact(2).all(|pair| u16::from_be_bytes([pair[0], pair[1]]) < 10_000)
    }

    /// The digit that counts 10000^`power`; digits that are not stored are zero.
    fn at(&self, power: i32) -> u16 {
        let found = usize::try_from(self.weight - power).ok().and_then(|index| self.raw.get(index * 2..index * 2 + 2));
        found.map_or(0, |pair| u16::from_be_bytes([pair[0], pair[1]]))
    }

    fn write_integer(&self, out: &mut String) {
        if self.weight < 0 {
            out.push('0');
            return;
        }
        out.push_str(itoa::Buffer::new().format(self.at(self.weight)));
        for power in (0..self.weight).rev() {
            push_padded(self.at(power), PLACES, out);
        }
    }

    fn write_fraction(&self, scale: usize, out: &mut String) {
        let (mut left, mut power) = (scale, -1);
        if left > 0 {
            out.push('.');
        }
        while left > 0 {
            let places = left.min(PLACES);
            push_padded(self.at(power), places, out);
            left -= places;
            power -= 1;
        }
    }
}

/// The first `places` of the four decimal places of a digit.
fn push_padded(digit: u16, places: usize, out: &mut String) {
    for divisor in [1_000, 100, 10, 1].into_iter().take(places) {
        out.push(char::from(b'0' + (digit / divisor % 10) as u8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(weight: i16, sign: u16, scale: u16, digits: &[u16]) -> Vec<u8> {
        let head = [digits.len() as u16, weight as u16, sign, scale];
        head.iter().chain(digits).flat_map(|word| word.to_be_bytes()).collect()
    }

    fn decoded(raw: &[u8]) -> Result<String, &'static str> {
        match decode(raw, &mut String::new()) {
            Value::Decimal(text) => Ok(text.to_owned()),
            other => Err(other.kind_name()),
        }
    }

    #[test]
    fn digits_become_text() {
        let cases = [
            (bytes(0, POSITIVE, 0, &[]), "0"),
            (bytes(0, POSITIVE, 2, &[]), "0.00"),
            (bytes(0, NEGATIVE, 2, &[1, 5000]), "-1.50"),
            (bytes(1, POSITIVE, 0, &[1]), "10000"),
            (bytes(-2, POSITIVE, 8, &[1]), "0.00000001"),
            (bytes(-1, POSITIVE, 1, &[5000]), "0.5"),
            (bytes(1, POSITIVE, 3, &[12, 3456, 7890]), "123456.789"),
        ];
        for (raw, expected) in cases {
            assert_eq!(decoded(&raw).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn specials_and_damage_are_unrepresentable() {
        for sign in [NAN, INFINITY, MINUS_INFINITY, 1] {
            assert!(decoded(&bytes(0, sign, 0, &[])).is_err());
        }
        assert!(decoded(&bytes(0, POSITIVE, 0, &[10_000])).is_err());
        assert!(decoded(&bytes(0, POSITIVE, 0, &[1, 2])[..11]).is_err());
    }
}
