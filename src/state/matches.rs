//! Match values, sealed before they are stored: those of a batch together, because each seal by itself costs more than
//! all else that is written of its row.

use zeroize::Zeroizing;

use super::{IntentMember, MatchValue, StateError, keyring::Keyring};
use crate::model::{put_bytes, put_varint, take_bytes, take_varint};

/// What the values of a batch are sealed for.
const TOGETHER: &str = "matches";
/// What a value is sealed for by itself.
const ALONE: &str = "match";

/// Seals the values in clear of a batch; `None` when it has none.
///
/// # Errors
/// When the system gives no randomness.
pub(super) fn seal(keyring: &Keyring, members: &[IntentMember]) -> Result<Option<Box<[u8]>>, StateError> {
    let mut plain = Zeroizing::new(Vec::new());
    for (place, member) in members.iter().enumerate() {
        if let Some(MatchValue::Clear(value)) = &member.match_value {
            put_varint(place, &mut plain);
            put_bytes(value.as_bytes(), &mut plain);
        }
    }
    if plain.is_empty() { Ok(None) } else { keyring.seal(TOGETHER, &plain).map(Some) }
}

/// Gives the members of a batch the values back that [`seal`] has sealed.
///
/// # Errors
/// When they do not open with the installation key, or belong to other members.
pub(super) fn unseal(keyring: &Keyring, sealed: &[u8], members: &mut [IntentMember]) -> Result<(), StateError> {
    let plain = Zeroizing::new(keyring.unseal(TOGETHER, sealed)?);
    let mut rest = plain.as_slice();
    while !rest.is_empty() {
        let (place, value) = take(&mut rest).ok_or_else(damaged)?;
        members.get_mut(place).ok_or_else(damaged)?.match_value = Some(MatchValue::Clear(value));
    }
    Ok(())
}

fn take(bytes: &mut &[u8]) -> Option<(usize, Box<str>)> {
    let place = take_varint(bytes)?;
    let value = std::str::from_utf8(take_bytes(bytes)?).ok()?;
    Some((place, value.into()))
}

fn damaged() -> StateError {
    StateError::damaged("the sealed match values of a batch are not its own")
}

/// A value as a dirty mark keeps it.
///
/// # Errors
/// When the system gives no randomness.
pub(super) fn alone(keyring: &Keyring, value: Option<MatchValue>) -> Result<Option<Box<[u8]>>, StateError> {
    match value {
        None => Ok(None),
        Some(MatchValue::Sealed(sealed)) => Ok(Some(sealed)),
        Some(MatchValue::Clear(value)) => keyring.seal(ALONE, value.as_bytes()).map(Some),
    }
}
