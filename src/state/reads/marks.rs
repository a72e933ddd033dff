//! Reads of marks, guarded sets, approvals and accounts.

use super::Row;
use crate::{
    model::{IntentId, Key, RunId, SyncId, Timestamp},
    state::{
        GuardedSet, NullShare, StateError,
        store::{ApprovalRow, DirtyTotals, Keyed, KeyedAfter, KeyedRow, StateStore},
    },
};

const NO_INTENT: IntentId = IntentId { batch: 0, position: 0 };

impl dyn StateStore + '_ {
    pub(crate) async fn keyed(
        &self,
        table: Keyed,
        sync: SyncId,
        after: Option<&KeyedAfter>,
        limit: u32,
    ) -> Result<Vec<KeyedRow>, StateError> {
        let (key, intent) = after.map_or((&[][..], NO_INTENT), |(key, intent)| (key.as_bytes(), *intent));
        let (sync, key, limit) = (sync.0.into(), key.into(), limit.into());
        match table {
            Keyed::Dirty => {
                let sql = "select key, data, batch, position from dirty where sync = $1
                              and (key, batch, position) > ($2, $3, $4) order by key, batch, position limit $5";
                self.all(sql, &[sync, key, intent.batch.into(), intent.position.into(), limit], dirty).await
            }
            Keyed::Rejected => {
                let sql = "select key, data from rejected where sync = $1 and key > $2 order by key limit $3";
                self.all(sql, &[sync, key, limit], |row| keyed(row, NO_INTENT)).await
            }
            Keyed::Quiet => {
                let sql = "select key, data from quiet where sync = $1 and key > $2 order by key limit $3";
                self.all(sql, &[sync, key, limit], |row| keyed(row, NO_INTENT)).await
            }
        }
    }

    pub(crate) async fn keyed_at(&self, table: Keyed, sync: SyncId, key: &Key) -> Result<Vec<KeyedRow>, StateError> {
        let args = [sync.0.into(), key.as_bytes().into()];
        match table {
            Keyed::Dirty => {
                let sql = "select key, data, batch, position from dirty
                            where sync = $1 and key = $2 order by batch, position";
                self.all(sql, &args, dirty).await
            }
            Keyed::Rejected => {
                let sql = "select key, data from rejected where sync = $1 and key = $2";
                self.all(sql, &args, |row| keyed(row, NO_INTENT)).await
            }
            Keyed::Quiet => {
                let sql = "select key, data from quiet where sync = $1 and key = $2";
                self.all(sql, &args, |row| keyed(row, NO_INTENT)).await
            }
        }
    }

    /// Keys with more than `marks` dirty marks.
    pub(crate) async fn crowded(&self, sync: SyncId, marks: u32) -> Result<Vec<Key>, StateError> {
        let sql = "select key from dirty where sync = $1 group by key having count(*) > $2 order by key";
        self.all(sql, &[sync.0.into(), marks.into()], |row| row.get(0).map(Key::from_encoded)).await
    }

    pub(crate) async fn totals(&self, sync: SyncId) -> Result<DirtyTotals, StateError> {
        let sql = "select (select count(distinct key) from dirty where sync = $1),
                          (select min(since) from dirty where sync = $1),
                          (select count(*) from rejected where sync = $1)";
        let totals = |row: &Row| {
            Ok(DirtyTotals { dirty: row.unsigned(0)?, oldest: row.maybe_time(1)?, rejected: row.unsigned(2)? })
        };
        self.one(sql, &[sync.0.into()], totals).await
    }

    pub(crate) async fn invalid(&self, sync: SyncId, limit: u32) -> Result<Vec<Vec<u8>>, StateError> {
        let sql = "select data from invalid where sync = $1 order by position limit $2";
        self.all(sql, &[sync.0.into(), limit.into()], |row| row.get(0)).await
    }

    /// By field.
    pub(crate) async fn null_shares(&self, sync: SyncId) -> Result<Vec<NullShare>, StateError> {
        let sql = "select field, read, nulls from null_shares where sync = $1 order by field";
        let share = |row: &Row| Ok(NullShare { field: row.get(0)?, read: row.unsigned(1)?, nulls: row.unsigned(2)? });
        self.all(sql, &[sync.0.into()], share).await
    }

    /// The sync of a run's guarded set.
    pub(crate) async fn guarded_sync(&self, run: RunId) -> Result<Option<SyncId>, StateError> {
        let sql = "select sync from guarded_sets where run = $1";
        self.first(sql, &[run.0.into()], |row| row.get(0).map(SyncId)).await
    }

    pub(crate) async fn guarded(&self, run: RunId, after: i64, limit: u32) -> Result<Vec<(i64, Vec<u8>)>, StateError> {
        let sql = "select id, data from guarded where run = $1 and id > $2 order by id limit $3";
        self.all(sql, &[run.0.into(), after.into(), limit.into()], |row| Ok((row.get(0)?, row.get(1)?))).await
    }

    pub(crate) async fn approval(&self, sync: SyncId) -> Result<Option<ApprovalRow>, StateError> {
        let sql = "select a.run, g.first_run, g.of_invalid, g.entries, a.expires_at
                     from approvals a join guarded_sets g on g.run = a.run where a.sync = $1";
        self.first(sql, &[sync.0.into()], approval).await
    }

    pub(crate) async fn removals_since(&self, sync: SyncId, since: Timestamp) -> Result<u64, StateError> {
        let sql = "select cast(coalesce(sum(removals), 0) as bigint) from removal_log where sync = $1 and at >= $2";
        self.one(sql, &[sync.0.into(), since.as_micros().into()], |row| row.unsigned(0)).await
    }

    pub(crate) async fn grants(&self, account: &str) -> Result<Option<Vec<u8>>, StateError> {
        let sql = "select grants from accounts where account = $1";
        Ok(self.first(sql, &[account.into()], |row| row.get(0)).await?.flatten())
    }

    /// Generation and sealed token.
    pub(crate) async fn token(&self, account: &str) -> Result<Option<(i64, Vec<u8>)>, StateError> {
        let sql = "select generation, data from tokens where account = $1";
        self.first(sql, &[account.into()], |row| Ok((row.get(0)?, row.get(1)?))).await
    }

    pub(crate) async fn identity(&self, credential: [u8; 8]) -> Result<Option<String>, StateError> {
        let sql = "select account from identities where credential = $1";
        self.first(sql, &[credential.as_slice().into()], |row| row.get(0)).await
    }
}

fn dirty(row: &Row) -> Result<KeyedRow, sqlx::Error> {
    keyed(row, IntentId { batch: row.get(2)?, position: row.unsigned(3)? })
}

fn keyed(row: &Row, intent: IntentId) -> Result<KeyedRow, sqlx::Error> {
    Ok(KeyedRow { key: Key::from_encoded(row.get(0)?), intent, data: row.get(1)? })
}

fn approval(row: &Row) -> Result<ApprovalRow, sqlx::Error> {
    Ok(ApprovalRow {
        run: RunId(row.get(0)?),
        set: GuardedSet { first_run: row.get(1)?, of_invalid: row.get(2)? },
        rows: row.unsigned(3)?,
        expires_at: row.time(4)?,
    })
}
