//! The bytes of plan rows, standings, claims and annotations in spools. They live as long as the run, so there is no version.

use super::{LocalEnd, PlanRow};
use crate::{
    diff::{Annotation, Claim, Group, Planned, Reform, Standing, Was},
    model::{
        BatchKey, ChangeKind, Entry, Fingerprint, IntentId, Key, Operation, RunId, Timestamp, put_bytes, put_varint,
        take_bytes, take_varint,
    },
};

const RESEND: u8 = 1;
const COUNTS: u8 = 2;
const ID_FROM_MARK: u8 = 4;
const NO_OPERATION: u8 = u8::MAX;

pub(super) fn put_row(row: &PlanRow, out: &mut Vec<u8>) {
    put_key(&row.key, out);
    put_planned(&row.planned, out);
    put_option(row.fingerprint, out, |fingerprint, out| out.extend_from_slice(&fingerprint.to_bytes()));
    put_hashes(&row.claims, out);
    put_bytes(&row.record, out);
    put_option(row.entry.as_ref(), out, put_entry);
    put_varint(row.rejected_before as usize, out);
    out.push(u8::from(row.remapped));
    put_place(row.ambiguous_at.map(Timestamp::as_micros), out);
    put_place(row.cursor, out);
    put_varint(row.refusals as usize, out);
}

pub(super) fn take_row(mut bytes: &[u8]) -> Option<PlanRow> {
    let bytes = &mut bytes;
    Some(PlanRow {
        key: take_key(bytes)?,
        planned: take_planned(bytes)?,
        fingerprint: take_option(bytes, |bytes| take_array(bytes).map(Fingerprint::from_bytes))?,
        claims: take_hashes(bytes)?,
        record: take_bytes(bytes)?.to_vec(),
        entry: take_option(bytes, take_entry)?,
        rejected_before: u32::try_from(take_varint(bytes)?).ok()?,
        remapped: take_u8(bytes)? != 0,
        ambiguous_at: take_place(bytes)?.map(Timestamp::from_micros),
        cursor: take_place(bytes)?,
        refusals: take_varint(bytes)? as u64,
    })
}

pub(super) fn put_local(end: &LocalEnd, out: &mut Vec<u8>) {
    put_key(&end.key, out);
    put_intents(&end.loaded, out);
    put_option(end.entry.as_ref(), out, put_entry);
}

pub(super) fn take_local(mut bytes: &[u8]) -> Option<LocalEnd> {
    let bytes = &mut bytes;
    let (key, loaded) = (take_key(bytes)?, take_list(bytes, take_intent)?);
    Some(LocalEnd { key, loaded, entry: take_option(bytes, take_entry)? })
}

fn put_intents(intents: &[IntentId], out: &mut Vec<u8>) {
    put_varint(intents.len(), out);
    intents.iter().for_each(|intent| put_intent(*intent, out));
}

fn put_entry(entry: &Entry, out: &mut Vec<u8>) {
    out.extend_from_slice(&entry.fingerprint.to_bytes());
    out.extend_from_slice(&[entry.encoding, u8::from(entry.tombstone)]);
    out.extend_from_slice(&entry.run.0.to_le_bytes());
    put_option(entry.match_hash, out, |hash, out| out.extend_from_slice(&hash.to_le_bytes()));
    put_id(&entry.record_id, out);
    put_place(entry.cursor, out);
}

fn take_entry(bytes: &mut &[u8]) -> Option<Entry> {
    let fingerprint = Fingerprint::from_bytes(take_array(bytes)?);
    let (encoding, tombstone) = (take_u8(bytes)?, take_u8(bytes)? != 0);
    Some(Entry {
        fingerprint,
        encoding,
        tombstone,
        run: RunId(i64::from_le_bytes(take_array(bytes)?)),
        match_hash: take_option(bytes, |bytes| take_array(bytes).map(u64::from_le_bytes))?,
        record_id: take_id(bytes)?,
        cursor: take_place(bytes)?,
    })
}

fn put_place(place: Option<i64>, out: &mut Vec<u8>) {
    put_option(place, out, |place, out| out.extend_from_slice(&place.to_le_bytes()));
}

fn take_place(bytes: &mut &[u8]) -> Option<Option<i64>> {
    take_option(bytes, |bytes| take_array(bytes).map(i64::from_le_bytes))
}

fn put_planned(planned: &Planned, out: &mut Vec<u8>) {
    out.push(planned.kind.code());
    out.push(planned.operation.map_or(NO_OPERATION, Operation::code));
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    out.push(
        flag(planned.resend, RESEND)
            | flag(planned.counts_for_guard, COUNTS)
            | flag(planned.id_from_mark, ID_FROM_MARK),
    );
    put_intents(&planned.loaded, out);
    put_id(&planned.record_id, out);
    put_varint(planned.find_first.len(), out);
    for sealed in &planned.find_first {
        put_bytes(sealed, out);
    }
    put_option(planned.unanswered, out, |print, out| out.extend_from_slice(&print.to_bytes()));
    put_option(planned.reform, out, |reform, out| {
        put_intent(reform.intent, out);
        out.extend_from_slice(&reform.key.idempotency.to_le_bytes());
        out.extend_from_slice(&reform.key.members.to_le_bytes());
    });
}

