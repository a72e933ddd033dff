//! Binds a sync's fields to the columns of a model.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    HashKeys, MappingError, Template,
    bound::{Bound, BoundColumn, BoundSource, Maker},
    cast,
    hash::BoundHash,
};
use crate::model::{
    Column, ColumnKind, FieldPath, RowRef, Schema, nearest,
    spec::{Cast, FieldSource, FieldSpec, HashFunction, HashSpec, StarSpec, SyncSpec},
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

impl Mapping {
    /// As [`Mapping::compile_with`], for syncs that hash with no key.
    ///
    /// # Errors
    /// Every [`MappingError`] at once.
    pub fn compile(sync: &SyncSpec, schema: &Schema, primary_key: &[String]) -> Result<Self, Vec<MappingError>> {
        Self::compile_with(sync, schema, primary_key, &HashKeys::default())
    }

    /// Binds the fields of `sync` to the columns of `schema`. `primary_key` are the model's key columns.
    ///
    /// `"*"` adds the columns that no field reads and that it does not except, each under its own name (a dot in a
    /// column's name is literal); a field that is mapped explicitly wins over a column of its name.
    ///
    /// # Errors
    /// Every [`MappingError`] at once.
    pub fn compile_with(
        sync: &SyncSpec,
        schema: &Schema,
        primary_key: &[String],
        keys: &HashKeys,
    ) -> Result<Self, Vec<MappingError>> {
        let mut compiler = Compiler { sync, schema, keys, errors: Vec::new(), fields: BTreeMap::new() };
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
        match &bound.source {
            BoundSource::Column { column, cast: cast @ (None | Some(Cast::Text)) } => {
                let position = self.key_columns.iter().position(|key| *key == column.position)?;
                Some(KeyPart { position, as_text: cast.is_some() })
            }
            BoundSource::Column { .. }
            | BoundSource::Constant { .. }
            | BoundSource::Made { .. }
            | BoundSource::Template { .. } => None,
        }
    }

    /// Appends the places (in the order of [`Mapping::field_names`]) of the fields that a row leaves null.
    pub fn nulls(&self, row: RowRef<'_>, out: &mut Vec<u16>) {
        out.extend((0..).zip(&self.fields).filter(|(_, field)| field.is_null(row)).map(|(place, _)| place));
    }

    /// True when the match value is the whole key, so that it is unique and never changes for a key.
    pub const fn match_is_key(&self) -> bool {
        self.match_is_key
    }
}

struct Compiler<'a> {
    sync: &'a SyncSpec,
    schema: &'a Schema,
    keys: &'a HashKeys,
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
            if let Some(bound) = self.field(field) {
                self.fields.insert(field.name.clone(), bound);
            }
        }
    }

    fn field(&mut self, field: &FieldSpec) -> Option<Bound> {
        let name = field.name.as_str();
        let source = match &field.source {
            FieldSource::Constant(value) => return Some(Bound::constant(name, value)),
            FieldSource::Column { column, cast } => self.column(name, column, *cast)?,
            FieldSource::Template(template) => self.template(name, template)?,
            FieldSource::Joined { column, separator } => {
                self.made(name, column, true, Maker::Join(separator.clone()))?
            }
            FieldSource::List { column, separator } => self.made(name, column, true, Maker::List(separator.clone()))?,
            FieldSource::Identifier { column, normalise, hash } => {
                let hash = match hash {
                    Some(hash) => Some(self.hash(name, hash)?),
                    None => None,
                };
                self.made(name, column, false, Maker::Identifier { normalise: *normalise, hash })?
            }
        };
        Some(Bound::new(name, source, field.when_null, self.is_match(name)))
    }

    fn is_match(&self, field: &str) -> bool {
        self.sync.match_fields.iter().any(|name| name == field)
    }

    /// Finds a column, or notes that it is missing.
    fn find(&mut self, field: &str, column: &str) -> Option<(BoundColumn, &Column)> {
        let schema = self.schema;
        let found = schema.columns.iter().enumerate().find(|(_, candidate)| candidate.name == column);
        if found.is_none() {
            let nearest = self.nearest(column);
            let (field, column) = (field.to_owned(), column.to_owned());
            self.errors.push(MappingError::MissingColumn { field, column, nearest });
        }
        found.map(|(position, found)| (BoundColumn { position, name: column.to_owned() }, found))
    }

    fn column(&mut self, field: &str, column: &str, cast: Option<Cast>) -> Option<BoundSource> {
        let (bound, found) = self.find(field, column)?;
        if let Some(cast) = cast.filter(|cast| !cast::possible(found.kind, *cast)) {
            let error = MappingError::ImpossibleCast {
                field: field.to_owned(),
                column: column.to_owned(),
                source_type: found.source_type.clone(),
                cast: cast::name(cast),
            };
            self.errors.push(error);
        }
        Some(BoundSource::Column { column: bound, cast })
    }

    fn made(&mut self, field: &str, column: &str, is_list: bool, maker: Maker) -> Option<BoundSource> {
        let (bound, found) = self.find(field, column)?;
        let holds_lists = matches!(found.kind, ColumnKind::Json | ColumnKind::Text | ColumnKind::Dynamic);
        if is_list && !holds_lists {
            let (source_type, column) = (found.source_type.clone(), column.to_owned());
            self.errors.push(MappingError::NoList { field: field.to_owned(), column, source_type });
        }
        Some(BoundSource::Made { column: bound, maker })
    }

    fn hash(&mut self, field: &str, hash: &HashSpec) -> Option<BoundHash> {
        let key = match hash.function {
            HashFunction::Sha256 => None,
            HashFunction::HmacSha256(_) => {
                let key = self.keys.get(field);
                if key.is_none() {
                    self.errors.push(MappingError::MissingKey { field: field.to_owned() });
                }
                Some(key?.clone())
            }
        };
        Some(BoundHash { key, encoding: hash.encoding })
    }

    fn template(&mut self, field: &str, text: &str) -> Option<BoundSource> {
        let bad = |reason| MappingError::BadTemplate { field: field.to_owned(), reason };
        let template = match Template::compile(text) {
            Ok(template) if template.names().is_empty() => {
                self.errors.push(bad("it reads no column".to_owned()));
                return None;
            }
            Ok(template) => template,
            Err(error) => {
                self.errors.push(bad(error.reason));
                return None;
            }
        };
        let mut columns = Vec::new();
        for name in template.names() {
            match self.schema.position(name) {
                Some(position) => columns.push(BoundColumn { position, name: name.clone() }),
                None => {
                    let (field, column, nearest) = (field.to_owned(), name.clone(), self.nearest(name));
                    self.errors.push(MappingError::MissingInTemplate { field, column, nearest });
                }
            }
        }
        Some(BoundSource::Template { template, columns })
    }

    fn star(&mut self, star: &StarSpec) {
        for column in &star.except {
            if self.schema.position(column).is_none() {
                let nearest = self.nearest(column);
                self.errors.push(MappingError::MissingExcept { column: column.clone(), nearest });
            }
        }
        let bound = self.fields.values().flat_map(Bound::columns).map(|column| column.name.clone());
        let read: BTreeSet<String> = bound.chain(star.except.iter().cloned()).collect();
        let schema = self.schema;
        for column in schema.columns.iter().filter(|column| !read.contains(&column.name)) {
            let name = FieldPath::escape(&column.name);
            if self.fields.contains_key(&name) {
                continue;
            }
            if let Some(source) = self.column(&name, &column.name, None) {
                let bound = Bound::new(&name, source, star.when_null, self.is_match(&name));
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
            BoundSource::Column { column, cast: None | Some(Cast::Text) } => column.name == *key,
            BoundSource::Column { .. }
            | BoundSource::Constant { .. }
            | BoundSource::Made { .. }
            | BoundSource::Template { .. } => false,
        })
    }
}
