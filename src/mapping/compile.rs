//! Binds a sync's fields to the columns of a model.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{MappingError, cast};
use crate::model::{
    FieldPath, Schema, Value, encode_field, nearest, put_bytes,
    spec::{Cast, Constant, FieldSource, StarSpec, SyncSpec, WhenNull},
};

/// A sync's fields, bound to the columns of its model, in byte order of the destination field names.
///
/// Field names stand in records as the configuration spells them: dots nest, `\.` is a literal dot (see [`FieldPath`]).
#[derive(Debug, Clone)]
pub struct Mapping {
    pub(super) fields: Vec<Bound>,
    key_columns: Vec<usize>,
    match_is_key: bool,
}

/// The key column that a field is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPart {
    /// Its place in the key, from 0.
    pub position: usize,
    /// The field has its text form.
    pub as_text: bool,
}

/// One field, bound.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    pub(super) name: String,
    /// The name as it begins each field of a record.
    pub(super) head: Vec<u8>,
    pub(super) source: BoundSource,
}

impl Bound {
    fn new(name: &str, source: BoundSource) -> Self {
        let mut head = Vec::new();
        put_bytes(name.as_bytes(), &mut head);
        Self { name: name.to_owned(), head, source }
    }
}

/// Where a bound field's value comes from.
#[derive(Debug, Clone)]
pub(super) enum BoundSource {
    /// The whole field in canonical form: a constant never changes.
    Constant { encoded: Vec<u8>, value: Constant },
    /// A column.
    Column { position: usize, column: String, cast: Option<Cast>, when_null: WhenNull, is_match: bool },
}

impl Mapping {
    /// Binds the fields of `sync` to the columns of `schema`. `primary_key` are the model's key columns.
    ///
    /// `"*"` adds the columns that no field reads and that it does not except, each under its own name (a dot in a
    /// column's name is literal); a field that is mapped explicitly wins over a column of its name.
    ///
    /// # Errors
    /// Every [`MappingError`] at once.
    pub fn compile(sync: &SyncSpec, schema: &Schema, primary_key: &[String]) -> Result<Self, Vec<MappingError>> {
        let mut compiler = Compiler { sync, schema, errors: Vec::new(), fields: BTreeMap::new() };
        let key_columns = primary_key.iter().filter_map(|column| compiler.key_column(column)).collect();
        compiler.explicit();
        if let Some(star) = &sync.star {
            compiler.star(star);
        }
        compiler.check_names();
        compiler.check_match();
        if !compiler.errors.is_empty() {
            return Err(compiler.errors);
        }
        let match_is_key = compiler.match_is_key(primary_key);
        Ok(Self { fields: compiler.fields.into_values().collect(), key_columns, match_is_key })
    }

    /// Destination field names in record order.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }

    /// Positions of the key columns in the schema.
    pub fn key_columns(&self) -> &[usize] {
        &self.key_columns
    }

    /// Where a field takes a key column as it is, or as its text; `None` for any other field.
    pub fn key_part(&self, field: &str) -> Option<KeyPart> {
        let bound = self.fields.iter().find(|bound| bound.name == field)?;
        match bound.source {
            BoundSource::Column { position, cast: cast @ (None | Some(Cast::Text)), .. } => {
                let position = self.key_columns.iter().position(|column| *column == position)?;
                Some(KeyPart { position, as_text: cast.is_some() })
            }
            BoundSource::Column { .. } | BoundSource::Constant { .. } => None,
        }
    }

    /// True when the match value is the whole key, so that it is unique and never changes for a key.
    pub const fn match_is_key(&self) -> bool {
        self.match_is_key
    }

    /// The mapping as a stable text: one JSON object a line, in field order. Equal texts map equal rows to equal records.
    pub fn fingerprint_text(&self) -> String {
        self.fields.iter().map(|field| format!("{}\n", field.to_json())).collect()
    }
}

impl Bound {
    fn to_json(&self) -> serde_json::Value {
        match &self.source {
            BoundSource::Constant { value, .. } => {
                let value = match value {
                    Constant::Text(v) => json!(v),
                    Constant::Int(v) => json!(v),
                    Constant::Float(v) => json!({ "float": v }),
                    Constant::Bool(v) => json!(v),
                };
                json!({ "field": self.name, "value": value })
            }
            BoundSource::Column { column, cast, when_null, is_match, .. } => {
                let scale = match cast {
                    Some(Cast::Decimal { scale }) => *scale,
                    _ => None,
                };
                json!({
                    "field": self.name,
                    "column": column,
                    "as": cast.map(cast::name),
                    "scale": scale,
                    "when_null": when_null.name(),
                    "match": is_match,
                })
            }
        }
    }
}

struct Compiler<'a> {
    sync: &'a SyncSpec,
    schema: &'a Schema,
    errors: Vec<MappingError>,
    fields: BTreeMap<String, Bound>,
}