fn take_planned(bytes: &mut &[u8]) -> Option<Planned> {
    let kind = ChangeKind::from_code(take_u8(bytes)?)?;
    let operation = match take_u8(bytes)? {
        NO_OPERATION => None,
        code => Some(Operation::from_code(code)?),
    };
    let flags = take_u8(bytes)?;
    Some(Planned {
        kind,
        operation,
        resend: flags & RESEND != 0,
        counts_for_guard: flags & COUNTS != 0,
        id_from_mark: flags & ID_FROM_MARK != 0,
        loaded: take_list(bytes, take_intent)?,
        record_id: take_id(bytes)?,
        find_first: take_list(bytes, |bytes| take_bytes(bytes).map(Into::into))?,
        unanswered: take_option(bytes, |bytes| take_array(bytes).map(Fingerprint::from_bytes))?,
        reform: take_option(bytes, |bytes| {
            let intent = take_intent(bytes)?;
            let idempotency = u128::from_le_bytes(take_array(bytes)?);
            let members = u32::from_le_bytes(take_array(bytes)?);
            Some(Reform { intent, key: BatchKey { idempotency, members } })
        })?,
    })
}

pub(super) fn put_standing(key: &Key, standing: &Standing, out: &mut Vec<u8>) {
    put_key(key, out);
    match standing {
        Standing::Planned { kind, claims, has_record } => {
            out.extend_from_slice(&[0, kind.code(), u8::from(*has_record)]);
            put_hashes(claims, out);
        }
        Standing::Waiting { claims, has_record, refused } => {
            out.extend_from_slice(&[1, u8::from(*has_record), u8::from(*refused)]);
            put_hashes(claims, out);
        }
        Standing::Invalid => out.push(2),
        Standing::Removal { record_id } => {
            out.push(3);
            put_id(record_id, out);
        }
        Standing::WaitingRemoval => out.push(4),
        Standing::Absent { record_id } => {
            out.push(5);
            put_id(record_id, out);
        }
    }
}

pub(super) fn take_standing(mut bytes: &[u8]) -> Option<(Key, Standing)> {
    let bytes = &mut bytes;
    let key = take_key(bytes)?;
    let standing = match take_u8(bytes)? {
        0 => {
            let kind = ChangeKind::from_code(take_u8(bytes)?)?;
            Standing::Planned { kind, has_record: take_u8(bytes)? != 0, claims: take_hashes(bytes)? }
        }
        1 => {
            let (has_record, refused) = (take_u8(bytes)? != 0, take_u8(bytes)? != 0);
            Standing::Waiting { has_record, refused, claims: take_hashes(bytes)? }
        }
        2 => Standing::Invalid,
        3 => Standing::Removal { record_id: take_id(bytes)? },
        4 => Standing::WaitingRemoval,
        5 => Standing::Absent { record_id: take_id(bytes)? },
        _ => return None,
    };
    Some((key, standing))
}

/// A claim sorts by hash, then by key.
pub(super) fn put_claim(hash: u64, claim: &Claim, out: &mut Vec<u8>) {
    out.extend_from_slice(&hash.to_be_bytes());
    out.extend_from_slice(claim.key.as_bytes());
    out.push(was_code(claim.was));
    out.push(u8::from(claim.has_record));
}

pub(super) fn take_claim(mut bytes: &[u8]) -> Option<(u64, Claim)> {
    let hash = u64::from_be_bytes(take_array(&mut bytes)?);
    let (rest, [was, has_record]) = bytes.split_last_chunk::<2>()?;
    Some((hash, Claim { key: Key::from_encoded(rest), was: was_of(*was)?, has_record: *has_record != 0 }))
}

/// A group with the key of its owner; sorts by that key.
pub(super) fn put_question(owner: &Key, group: &Group, out: &mut Vec<u8>) {
    put_sorting_key(owner, out);
    out.extend_from_slice(&group.hash.to_be_bytes());
    put_varint(group.claims.len(), out);
    for claim in &group.claims {
        let mut bytes = Vec::new();
        put_claim(group.hash, claim, &mut bytes);
        put_bytes(&bytes, out);
    }
}

pub(super) fn take_question(mut bytes: &[u8]) -> Option<(Key, Group)> {
    let bytes = &mut bytes;
    let owner = take_sorting_key(bytes)?;
    let hash = u64::from_be_bytes(take_array(bytes)?);
    let claims = take_list(bytes, |bytes| Some(take_claim(take_bytes(bytes)?)?.1))?;
    Some((owner, Group { hash, claims, owner: None }))
}

