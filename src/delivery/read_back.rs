//! Looks for the records of inserts whose answer was lost, before they are sent again: a second insert of one key could be
//! a second record.

use std::time::Duration;

use super::{
    attempt::{Fate, RowEnd, end},
    context::Context,
    item::Item,
};
use crate::{
    destination::{Lookup, LookupBy, LookupKind},
    mapping::to_text,
    model::{Operation, RecordRef},
};

/// Settles the rows of a part whose record is found and takes them out of it. False when nothing is left to send, also
/// because the vendor could not be asked: then the next run asks again.
pub(super) async fn read_back(context: &Context, items: &[Item], rows: &mut Vec<usize>, ends: &mut [RowEnd]) -> bool {
    let in_doubt: Vec<(usize, String)> = rows.iter().filter_map(|&row| doubtful(context, items, ends, row)).collect();
    if in_doubt.is_empty() {
        return true;
    }
    let Some(field) = context.match_fields.first().cloned() else { return true };
    let values = in_doubt.iter().map(|(_, value)| value.clone()).collect();
    let lookup = Lookup { object: context.object.clone(), by: LookupBy::Match { field, values }, fields: Vec::new() };
    let asking = context.destination.lookup(&context.account, &lookup);
    // A lookup changes nothing, so a stop need not wait for it.
    let asked = context.shutdown.within(Duration::ZERO, asking).await;
    let Some(Ok(found)) = asked.map(|asked| asked.inspect_err(|fault| context.account.heed(fault))) else {
        return false;
    };
    for found in found {
        let Some((row, _)) = in_doubt.get(found.position) else { continue };
        end(ends, *row, Fate::Delivered { record_id: Some(found.record_id.into_boxed_str()) });
        rows.retain(|other| other != row);
    }
    !rows.is_empty()
}

/// A row with an attempt of this run that may have made its record, and the match value to find it by.
fn doubtful(context: &Context, items: &[Item], ends: &[RowEnd], row: usize) -> Option<(usize, String)> {
    let item = items.get(row).filter(|item| item.operation == Operation::Insert)?;
    ends.get(row).filter(|end| end.ambiguous_at.is_some())?;
    if context.destination.capabilities(&context.object).lookup == LookupKind::None {
        return None;
    }
    let value = RecordRef::new(&item.record).get(context.match_fields.first()?)?;
    Some((row, to_text(value).into_owned()))
}