impl Compiler<'_> {
    fn nearest(&self, column: &str) -> Option<String> {
        nearest(column, self.schema.columns.iter().map(|column| column.name.as_str())).map(str::to_owned)
    }

    fn key_column(&mut self, column: &str) -> Option<usize> {
        let position = self.schema.position(column);
        if position.is_none() {
            let nearest = self.nearest(column);
            self.errors.push(MappingError::MissingKeyColumn { column: column.to_owned(), nearest });
        }
        position
    }

    fn explicit(&mut self) {
        let sync = self.sync;
        for field in &sync.fields {
            if self.fields.contains_key(&field.name) {
                self.errors.push(MappingError::Duplicate { field: field.name.clone() });
                continue;
            }
            let source = match &field.source {
                FieldSource::Constant(value) => Some(constant(&field.name, value)),
                FieldSource::Column { column, cast } => self.column(&field.name, column, *cast, field.when_null),
            };
            if let Some(source) = source {
                self.fields.insert(field.name.clone(), Bound::new(&field.name, source));
            }
        }
    }

    fn column(&mut self, field: &str, column: &str, cast: Option<Cast>, when_null: WhenNull) -> Option<BoundSource> {
        let Some((position, found)) =
            self.schema.columns.iter().enumerate().find(|(_, candidate)| candidate.name == column)
        else {
            let nearest = self.nearest(column);
            let (field, column) = (field.to_owned(), column.to_owned());
            self.errors.push(MappingError::MissingColumn { field, column, nearest });
            return None;
        };
        if let Some(cast) = cast.filter(|cast| !cast::possible(found.kind, *cast)) {
            self.errors.push(MappingError::ImpossibleCast {
                field: field.to_owned(),
                column: column.to_owned(),
                source_type: found.source_type.clone(),
                cast: cast::name(cast),
            });
        }
        let is_match = self.sync.match_fields.iter().any(|name| name == field);
        Some(BoundSource::Column { position, column: column.to_owned(), cast, when_null, is_match })
    }

    fn star(&mut self, star: &StarSpec) {
        for column in &star.except {
            if self.schema.position(column).is_none() {
                let nearest = self.nearest(column);
                self.errors.push(MappingError::MissingExcept { column: column.clone(), nearest });
            }
        }
        let read: BTreeSet<&str> = self
            .sync
            .fields
            .iter()
            .filter_map(|field| match &field.source {
                FieldSource::Column { column, .. } => Some(column.as_str()),
                FieldSource::Constant(_) => None,
            })
            .chain(star.except.iter().map(String::as_str))
            .collect();
        let schema = self.schema;
        for column in schema.columns.iter().filter(|column| !read.contains(column.name.as_str())) {
            let name = FieldPath::escape(&column.name);
            if self.fields.contains_key(&name) {
                continue;
            }
            if let Some(source) = self.column(&name, &column.name, None, star.when_null) {
                let bound = Bound::new(&name, source);
                self.fields.insert(name, bound);
            }
        }
    }

    fn check_names(&mut self) {
        let mut paths: Vec<(FieldPath, &str)> = Vec::new();
        for name in self.fields.keys() {
            match FieldPath::parse(name) {
                Ok(path) => paths.push((path, name)),
                Err(problem) => self.errors.push(MappingError::BadName { field: name.clone(), problem }),
            }
        }
        // Sorted part by part, a parent stands right before its first child.
        paths.sort_unstable();
        for pair in paths.windows(2) {
            if let [(parent, parent_name), (child, child_name)] = pair
                && parent.is_parent_of(child)
            {
                let (parent, child) = ((*parent_name).to_owned(), (*child_name).to_owned());
                self.errors.push(MappingError::LeafAndParent { parent, child });
            }
        }
        if self.fields.is_empty() && self.errors.is_empty() {
            self.errors.push(MappingError::NoFields);
        }
    }

    fn check_match(&mut self) {
        for field in &self.sync.match_fields {
            let declared = self.sync.fields.iter().any(|declared| declared.name == *field);
            if !declared && !self.fields.contains_key(field) {
                self.errors.push(MappingError::MatchNotMapped { field: field.clone() });
            }
        }
    }

    fn match_is_key(&self, primary_key: &[String]) -> bool {
        let ([key], [name]) = (primary_key, self.sync.match_fields.as_slice()) else {
            return false;
        };
        self.fields.get(name).is_some_and(|field| match &field.source {
            BoundSource::Column { column, cast: None | Some(Cast::Text), .. } => column == key,
            BoundSource::Column { .. } | BoundSource::Constant { .. } => false,
        })
    }
}

fn constant(name: &str, value: &Constant) -> BoundSource {
    let plain = match value {
        Constant::Text(v) => Value::Text(v),
        Constant::Int(v) => Value::Int(*v),
        // The configuration refuses `nan` and `inf`; a null is what is left of them.
        Constant::Float(v) if !v.is_finite() => Value::Null,
        Constant::Float(v) => Value::Float(*v),
        Constant::Bool(v) => Value::Bool(*v),
    };
    let mut encoded = Vec::new();
    // Only floats that are not finite and unrepresentable values fail, and neither gets here.
    encode_field(name, plain, &mut encoded).unwrap_or(());
    BoundSource::Constant { encoded, value: value.clone() }
}