/// An annotation; sorts by its key.
pub(super) fn put_annotation(key: &Key, annotation: &Annotation, out: &mut Vec<u8>) {
    put_sorting_key(key, out);
    match annotation {
        Annotation::Invalid { was, others } => {
            out.extend_from_slice(&[0, was_code(*was)]);
            put_varint(others.len(), out);
            others.iter().for_each(|other| put_key(other, out));
        }
        Annotation::Waits { other } => {
            out.push(1);
            put_key(other, out);
        }
        Annotation::TakesOver { from, record_id } => {
            out.push(2);
            put_key(from, out);
            put_id(record_id, out);
        }
        Annotation::TakenOver { by } => {
            out.push(3);
            put_key(by, out);
        }
        Annotation::After { owner, strict } => {
            out.extend_from_slice(&[4, u8::from(*strict)]);
            put_key(owner, out);
        }
    }
}

pub(super) fn take_annotation(mut bytes: &[u8]) -> Option<(Key, Annotation)> {
    let bytes = &mut bytes;
    let key = take_sorting_key(bytes)?;
    let annotation = match take_u8(bytes)? {
        0 => Annotation::Invalid { was: was_of(take_u8(bytes)?)?, others: take_list(bytes, take_key)? },
        1 => Annotation::Waits { other: take_key(bytes)? },
        2 => Annotation::TakesOver { from: take_key(bytes)?, record_id: take_id(bytes)? },
        3 => Annotation::TakenOver { by: take_key(bytes)? },
        4 => Annotation::After { strict: take_u8(bytes)? != 0, owner: take_key(bytes)? },
        _ => return None,
    };
    Some((key, annotation))
}

const fn was_code(was: Was) -> u8 {
    match was {
        Was::Unchanged => 10,
        Was::Waiting => 11,
        Was::Planned(kind) => kind.code(),
    }
}

fn was_of(code: u8) -> Option<Was> {
    match code {
        10 => Some(Was::Unchanged),
        11 => Some(Was::Waiting),
        code => ChangeKind::from_code(code).map(Was::Planned),
    }
}

fn put_key(key: &Key, out: &mut Vec<u8>) {
    put_bytes(key.as_bytes(), out);
}

fn take_key(bytes: &mut &[u8]) -> Option<Key> {
    take_bytes(bytes).map(Key::from_encoded)
}

/// A key in a form that sorts as the key does whatever follows it: zero bytes are escaped, two zero bytes end it.
fn put_sorting_key(key: &Key, out: &mut Vec<u8>) {
    for &byte in key.as_bytes() {
        out.push(byte);
        if byte == 0 {
            out.push(0xFF);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

fn take_sorting_key(bytes: &mut &[u8]) -> Option<Key> {
    let mut key = Vec::new();
    loop {
        match (take_u8(bytes)?, bytes.first()) {
            (0, Some(0xFF)) => {
                take_u8(bytes)?;
                key.push(0);
            }
            (0, Some(0)) => {
                take_u8(bytes)?;
                return Some(Key::from_encoded(&key));
            }
            (0, _) => return None,
            (byte, _) => key.push(byte),
        }
    }
}

fn put_hashes(hashes: &[u64], out: &mut Vec<u8>) {
    put_varint(hashes.len(), out);
    hashes.iter().for_each(|hash| out.extend_from_slice(&hash.to_le_bytes()));
}

fn take_hashes(bytes: &mut &[u8]) -> Option<Vec<u64>> {
    take_list(bytes, |bytes| take_array(bytes).map(u64::from_le_bytes))
}

fn put_intent(intent: IntentId, out: &mut Vec<u8>) {
    out.extend_from_slice(&intent.batch.to_le_bytes());
    out.extend_from_slice(&intent.position.to_le_bytes());
}

fn take_intent(bytes: &mut &[u8]) -> Option<IntentId> {
    let batch = i64::from_le_bytes(take_array(bytes)?);
    Some(IntentId { batch, position: u32::from_le_bytes(take_array(bytes)?) })
}

fn put_id(id: &Option<Box<str>>, out: &mut Vec<u8>) {
    put_option(id.as_deref(), out, |id, out| put_bytes(id.as_bytes(), out));
}

fn take_id(bytes: &mut &[u8]) -> Option<Option<Box<str>>> {
    take_option(bytes, |bytes| std::str::from_utf8(take_bytes(bytes)?).ok().map(Into::into))
}

fn put_option<T>(value: Option<T>, out: &mut Vec<u8>, put: impl FnOnce(T, &mut Vec<u8>)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(value, out);
    }
}

fn take_option<T>(bytes: &mut &[u8], take: impl FnOnce(&mut &[u8]) -> Option<T>) -> Option<Option<T>> {
    if take_u8(bytes)? == 0 { Some(None) } else { take(bytes).map(Some) }
}

fn take_list<T>(bytes: &mut &[u8], mut take: impl FnMut(&mut &[u8]) -> Option<T>) -> Option<Vec<T>> {
    let length = take_varint(bytes)?;
    (0..length).map(|_| take(bytes)).collect()
}

fn take_u8(bytes: &mut &[u8]) -> Option<u8> {
    let (&first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(first)
}

fn take_array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}
