//! Match values, sealed before they are stored: those of a batch together, because each seal by itself costs more than
//! all else that is written of its row.

use zeroize::Zeroizing;

use super::{IntentMember, MatchValue, StateError, keyring::Keyring};
use crate::model::{SyncId, put_bytes, put_varint, take_bytes, take_varint};

/// What a value is sealed for by itself.
const ALONE: &str = "match";
/// Bytes of the longest number.
const MOST_VARINT: usize = 10;

/// What the values of a batch are sealed for: they open nowhere else.
fn together((sync, batch): (SyncId, i64)) -> String {
    format!("matches of batch {batch} of sync {}", sync.0)
}

/// Seals the values in clear of a batch; `None` when it has none.
///
/// # Errors
/// When the system gives no randomness.
pub(super) fn seal(
    keyring: &Keyring,
    batch: (SyncId, i64),
    members: &[IntentMember],
) -> Result<Option<Box<[u8]>>, StateError> {
    let clear = || {
        members.iter().enumerate().filter_map(|(place, member)| match &member.match_value {
            Some(MatchValue::Clear(value)) => Some((place, value)),
            Some(MatchValue::Sealed(_)) | None => None,
        })
    };
    // Grown at once, so that nothing is left in the memory it would have outgrown.
    let most = clear().map(|(_, value)| value.len() + 2 * MOST_VARINT).sum();
    let mut plain = Zeroizing::new(Vec::with_capacity(most));
    for (place, value) in clear() {
        put_varint(place, &mut plain);
        put_bytes(value.as_bytes(), &mut plain);
    }
    if plain.is_empty() { Ok(None) } else { keyring.seal(&together(batch), &plain).map(Some) }
}

/// Gives the members of a batch the values back that [`seal`] has sealed.
///
/// # Errors
/// When they do not open with the installation key, or are another batch's.
pub(super) fn unseal(
    keyring: &Keyring,
    batch: (SyncId, i64),
    sealed: &[u8],
    members: &mut [IntentMember],
) -> Result<(), StateError> {
    let plain = Zeroizing::new(keyring.unseal(&together(batch), sealed)?);
    let mut rest = plain.as_slice();
    while !rest.is_empty() {
        let (place, value) = take(&mut rest).ok_or_else(damaged)?;
        let member = members.get_mut(place).filter(|member| member.match_value.is_none()).ok_or_else(damaged)?;
        member.match_value = Some(MatchValue::Clear(value));
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
