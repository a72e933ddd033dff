//! Rows to lines.

use serde_json::{Map, Value as Json};

use crate::{
    destination::{Batch, Unacceptable},
    mapping::{text_len, to_json, to_text},
    model::{RecordRef, Value, spec::FileFormat},
};

/// What a row says is done with its record: the first column of a CSV file, a member of a JSON line.
pub(super) const OPERATION: &str = "operation";

/// The head of a file: the header of a CSV file.
///
/// # Errors
/// When it cannot be written.
pub(super) fn head(format: FileFormat, fields: &[String]) -> Result<Vec<u8>, csv::Error> {
    match format {
        FileFormat::JsonLines => Ok(Vec::new()),
        FileFormat::Csv => {
            let header = std::iter::once(OPERATION).chain(fields.iter().map(String::as_str));
            csv_lines(std::iter::once(header))
        }
    }
}

/// The lines of a batch, one for each row.
///
/// # Errors
/// When they cannot be written.
pub(super) fn lines(format: FileFormat, batch: &Batch) -> Result<Vec<u8>, csv::Error> {
    match format {
        FileFormat::JsonLines => Ok(json_lines(batch)),
        FileFormat::Csv => csv_lines(batch.rows.iter().map(|row| {
            let record = RecordRef::new(&row.record);
            let cell = move |name: &String| record.get(name).map(to_text).unwrap_or_default().into_owned();
            std::iter::once(batch.operation.name().to_owned()).chain(batch.fields.iter().map(cell))
        })),
    }
}

fn json_lines(batch: &Batch) -> Vec<u8> {
    let mut out = Vec::new();
    for row in &batch.rows {
        let mut line = Map::new();
        line.insert(OPERATION.to_owned(), batch.operation.name().into());
        if let Some(key) = row.idempotency_key {
            line.insert("idempotency_key".to_owned(), format!("{key:032x}").into());
        }
        line.insert("record".to_owned(), Json::Object(to_json(RecordRef::new(&row.record))));
        out.extend_from_slice(Json::Object(line).to_string().as_bytes());
        out.push(b'\n');
    }
    out
}

fn csv_lines<L, C>(lines: impl Iterator<Item = L>) -> Result<Vec<u8>, csv::Error>
where
    L: IntoIterator<Item = C>,
    C: AsRef<[u8]>,
{
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    for line in lines {
        writer.write_record(line)?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

/// Whether a record can be written at all.
///
/// # Errors
/// The field and the reason, without the value.
pub(super) fn accepts(format: FileFormat, record: RecordRef<'_>) -> Result<(), Unacceptable> {
    let reason = |name: &str, value: Value<'_>| match (format, value) {
        (_, Value::Bytes(_)) => Some("raw bytes are no text; cast the column to text"),
        (FileFormat::Csv, _) if name == OPERATION => Some("a CSV file has a column of this name of its own"),
        (FileFormat::Csv, Value::Text(text)) if text.contains('\0') => Some("a CSV file cannot hold a NUL character"),
        _ => None,
    };
    let wrong = record.fields().find_map(|(name, value)| Some((name, reason(name, value)?)));
    wrong.map_or(Ok(()), |(name, reason)| Err(Unacceptable { field: name.to_owned(), reason: reason.to_owned() }))
}

/// Bytes that a record takes at most.
pub(super) fn line_len(format: FileFormat, record: RecordRef<'_>) -> usize {
    /// Operation, idempotency key and the words around them.
    const AROUND: usize = 128;
    match format {
        FileFormat::JsonLines => Json::Object(to_json(record)).to_string().len() + AROUND,
        // Each quote may be doubled.
        FileFormat::Csv => record.fields().map(|(_, value)| 2 * text_len(value) + 3).sum::<usize>() + AROUND,
    }
}
