//! What of `syncs` stands twice. A changed byte in a table's column is nothing that SQLite would notice, and all fingerprints
//! hang on a sync's random id: with another one every row counts as changed, with another `resync_through` as dirty.

use sqlx::SqliteConnection;

use super::failed;
use crate::{
    proof::{Rule, is_broken},
    state::{StateError, store::Write},
};

/// The copy, as it should be.
const OF_TABLE: &str =
    "select cast(coalesce(group_concat(id || ' ' || hex(uuid) || ' ' || coalesce(resync_through, '-')
                               || ' ' || resync_open || ' ' || suspect, ',' order by id), '') as blob) from syncs";

/// Whether a write changes what stands twice.
pub(super) const fn concerns(write: &Write) -> bool {
    matches!(write, Write::InsertSync { .. } | Write::Resync { .. } | Write::EndResync { .. } | Write::Trust { .. })
}

/// Makes the copy anew.
pub(super) async fn renew(c: &mut SqliteConnection) -> Result<(), StateError> {
    let copy: Vec<u8> = sqlx::query_scalar(OF_TABLE).fetch_one(&mut *c).await.map_err(failed("copy the syncs"))?;
    let sql =
        "insert into meta (name, value) values ('syncs', ?) on conflict (name) do update set value = excluded.value";
    sqlx::query(sql).bind(copy).execute(c).await.map(drop).map_err(failed("copy the syncs"))
}

/// Compares; a state of an earlier version has no copy yet.
///
/// # Errors
/// [`StateError::Damaged`] when table and copy differ.
pub(super) async fn check(c: &mut SqliteConnection) -> Result<(), StateError> {
    let read = "compare the syncs with their copy";
    let copy: Option<Vec<u8>> = sqlx::query_scalar("select value from meta where name = 'syncs'")
        .fetch_optional(&mut *c)
        .await
        .map_err(failed(read))?;
    let table: Vec<u8> = sqlx::query_scalar(OF_TABLE).fetch_one(&mut *c).await.map_err(failed(read))?;
    match copy {
        Some(copy) if copy != table && !is_broken(Rule::IdsTwice) => {
            Err(StateError::damaged("the ids of the syncs differ from their copy"))
        }
        Some(_) => Ok(()),
        None => renew(c).await,
    }
}
