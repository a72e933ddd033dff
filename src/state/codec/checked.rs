//! The frame of every blob: version, checksum over place and payload, payload. A blob in another row's place is damage.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use crate::{
    proof::{Rule, is_broken},
    state::StateError,
};

/// Version of the packed forms. A reader refuses any other.
const VERSION: u8 = 1;
const HEADER: usize = 9;

/// Frames a payload that belongs at `place`.
pub(crate) fn wrap(what: &'static str, place: &[&[u8]], payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&checksum(what, place, payload));
    bytes.extend_from_slice(payload);
    bytes
}

/// The payload of a framed blob.
pub(crate) fn unwrap<'a>(what: &'static str, place: &[&[u8]], bytes: &'a [u8]) -> Result<&'a [u8], StateError> {
    let (&version, rest) = bytes.split_first().ok_or_else(|| damaged(what))?;
    let (sum, payload) = rest.split_first_chunk::<8>().ok_or_else(|| damaged(what))?;
    let is_sound = *sum == checksum(what, place, payload) || is_broken(Rule::Checksum);
    if version != VERSION || !is_sound {
        return Err(damaged(what));
    }
    Ok(payload)
}

/// A payload that passed its checksum but cannot be read, or a row that contradicts another.
pub(crate) fn damaged(what: &'static str) -> StateError {
    StateError::damaged(format!("a row of `{what}` fails its checksum"))
}

fn checksum(what: &str, place: &[&[u8]], payload: &[u8]) -> [u8; 8] {
    let mut hasher = SipHasher13::new();
    for part in std::iter::once(what.as_bytes()).chain(place.iter().copied()) {
        hasher.write(&(part.len() as u64).to_le_bytes());
        hasher.write(part);
    }
    hasher.write(&[VERSION]);
    hasher.write(payload);
    hasher.finish().to_le_bytes()
}
