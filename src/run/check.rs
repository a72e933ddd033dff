//! What `check` looks at: whether sources, models, destinations and syncs are in reality what the configuration says.

use serde::Serialize;

use crate::{
    destination::{self, Field},
    model::{
        Schema,
        spec::{DestinationSpec, ModelSpec, SourceSpec, SyncSpec},
    },
    source::ModelQuery,
    wire::Limits,
};

use super::{
    Engine, RunError,
    connection::{request_failed, unusable},
    ending::chain,
    prepare::body,
};

/// One part of the configuration, looked at.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Checked {
    /// `source`, `model`, `destination` or `sync`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// No problem was found.
    pub ok: bool,
    /// What it is like.
    pub facts: Vec<String>,
    /// What works but should not be so.
    pub warnings: Vec<String>,
    /// What does not work.
    pub problems: Vec<Problem>,
}

/// Something that does not work.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, with its causes.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Checked {
    fn new(kind: &'static str, name: &str) -> Self {
        let (facts, warnings, problems) = (Vec::new(), Vec::new(), Vec::new());
        Self { kind, name: name.to_owned(), ok: true, facts, warnings, problems }
    }

    fn problem(&mut self, message: String, hint: Option<String>) {
        self.ok = false;
        self.problems.push(Problem { message, hint });
    }

    fn failed(&mut self, error: &RunError) {
        let message = match error {
            RunError::Source(error) => chain(error),
            other => chain(other),
        };
        let own = format!("{} `{}`: ", self.kind, self.name);
        self.problem(message.strip_prefix(&own).unwrap_or(&message).to_owned(), error.hint());
    }
}

impl Engine {
    /// Connects to everything whose name is `wanted`: sources, models, destinations and the fields that syncs write.
    /// Nothing is written anywhere.
    pub async fn check(&self, wanted: &(dyn Fn(&str) -> bool + Send + Sync)) -> Vec<Checked> {
        let specs = self.specs();
        let mut checked = Vec::new();
        for source in specs.sources.iter().filter(|source| wanted(&source.name)) {
            checked.push(self.check_source(source).await);
        }
        for model in specs.models.iter().filter(|model| wanted(&model.name)) {
            checked.push(self.check_model(model).await);
        }
        for spec in specs.destinations.iter().filter(|spec| wanted(&spec.name)) {
            checked.push(self.check_destination(spec).await);
        }
        for sync in specs.syncs.iter().filter(|sync| wanted(&sync.name)) {
            checked.push(self.check_sync(sync).await);
        }
        checked
    }

    async fn check_source(&self, spec: &SourceSpec) -> Checked {
        let mut checked = Checked::new("source", &spec.name);
        let report = async { Ok::<_, RunError>(self.source(&spec.name).await?.check().await?) }.await;
        match report {
            Ok(report) => {
                checked.facts.push(report.server);
                checked.warnings = report.warnings;
            }
            Err(error) => checked.failed(&error),
        }
        checked
    }

    async fn check_model(&self, spec: &ModelSpec) -> Checked {
        let mut checked = Checked::new("model", &spec.name);
        match self.schema_of(spec).await {
            Ok(schema) => describe_columns(&mut checked, spec, &schema),
            Err(error) => checked.failed(&error),
        }
        checked
    }

    async fn schema_of(&self, spec: &ModelSpec) -> Result<std::sync::Arc<Schema>, RunError> {
        let query = ModelQuery {
            name: spec.name.clone(),
            body: body(spec),
            filter: None,
            primary_key: spec.primary_key.clone(),
            key_kinds: None,
            after: None,
            flags: Vec::new(),
            timeout: self.source_spec(&spec.source)?.statement_timeout,
        };
        Ok(self.source(&spec.source).await?.describe(&query).await?)
    }

    async fn check_destination(&self, spec: &DestinationSpec) -> Checked {
        let mut checked = Checked::new("destination", &spec.name);
        let connected = async {
            let connector = destination::open(spec).map_err(|error| unusable(spec, &error))?;
            let connected = self.connect(spec, connector.as_ref()).await?;
            let limits = destination::limits(spec, None).map_err(|error| unusable(spec, &error))?;
            Ok::<_, RunError>((connected.identity, limits))
        };
        match connected.await {
            Ok((identity, limits)) => {
                checked.facts.push(format!("{} account `{identity}`", spec.vendor.type_name()));
                checked.facts.push(in_words(&limits));
            }
            Err(error) => checked.failed(&error),
        }
        checked
    }

