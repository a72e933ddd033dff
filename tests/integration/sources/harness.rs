//! Reading a model to its end, and judging what came.

use std::{path::Path, sync::Arc, time::Duration};

use syncline::{
    model::{KeyKind, RowRef, Schema, Value, encode_key},
    source::{
        ModelBody, ModelQuery, ServerConnection, ServerSettings, Source, SourceConfig, SourceError, SqliteSettings,
        open,
    },
};

pub(super) fn postgres_source(url: &str) -> Box<dyn Source> {
    open(&SourceConfig::Postgres(ServerSettings {
        connection: ServerConnection::Url(url.into()),
        tls: None,
        connect_timeout: ServerSettings::CONNECT_TIMEOUT,
    }))
    .expect("the test's URL is not usable")
}

pub(super) fn mysql_source(url: &str) -> Box<dyn Source> {
    open(&SourceConfig::Mysql(ServerSettings {
        connection: ServerConnection::Url(url.into()),
        tls: None,
        connect_timeout: ServerSettings::CONNECT_TIMEOUT,
    }))
    .expect("the test's URL is not usable")
}

pub(super) fn sqlite_source(path: &Path) -> Box<dyn Source> {
    open(&SourceConfig::Sqlite(SqliteSettings { path: path.to_owned() })).expect("the settings are not usable")
}

pub(super) fn query(sql: &str, key: &[&str]) -> ModelQuery {
    ModelQuery {
        name: "test".into(),
        body: ModelBody::Sql(sql.into()),
        filter: None,
        primary_key: key.iter().map(|&name| name.into()).collect(),
        key_kinds: None,
        after: None,
        flags: Vec::new(),
        timeout: Duration::from_secs(60),
    }
}

/// Reads everything; every cell as [`show`] prints it.
pub(super) async fn read_all(source: &dyn Source, query: &ModelQuery) -> Result<Vec<Vec<String>>, SourceError> {
    let schema = source.describe(query).await?;
    let mut rows = Vec::new();
    each_row(source, query, &schema, |row| {
        rows.push((0..schema.columns.len()).map(|column| show(row.cell(column))).collect());
    })
    .await?;
    Ok(rows)
}

pub(super) async fn each_row(
    source: &dyn Source,
    query: &ModelQuery,
    schema: &Arc<Schema>,
    mut seen: impl FnMut(RowRef<'_>),
) -> Result<(), SourceError> {
    let mut stream = source.read(query, schema);
    while let Some(batch) = stream.next().await? {
        batch.rows().for_each(&mut seen);
        stream.recycle(batch);
    }
    Ok(())
}

/// What became of the keys of a model.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Keys {
    /// The keys as people see them, in the order of the stream.
    pub(super) texts: Vec<String>,
    /// Rows whose key cannot be encoded.
    pub(super) invalid: usize,
}

/// Reads a model and demands that its encodable keys come in ascending order, each once.
pub(super) async fn read_keys(source: &dyn Source, query: &ModelQuery, kinds: &[KeyKind]) -> Keys {
    let schema = source.describe(query).await.expect("describe");
    let columns: Vec<usize> = query.primary_key.iter().map(|name| schema.position(name).expect("key")).collect();
    let found: Vec<_> = columns.iter().map(|&column| schema.columns[column].key_kind).collect();
    assert_eq!(found, kinds.iter().copied().map(Some).collect::<Vec<_>>(), "key kinds");
    let (mut keys, mut invalid) = (Vec::new(), 0);
    each_row(source, query, &schema, |row| {
        let mut key = Vec::new();
        match encode_key(row, &columns, kinds, &mut key) {
            Ok(()) => keys.push(key),
            Err(_) => invalid += 1,
        }
    })
    .await
    .expect("read");
    let text = |key: &Vec<u8>| syncline::model::Key::from_encoded(key).to_text().expect("a key that was just encoded");
    for pair in keys.windows(2) {
        assert!(pair[0] < pair[1], "{:?} came before {:?}", text(&pair[0]), text(&pair[1]));
    }
    Keys { texts: keys.iter().map(text).collect(), invalid }
}

/// A cell with its kind, for tables of expected values.
pub(super) fn show(value: Value<'_>) -> String {
    let kind = value.kind_name();
    match value {
        Value::Null => kind.to_owned(),
        Value::Bool(v) => format!("{kind} {v}"),
        Value::Int(v) | Value::Time(v) | Value::Timestamp(v) | Value::LocalTimestamp(v) => format!("{kind} {v}"),
        Value::Date(v) => format!("{kind} {v}"),
        Value::Float(v) => format!("{kind} {v:?}"),
        Value::Decimal(v) | Value::Text(v) | Value::Json(v) => format!("{kind} {v}"),
        Value::Bytes(v) => format!("{kind} {v:02x?}"),
        Value::Uuid(v) => format!("{kind} {:032x}", u128::from_be_bytes(v)),
        Value::Unrepresentable(why) => format!("{kind}: {why}"),
    }
}
