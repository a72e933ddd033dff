//! Reads of syncs, runs and operator requests.

use super::{Arg, Row};
use crate::{
    model::{Fingerprint, RunId, SyncId, Timestamp},
    state::{
        FullRead, Request, RunRow, RunStatus, StateError, SyncRecord,
        store::{RunFilter, StateStore},
    },
};

impl dyn StateStore + '_ {
    pub(crate) async fn syncs(&self) -> Result<Vec<SyncRecord>, StateError> {
        let sql = "select id, name, uuid, target, mapping, previous_mapping, first_run_closed, created_at, last_ok_at,
                          invalid, paused, last_removal_at, full_read_answer, full_read_at, resync_through, resync_open,
                          suspect, cursor
                     from syncs order by name";
        self.all(sql, &[], sync).await
    }

    /// Newest first.
    pub(crate) async fn runs(&self, filter: RunFilter, limit: u32) -> Result<Vec<RunRow>, StateError> {
        let (run, sync, status) = match filter {
            RunFilter::One(run) => (Some(run.0), None, None),
            RunFilter::Last(sync) => (None, sync.map(|sync| sync.0), None),
            RunFilter::With(sync, status) => (None, Some(sync.0), Some(status.name())),
        };
        let sql = "select id, sync, started_by, status, started_at, ended_at, counts, summary, error from runs
                    where ($1 is null or id = $1) and ($2 is null or sync = $2) and ($3 is null or status = $3)
                    order by id desc limit $4";
        self.all(sql, &[Arg::Int(run), Arg::Int(sync), Arg::Text(status), limit.into()], run_row).await
    }

    /// The request of that id; `None`: all that are not finished, oldest first.
    pub(crate) async fn requests(&self, id: Option<i64>) -> Result<Vec<Request>, StateError> {
        let sql = "select id, kind, sync, args, posted_at, finished_at, result from operator_requests
                    where ($1 is null and finished_at is null) or id = $1 order by id";
        self.all(sql, &[Arg::Int(id)], request).await
    }
}

fn sync(row: &Row) -> Result<SyncRecord, sqlx::Error> {
    let uuid: Vec<u8> = row.get(2)?;
    Ok(SyncRecord {
        id: SyncId(row.get(0)?),
        name: row.get(1)?,
        uuid: uuid.try_into().map_err(|_| sqlx::Error::Decode("a sync's id is not 16 bytes".into()))?,
        target: row.json(3)?,
        mapping: row.maybe_json(4)?,
        previous_mapping: row.maybe_json(5)?,
        first_run_closed: row.get(6)?,
        created_at: row.time(7)?,
        last_ok_at: row.maybe_time(8)?,
        invalid: row.unsigned(9)?,
        paused: row.get(10)?,
        last_removal_at: row.maybe_time(11)?,
        full_read: full_read(row)?,
        resync_through: row.get::<Option<i64>>(14)?.map(RunId),
        resync_open: row.get(15)?,
        suspect: row.get(16)?,
        cursor: row.maybe_json(17)?,
    })
}

fn full_read(row: &Row) -> Result<Option<FullRead>, sqlx::Error> {
    let (answer, at): (Option<Vec<u8>>, Option<i64>) = (row.get(12)?, row.get(13)?);
    let answer = answer.map(<[u8; 16]>::try_from).transpose();
    let answer = answer.map_err(|_| sqlx::Error::Decode("the answer of a full read is not 16 bytes".into()))?;
    let read = |(answer, at)| FullRead { answer: Fingerprint::from_bytes(answer), at: Timestamp::from_micros(at) };
    Ok(answer.zip(at).map(read))
}

fn run_row(row: &Row) -> Result<RunRow, sqlx::Error> {
    let status: &str = row.get(3)?;
    Ok(RunRow {
        id: RunId(row.get(0)?),
        sync: SyncId(row.get(1)?),
        trigger: row.get(2)?,
        status: RunStatus::from_name(status).ok_or_else(|| sqlx::Error::Decode("an unknown status of a run".into()))?,
        started_at: row.time(4)?,
        ended_at: row.maybe_time(5)?,
        counts: row.json(6)?,
        summary: row.json(7)?,
        error: row.get(8)?,
    })
}

/// Of the columns id, kind, sync, args, `posted_at`, `finished_at` and result.
pub(in crate::state) fn request(row: &Row) -> Result<Request, sqlx::Error> {
    Ok(Request {
        id: row.get(0)?,
        kind: row.get(1)?,
        sync: row.get::<Option<i64>>(2)?.map(SyncId),
        args: row.json(3)?,
        posted_at: row.time(4)?,
        finished_at: row.maybe_time(5)?,
        result: row.maybe_json(6)?,
    })
}