    async fn check_sync(&self, sync: &SyncSpec) -> Checked {
        let mut checked = Checked::new("sync", &sync.name);
        match self.mapped_and_found(sync).await {
            Ok((mapped, found)) => compare_fields(&mut checked, sync, &mapped, &found),
            Err(error) => checked.failed(&error),
        }
        checked
    }

    /// The fields that a sync writes, and those that its object has.
    async fn mapped_and_found(&self, sync: &SyncSpec) -> Result<(Vec<String>, Vec<Field>), RunError> {
        let known = self.state().sync(&sync.name).await?;
        let prepared = self.prepare(sync, known.as_ref()).await?;
        let mapped = prepared.mapping.field_names().map(str::to_owned).collect();
        let spec = self.destination(sync)?;
        let connected = self.connect(spec, prepared.destination.as_ref()).await?;
        let described = prepared.destination.describe(&connected.account, &sync.object).await;
        let described = described.inspect_err(|fault| connected.account.heed(fault));
        Ok((mapped, described.map_err(|fault| request_failed(spec, "describe the object", fault))?))
    }
}

fn describe_columns(checked: &mut Checked, spec: &ModelSpec, schema: &Schema) {
    checked.facts.push(format!("{} columns", schema.columns.len()));
    for name in &spec.primary_key {
        let column = schema.position(name).and_then(|position| schema.columns.get(position));
        match column.and_then(|column| column.key_kind) {
            Some(kind) => checked.facts.push(format!("key `{name}` is {kind}")),
            None => checked.problem(format!("`{name}` cannot be a key"), None),
        }
    }
}

/// Compares what a sync writes with what the object has; a destination that tells no fields cannot be compared with.
fn compare_fields(checked: &mut Checked, sync: &SyncSpec, mapped: &[String], found: &[Field]) {
    let object = &sync.object;
    if found.is_empty() {
        checked.facts.push(format!("{} fields of `{object}`; the destination does not tell its own", mapped.len()));
        return;
    }
    checked.facts.push(format!("{} of {} fields of `{object}`", mapped.len(), found.len()));
    let field = |name: &str| found.iter().find(|field| field.name == name);
    for name in mapped {
        match field(name) {
            None => {
                let names = found.iter().map(|field| field.name.as_str());
                let near = crate::model::nearest(name, names).map(|near| format!("did you mean `{near}`?"));
                let hint = near.unwrap_or_else(|| "make the field at the destination, or leave it out".to_owned());
                checked.problem(format!("`{object}` has no field `{name}`"), Some(hint));
            }
            Some(field) if !field.writable => {
                let hint = "leave the field out".to_owned();
                checked.problem(format!("field `{name}` of `{object}` is read-only"), Some(hint));
            }
            Some(_) => {}
        }
    }
    for field in found.iter().filter(|field| field.required && !mapped.contains(&field.name)) {
        let name = &field.name;
        checked.warnings.push(format!("`{object}` requires `{name}`, which is not mapped: records cannot be created"));
    }
    for name in &sync.match_fields {
        if field(name).is_some_and(|field| !field.unique) {
            let hint = "match by a field whose values are unique at the destination".to_owned();
            checked.problem(format!("records of `{object}` cannot be found by `{name}`"), Some(hint));
        }
    }
}

fn in_words(limits: &Limits) -> String {
    let mut parts: Vec<String> =
        limits.windows.iter().map(|window| format!("{} requests per {:?}", window.requests, window.per)).collect();
    parts.extend(limits.daily.as_ref().map(|daily| format!("{} a day", daily.requests)));
    parts.extend(limits.concurrent.map(|concurrent| format!("{concurrent} at once")));
    if parts.is_empty() { "no limits".to_owned() } else { format!("limits: {}", parts.join(", ")) }
}
