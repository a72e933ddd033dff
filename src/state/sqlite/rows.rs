//! Reads of syncs, runs and operator requests.

use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{failed, read::unsigned};
use crate::{
    model::{Fingerprint, RunId, SyncId, Timestamp},
    state::{FullRead, Request, RunRow, RunStatus, StateError, SyncRecord, store::RunFilter},
};

const READ: &str = "read the state";

pub(super) async fn syncs(c: &mut SqliteConnection) -> Result<Vec<SyncRecord>, StateError> {
    let rows = sqlx::query(
        "select id, name, uuid, target, mapping, previous_mapping, first_run_closed, created_at, last_ok_at, invalid, paused,
                last_removal_at, full_read_answer, full_read_at, resync_through, resync_open, suspect, cursor
           from syncs order by name",
    )
    .fetch_all(c)
    .await
    .map_err(failed(READ))?;
    rows.iter().map(|row| sync(row).map_err(failed(READ))).collect()
}

fn sync(row: &SqliteRow) -> Result<SyncRecord, sqlx::Error> {
    let uuid: Vec<u8> = row.try_get(2)?;
    let mapping = |column: usize| -> Result<_, sqlx::Error> {
        row.try_get::<Option<String>, _>(column)?.map(|text| json(&text)).transpose()
    };
    Ok(SyncRecord {
        id: SyncId(row.try_get(0)?),
        name: row.try_get(1)?,
        uuid: uuid.try_into().map_err(|_| sqlx::Error::Decode("a sync's id is not 16 bytes".into()))?,
        target: json(row.try_get(3)?)?,
        mapping: mapping(4)?,
        previous_mapping: mapping(5)?,
        first_run_closed: row.try_get(6)?,
        created_at: Timestamp::from_micros(row.try_get(7)?),
        last_ok_at: row.try_get::<Option<i64>, _>(8)?.map(Timestamp::from_micros),
        invalid: unsigned(row, 9)?,
        paused: row.try_get(10)?,
        last_removal_at: row.try_get::<Option<i64>, _>(11)?.map(Timestamp::from_micros),
        resync_through: row.try_get::<Option<i64>, _>(14)?.map(RunId),
        resync_open: row.try_get(15)?,
        suspect: row.try_get(16)?,
        full_read: full_read(row)?,
        cursor: row.try_get::<Option<&str>, _>(17)?.map(json).transpose()?,
    })
}

fn full_read(row: &SqliteRow) -> Result<Option<FullRead>, sqlx::Error> {
    let (answer, at): (Option<Vec<u8>>, Option<i64>) = (row.try_get(12)?, row.try_get(13)?);
    let answer = answer.map(<[u8; 16]>::try_from).transpose();
    let answer = answer.map_err(|_| sqlx::Error::Decode("the answer of a full read is not 16 bytes".into()))?;
    let read = |(answer, at)| FullRead { answer: Fingerprint::from_bytes(answer), at: Timestamp::from_micros(at) };
    Ok(answer.zip(at).map(read))
}

pub(super) async fn runs(c: &mut SqliteConnection, filter: RunFilter, limit: u32) -> Result<Vec<RunRow>, StateError> {
    let (run, sync, status) = match filter {
        RunFilter::One(run) => (Some(run.0), None, None),
        RunFilter::Last(sync) => (None, sync.map(|sync| sync.0), None),
        RunFilter::With(sync, status) => (None, Some(sync.0), Some(status.name())),
    };
    let rows = sqlx::query(
        "select id, sync, started_by, status, started_at, ended_at, counts, summary, error from runs
          where (?1 is null or id = ?1) and (?2 is null or sync = ?2) and (?3 is null or status = ?3)
          order by id desc limit ?4",
    )
    .bind(run)
    .bind(sync)
    .bind(status)
    .bind(limit)
    .fetch_all(c)
    .await
    .map_err(failed(READ))?;
    rows.iter().map(|row| run_row(row).map_err(failed(READ))).collect()
}

fn run_row(row: &SqliteRow) -> Result<RunRow, sqlx::Error> {
    let status: &str = row.try_get(3)?;
    Ok(RunRow {
        id: RunId(row.try_get(0)?),
        sync: SyncId(row.try_get(1)?),
        trigger: row.try_get(2)?,
        status: RunStatus::from_name(status).ok_or_else(|| sqlx::Error::Decode("an unknown status of a run".into()))?,
        started_at: Timestamp::from_micros(row.try_get(4)?),
        ended_at: row.try_get::<Option<i64>, _>(5)?.map(Timestamp::from_micros),
        counts: json(row.try_get(6)?)?,
        summary: json(row.try_get(7)?)?,
        error: row.try_get(8)?,
    })
}

pub(super) async fn requests(c: &mut SqliteConnection, id: Option<i64>) -> Result<Vec<Request>, StateError> {
    let rows = sqlx::query(
        "select id, kind, sync, args, posted_at, finished_at, result from operator_requests
          where (?1 is null and finished_at is null) or id = ?1 order by id",
    )
    .bind(id)
    .fetch_all(c)
    .await
    .map_err(failed(READ))?;
    rows.iter().map(|row| request(row).map_err(failed(READ))).collect()
}

fn request(row: &SqliteRow) -> Result<Request, sqlx::Error> {
    Ok(Request {
        id: row.try_get(0)?,
        kind: row.try_get(1)?,
        sync: row.try_get::<Option<i64>, _>(2)?.map(SyncId),
        args: json(row.try_get(3)?)?,
        posted_at: Timestamp::from_micros(row.try_get(4)?),
        finished_at: row.try_get::<Option<i64>, _>(5)?.map(Timestamp::from_micros),
        result: row.try_get::<Option<&str>, _>(6)?.map(json).transpose()?,
    })
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}
