//! One block of a file: a header, then lz4. The checksum is of the compressed bytes.

use std::{fs::File, hash::Hasher as _, io, os::unix::fs::FileExt as _};

use siphasher::sip::SipHasher13;

use super::SpoolError;

/// Length of the raw and of the compressed bytes (4 bytes each), and the checksum (8).
pub(super) const HEADER: usize = 16;

/// No block is larger: one record of the largest size and its neighbours fit with room to spare.
const MAX_BLOCK: usize = 64 << 20;

fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish()
}

/// Packs raw bytes into `out`: header and compressed bytes.
pub(super) fn pack(raw: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.clear();
    out.resize(HEADER + lz4_flex::block::get_maximum_output_size(raw.len()), 0);
    let (header, body) = out.split_at_mut(HEADER);
    let packed = lz4_flex::block::compress_into(raw, body).map_err(io::Error::other)?;
    let too_large = |_| io::Error::other("block too large");
    let sum = checksum(body.get(..packed).unwrap_or_default());
    let (lengths, sum_bytes) = header.split_at_mut(8);
    let (raw_length, packed_length) = lengths.split_at_mut(4);
    raw_length.copy_from_slice(&u32::try_from(raw.len()).map_err(too_large)?.to_le_bytes());
    packed_length.copy_from_slice(&u32::try_from(packed).map_err(too_large)?.to_le_bytes());
    sum_bytes.copy_from_slice(&sum.to_le_bytes());
    out.truncate(HEADER + packed);
    Ok(())
}

/// Reads the block at `offset` into `raw`; gives the offset behind it. `packed` is scratch space.
pub(super) fn read(file: &File, offset: u64, packed: &mut Vec<u8>, raw: &mut Vec<u8>) -> Result<u64, SpoolError> {
    let mut header = [0_u8; HEADER];
    file.read_exact_at(&mut header, offset).map_err(|source| SpoolError::Read { source })?;
    let damaged = || SpoolError::Damaged { offset };
    let (raw_length, packed_length, sum) = parse(&header).ok_or_else(damaged)?;
    packed.resize(packed_length, 0);
    file.read_exact_at(packed, offset + HEADER as u64).map_err(|source| SpoolError::Read { source })?;
    if checksum(packed) != sum {
        return Err(damaged());
    }
    raw.resize(raw_length, 0);
    match lz4_flex::block::decompress_into(packed, raw) {
        Ok(length) if length == raw_length => Ok(offset + (HEADER + packed_length) as u64),
        Ok(_) | Err(_) => Err(damaged()),
    }
}

fn parse(header: &[u8; HEADER]) -> Option<(usize, usize, u64)> {
    let (lengths, sum) = header.split_at(8);
    let (raw, packed) = lengths.split_at(4);
    let length = |bytes: &[u8]| usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok();
    let (raw, packed) = (length(raw)?, length(packed)?);
    let sum = u64::from_le_bytes(sum.try_into().ok()?);
    (raw <= MAX_BLOCK && packed <= 2 * MAX_BLOCK).then_some((raw, packed, sum))
}
