//! Printing: tables and sentences, or one JSON document.
#![allow(clippy::print_stderr, reason = "a stdout that cannot be written is told on stderr")]

use std::{
    io::{IsTerminal as _, Write as _},
    time::Duration,
};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

/// Writes one JSON document and a newline.
///
/// # Errors
/// When stdout cannot be written or the value cannot be serialised.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut document = serde_json::to_vec_pretty(value)?;
    document.push(b'\n');
    Ok(write(&document)?)
}

/// Writes to stdout. A reader that wants no more, such as `head`, is no error.
///
/// # Errors
/// When stdout cannot be written for another reason.
pub(super) fn write(bytes: &[u8]) -> std::io::Result<()> {
    match std::io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A table without lines, as narrow as its content; numbers right-aligned.
pub(super) fn table(headers: &[&str], numeric: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(headers);
    for &column in numeric {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Prints a table with trailing blanks removed, so that output can be compared.
pub(super) fn print_table(table: &Table) {
    for line in table.to_string().lines() {
        self::line(line.trim_end());
    }
}

/// Prints one line.
pub(super) fn line(text: impl AsRef<str>) {
    self::text(&format!("{}\n", text.as_ref()));
}

/// Prints lines as they are. What the command did stands, so a full disk behind stdout is only told.
pub(super) fn text(text: &str) {
    if let Err(error) = write(text.as_bytes()) {
        eprintln!("the result cannot be printed: {error}");
    }
}

/// A number with thousands separators: `1,234,567`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A duration of milliseconds for people.
pub(super) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ if ms % 60_000 < 1_000 => format!("{} min", ms / 60_000),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

/// Milliseconds, saturating.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whether progress may be drawn.
pub(super) fn interactive() -> bool {
    std::io::stderr().is_terminal()
}

/// A heading in bold on a terminal.
pub(super) fn bold(text: &str) -> String {
    if std::io::stdout().is_terminal() { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(duration(1_250), "1.2 s");
        assert_eq!((duration(61_000), duration(900_000)), ("1 min 1 s".to_owned(), "15 min".to_owned()));
    }
}
