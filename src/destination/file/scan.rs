//! How much of a file that a crash left is whole.

use std::io::{self, BufRead};

use super::encode::OPERATION;
use crate::model::spec::FileFormat;

/// The whole beginning of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Whole {
    /// Its length in bytes.
    pub(super) bytes: u64,
    /// Its rows, a header not counted.
    pub(super) rows: u64,
}

/// The format of a file that begins so, as [`super::encode`] writes it; `None` where that does not tell.
pub(super) fn format_of(start: &[u8]) -> Option<FileFormat> {
    let is = |first: &str| start.starts_with(first.as_bytes());
    if is(&format!("{{\"{OPERATION}\":\"")) || is("{\"idempotency_key\":\"") {
        return Some(FileFormat::JsonLines);
    }
    is(&format!("{OPERATION},")).then_some(FileFormat::Csv)
}

/// Reads a file up to the end of its last whole row. What was synced is whole, so only what was never reported delivered
/// is left out: a row cut off, or blocks that were never written and read as NUL.
///
/// # Errors
/// When it cannot be read.
pub(super) fn whole(mut reader: impl BufRead, format: FileFormat) -> io::Result<Whole> {
    let (mut at, mut quoted, mut lines, mut bytes) = (0_u64, false, 0_u64, 0_u64);
    'file: loop {
        let chunk = reader.fill_buf()?;
        let length = chunk.len();
        if length == 0 {
            break;
        }
        for byte in chunk {
            at += 1;
            match byte {
                0 => break 'file,
                // A quote within a value is doubled, so it leaves the state as it was.
                b'"' if format == FileFormat::Csv => quoted = !quoted,
                b'\n' if !quoted => {
                    lines += 1;
                    bytes = at;
                }
                _ => {}
            }
        }
        reader.consume(length);
    }
    let header = u64::from(format == FileFormat::Csv);
    Ok(Whole { bytes, rows: lines.saturating_sub(header) })
}
