//! What a plan needs before the first row is read: schema, mapping, key kinds, target.

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret as _;

use crate::{
    destination::Destination,
    mapping::{FreshColumn, HashKey, HashKeys, Mapping},
    model::{
        Fingerprinter, KeyKind, Schema,
        spec::{
            DestinationSpec, FieldSource, HashFunction, HashSpec, KeyShape, Mode, ModelBodySpec, ModelSpec, OnRemoved,
            SyncSpec,
        },
    },
    proof::{Rule, is_broken},
    source::{ModelBody, ModelQuery, Source, SourceError},
    state::{MappingRecord, SyncRecord, Target},
};

use super::{
    Engine, RunError,
    cursor::Cursor,
    earlier::{self, Earlier},
    keyed::KeyRecord,
};

/// Beyond the request timeout: a request that was given up may still be applied within this time.
const LATE_MARGIN: Duration = Duration::from_secs(60);

/// A sync that is ready to be planned.
pub(super) struct Prepared<'a> {
    pub(super) sync: &'a SyncSpec,
    pub(super) source: Arc<dyn Source>,
    pub(super) query: ModelQuery,
    pub(super) schema: Arc<Schema>,
    pub(super) mapping: Mapping,
    /// The mapping as the state keeps it.
    pub(super) mapping_record: MappingRecord,
    /// Earlier mappings that entries may have been settled under, where they are not the present one.
    pub(super) earlier: Vec<Earlier>,
    /// The column that `fresh` looks at.
    pub(super) fresh: Option<FreshColumn>,
    pub(super) key: KeyShape,
    pub(super) destination: Arc<dyn Destination>,
    pub(super) late_window: Duration,
    pub(super) traits: Traits,
    pub(super) key_record: KeyRecord,
    /// Of a sync that appends.
    pub(super) cursor: Option<Cursor>,
}

/// What a sync keeps beside fingerprints.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traits {
    /// The snapshot keeps vendor record ids.
    pub(super) keeps_ids: bool,
    /// An owner index is kept, because the match is not made of the key alone.
    pub(super) keeps_owners: bool,
}

impl Engine {
    /// Describes the model, binds the mapping and checks both against what the sync's first run fixed.
    ///
    /// # Errors
    /// When the source fails, or the model or the target does not fit (a refusal).
    pub(super) async fn prepare<'a>(
        &'a self,
        sync: &'a SyncSpec,
        known: Option<&SyncRecord>,
    ) -> Result<Prepared<'a>, RunError> {
        let model = self.model(sync)?;
        let spec = self.destination(sync)?;
        let destination = self.connector(spec, sync)?;
        let source = self.source(&model.source).await?;
        let timeout = self.source_spec(&model.source)?.statement_timeout;
        let fixed = known.map(|record| record.target.key.clone());
        if let Some(record) = known {
            check_target(record, sync, spec, model)?;
        }
        let mut query = query(sync, model, fixed.map(|key| key.kinds), timeout);
        let schema = source.describe(&query).await?;
        let cursor = sync.cursor.as_ref().map(|spec| Cursor::new(&sync.name, spec, &schema, known)).transpose()?;
        query.after = cursor.as_ref().and_then(Cursor::after);
        let refused = |errors| RunError::mapping(errors, &sync.name);
        let keys = self.hash_keys(sync).await?;
        let mapping = Mapping::compile_with(sync, &schema, &model.primary_key, &keys).map_err(refused)?;
        let mapping_record = record_of(&mapping, &self.state().installation_hasher());
        let settled = known.and_then(|record| record.mapping.as_ref());
        let earlier = earlier::load(settled, &mapping_record, &schema, &keys);
        let fresh = sync.guard.fresh.as_ref().map(|spec| FreshColumn::bind(spec, &schema)).transpose();
        let fresh = fresh.map_err(|error| refused(vec![error]))?;
        let key = key_shape(&query, &schema)?;
        let traits = traits(sync, &mapping, destination.as_ref());
        let by_key = !destination.capabilities(&sync.object).record_ids;
        let key_record = KeyRecord::new(&mapping, &sync.match_fields, by_key);
        check_operations(sync, spec, destination.as_ref())?;
        check_removals(sync, spec, traits, &key_record)?;
        let late_window = sync.late_window.unwrap_or(spec.request_timeout + LATE_MARGIN);
        Ok(Prepared {
            sync,
            source,
            query,
            schema,
            mapping,
            mapping_record,
            earlier,
            fresh,
            key,
            destination,
            late_window,
            traits,
            key_record,
            cursor,
        })
    }

    /// The keys of the sync's keyed hashes.
    pub(super) async fn hash_keys(&self, sync: &SyncSpec) -> Result<HashKeys, RunError> {
        let mut keys = HashKeys::default();
        for field in &sync.fields {
            if let FieldSource::Identifier { hash: Some(HashSpec { function, .. }), .. } = &field.source
                && let HashFunction::HmacSha256(reference) = function
            {
                let secret = self.parts.secrets.read(reference).await?;
                let id = self.state().installation_hasher().of(secret.expose_secret().as_bytes());
                keys.insert(&field.name, HashKey::new(&secret, format!("{id:?}")));
            }
        }
        Ok(keys)
    }
}

impl Prepared<'_> {
    /// What the sync writes to, for the state.
    pub(super) fn target(&self, destination: &DestinationSpec) -> Target {
        Target {
            destination: destination.vendor.type_name().to_owned(),
            account: None,
            object: self.sync.object.clone(),
            match_fields: self.sync.match_fields.clone(),
            key: self.key.clone(),
        }
    }
}

