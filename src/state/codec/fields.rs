//! Small building blocks of packed payloads.

use crate::model::{Fingerprint, Timestamp, put_bytes, put_varint, take_bytes, take_varint};

pub(crate) fn put_u64(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    take_array(bytes).map(u64::from_le_bytes)
}

pub(crate) fn put_i64(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn take_i64(bytes: &mut &[u8]) -> Option<i64> {
    take_array(bytes).map(i64::from_le_bytes)
}

pub(crate) fn take_u8(bytes: &mut &[u8]) -> Option<u8> {
    take_array::<1>(bytes).map(|[byte]| byte)
}

pub(crate) fn take_array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = bytes.split_first_chunk::<N>()?;
    *bytes = tail;
    Some(*head)
}

pub(crate) fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    take_varint(bytes).and_then(|value| u32::try_from(value).ok())
}

pub(crate) fn put_u32(value: u32, out: &mut Vec<u8>) {
    put_varint(value as usize, out);
}

pub(crate) fn take_text(bytes: &mut &[u8]) -> Option<String> {
    String::from_utf8(take_bytes(bytes)?.to_vec()).ok()
}

/// A presence byte, then the value.
pub(crate) fn put_option<T>(value: Option<T>, out: &mut Vec<u8>, put: impl FnOnce(T, &mut Vec<u8>)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(value, out);
    }
}

pub(crate) fn take_option<T>(bytes: &mut &[u8], take: impl FnOnce(&mut &[u8]) -> Option<T>) -> Option<Option<T>> {
    match take_u8(bytes)? {
        0 => Some(None),
        1 => take(bytes).map(Some),
        _ => None,
    }
}

pub(crate) fn put_time(value: Option<Timestamp>, out: &mut Vec<u8>) {
    put_option(value, out, |at, out| put_i64(at.as_micros(), out));
}

pub(crate) fn take_time(bytes: &mut &[u8]) -> Option<Option<Timestamp>> {
    take_option(bytes, |bytes| take_i64(bytes).map(Timestamp::from_micros))
}

pub(crate) fn put_fingerprint(value: Option<Fingerprint>, out: &mut Vec<u8>) {
    put_option(value, out, |value, out| out.extend_from_slice(&value.to_bytes()));
}

pub(crate) fn take_fingerprint(bytes: &mut &[u8]) -> Option<Option<Fingerprint>> {
    take_option(bytes, |bytes| take_array(bytes).map(Fingerprint::from_bytes))
}

pub(crate) fn put_id(value: Option<&str>, out: &mut Vec<u8>) {
    put_option(value, out, |value, out| put_bytes(value.as_bytes(), out));
}

pub(crate) fn take_id(bytes: &mut &[u8]) -> Option<Option<Box<str>>> {
    take_option(bytes, |bytes| take_text(bytes).map(String::into_boxed_str))
}

pub(crate) fn put_blob(value: Option<&[u8]>, out: &mut Vec<u8>) {
    put_option(value, out, put_bytes);
}

pub(crate) fn take_blob(bytes: &mut &[u8]) -> Option<Option<Box<[u8]>>> {
    take_option(bytes, |bytes| take_bytes(bytes).map(Into::into))
}