fn record_of(mapping: &Mapping, hasher: &Fingerprinter) -> MappingRecord {
    let text = mapping.fingerprint_text();
    MappingRecord { hash: format!("{:?}", hasher.of(text.as_bytes())), text }
}

fn query(sync: &SyncSpec, model: &ModelSpec, key_kinds: Option<Vec<KeyKind>>, timeout: Duration) -> ModelQuery {
    let primary_key = model.primary_key.clone();
    ModelQuery {
        name: model.name.clone(),
        body: body(model),
        filter: sync.filter.clone(),
        primary_key,
        key_kinds,
        after: None,
        flags: Vec::new(),
        timeout,
    }
}

/// The statement of a model, for its source.
pub(super) fn body(model: &ModelSpec) -> ModelBody {
    match &model.body {
        ModelBodySpec::Sql(sql) => ModelBody::Sql(sql.clone()),
        ModelBodySpec::Table(table) => ModelBody::Table(table.clone()),
    }
}

/// The kinds of the key columns. Those of the first run stand: another kind now is refused, because every key would be
/// another one.
fn key_shape(query: &ModelQuery, schema: &Schema) -> Result<KeyShape, RunError> {
    let fixed = query.key_kinds.as_deref().unwrap_or_default();
    let mut kinds = Vec::with_capacity(query.primary_key.len());
    for (part, name) in query.primary_key.iter().enumerate() {
        let column = schema.position(name).and_then(|position| schema.columns.get(position));
        let found = column.and_then(|column| column.key_kind).ok_or_else(|| RunError::unknown("key column", name))?;
        if let Some(expected) = fixed.get(part).copied().filter(|expected| *expected != found) {
            let (model, column, found) = (query.name.clone(), name.clone(), found.to_string());
            return Err(SourceError::KeyKindChanged { model, column, expected, found }.into());
        }
        kinds.push(found);
    }
    Ok(KeyShape { columns: query.primary_key.clone(), kinds })
}

fn traits(sync: &SyncSpec, mapping: &Mapping, destination: &dyn Destination) -> Traits {
    let exact = sync.match_fields.iter().all(|field| destination.match_is_exact(&sync.object, field));
    let made_of_key = (mapping.match_is_key() && exact) || is_broken(Rule::Ownership);
    let removes = sync.on_removed != OnRemoved::Keep;
    if sync.mode == Mode::Append {
        // Nothing is ever addressed again.
        return Traits { keeps_ids: false, keeps_owners: false };
    }
    let capabilities = destination.capabilities(&sync.object);
    let needed = removes || !made_of_key || capabilities.updates_by_id;
    Traits { keeps_ids: capabilities.record_ids && needed, keeps_owners: !made_of_key }
}

/// The destination must know what the mode sends.
fn check_operations(sync: &SyncSpec, spec: &DestinationSpec, destination: &dyn Destination) -> Result<(), RunError> {
    let known = &destination.capabilities(&sync.object).operations;
    let operation = sync.mode.operation(false);
    if known.contains(&operation) {
        return Ok(());
    }
    let (mode, operation) = (sync.mode.name(), operation.name());
    Err(RunError::Connector {
        destination: spec.name.clone(),
        reason: format!("sync `{}` is of mode `{mode}`, and this destination has no {operation}", sync.name),
        hint: "use another mode, or say how the destination does it".to_owned(),
    })
}

/// A removed row is known only by its key, so its record must be found by an id or by the key.
fn check_removals(
    sync: &SyncSpec,
    spec: &DestinationSpec,
    traits: Traits,
    key_record: &KeyRecord,
) -> Result<(), RunError> {
    if sync.on_removed == OnRemoved::Keep || traits.keeps_ids || key_record.can_address() {
        return Ok(());
    }
    Err(RunError::Connector {
        destination: spec.name.clone(),
        reason: format!(
            "sync `{}` removes records, but this destination answers without record ids and `match` is not made of \
             the model's key columns, so a removed row could not be found",
            sync.name
        ),
        hint: "match by the key columns, or set `on_removed = \"keep\"`".to_owned(),
    })
}

/// A change of target is refused: the snapshot would lie about the new one.
fn check_target(
    record: &SyncRecord,
    sync: &SyncSpec,
    spec: &DestinationSpec,
    model: &ModelSpec,
) -> Result<(), RunError> {
    match target_changes(record, sync, spec, model).first() {
        None => Ok(()),
        Some(what) => Err(RunError::Refused {
            reason: format!("sync `{}`: its {what} is not the one of its first run", sync.name),
            hint: match *what {
                "match" => format!(
                    "set it back; or `syncline resync {} --target` accepts it and sends every row again; or give the \
                     changed sync a new name: then it starts with a first run",
                    sync.name
                ),
                _ => "set it back, or give the changed sync a new name: then it starts with a first run".to_owned(),
            },
        }),
    }
}

/// What of a sync's target is not as its state has it.
pub(super) fn target_changes(
    record: &SyncRecord,
    sync: &SyncSpec,
    spec: &DestinationSpec,
    model: &ModelSpec,
) -> Vec<&'static str> {
    let target = &record.target;
    let changes = [
        ("destination type", target.destination.as_str() != spec.vendor.type_name()),
        ("object", target.object != sync.object),
        ("match", target.match_fields != sync.match_fields),
        ("primary key", target.key.columns != model.primary_key),
    ];
    changes.into_iter().filter_map(|(what, changed)| changed.then_some(what)).collect()
}
