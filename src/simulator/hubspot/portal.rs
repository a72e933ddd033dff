//! The portal: its objects, and which request goes where.

use std::collections::HashMap;

use ::http::{Method, StatusCode};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{
    HubSpotOptions,
    batch::Write,
    errors,
    options::scoped,
    render::{Page, history},
    schema::Schema,
    store::Table,
};
use crate::simulator::{
    call::{Answer, Call},
    options::CommonOptions,
    quota::{Denial, QuotaView},
    script::Rejection,
    vendor::{Applied, Command, Moment, Row, Vendor},
};

/// The names of the standard objects by their numbers.
const STANDARD: &[(&str, &str)] =
    &[("0-1", "contacts"), ("0-2", "companies"), ("0-3", "deals"), ("0-5", "tickets"), ("0-7", "products")];

/// The number in the object type id of the first custom object.
const FIRST_CUSTOM: usize = 1_000_001;

/// A simulated portal.
pub(in crate::simulator) struct HubSpot {
    pub(super) options: HubSpotOptions,
    pub(super) zone: TimeZone,
    pub(super) tables: Vec<Table>,
    token: Option<String>,
    history: usize,
}

/// Where a request goes.
pub(super) enum Route {
    Write(usize, Write),
    Archive(usize),
    Read(usize),
    Create(usize),
    One(usize, String),
    Properties(usize),
    Schemas,
    Schema(usize),
    Details,
    Usage,
}

impl HubSpot {
    /// A portal without records.
    pub(in crate::simulator) fn new(options: HubSpotOptions, common: &CommonOptions) -> Self {
        let (token, zone) = (common.token.clone(), common.time_zone.clone());
        let mut portal = Self { options, zone, tables: Vec::new(), token, history: common.history };
        portal.declare();
        portal
    }

    fn declare(&mut self) {
        let custom = self.options.objects.iter().map(String::as_str);
        let names = STANDARD.iter().map(|(_, name)| *name).chain(custom);
        self.tables = names.zip(1..).map(|(name, number)| table(name, number, &self.options, self.history)).collect();
    }

    /// The table of an object named in a path: by name, singular or number.
    pub(super) fn table(&self, name: &str) -> Option<usize> {
        let standard = STANDARD.iter().find(|(number, _)| *number == name).map(|(_, name)| *name);
        let qualified = || name.strip_prefix(&format!("p{}_", self.options.portal)).or(name.strip_prefix("p_"));
        let custom = |name: &str| self.options.objects.iter().any(|custom| custom == name);
        let name = standard.or_else(|| qualified().filter(|name| custom(name))).unwrap_or(name);
        let numbered = name.strip_prefix("2-").and_then(|number| number.parse::<usize>().ok());
        if let Some(number) = numbered.and_then(|number| number.checked_sub(FIRST_CUSTOM)) {
            return Some(number + STANDARD.len()).filter(|position| *position < self.tables.len());
        }
        self.tables
            .iter()
            .position(|table| table.name == name || (name != "companies" && table.name.strip_suffix('s') == Some(name)))
    }

    fn object(&self, name: &str) -> Result<usize, Answer> {
        self.table(name).ok_or_else(|| errors::invalid(&format!("Unable to infer object type from: {name}")))
    }

    /// Where a call goes, or the refusal.
    pub(super) fn route(&self, call: &Call) -> Result<Route, Answer> {
        let segments = call.segments();
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        let rest = match path.as_slice() {
            ["crm", "v3", "objects", rest @ ..] => rest,
            ["crm", "objects", _date, rest @ ..] => rest,
            ["crm", "v3", "properties", object] if call.method == Method::GET => {
                return self.object(object).map(Route::Properties);
            }
            ["crm", "v3", "schemas"] if call.method == Method::GET => return Ok(Route::Schemas),
            ["crm", "v3", "schemas", object] if call.method == Method::GET => {
                return self.object(object).map(Route::Schema);
            }
            ["account-info", "v3", "details"] if call.method == Method::GET => return Ok(Route::Details),
            ["account-info", "v3", "api-usage", "daily", "private-apps"] if call.method == Method::GET => {
                return Ok(Route::Usage);
            }
            _ => return Err(errors::no_route()),
        };
        let posted = call.method == Method::POST;
        match rest {
            [object, "batch", name] if posted => Route::batch(self.object(object)?, name),
            [object] if posted => self.object(object).map(Route::Create),
            [object, id] if [Method::GET, Method::PATCH, Method::DELETE].contains(&call.method) => {
                Ok(Route::One(self.object(object)?, (*id).to_owned()))
            }
            _ => Err(errors::refuse(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "method not allowed")),
        }
    }
}

impl Route {
    fn batch(object: usize, name: &str) -> Result<Self, Answer> {
        match name {
            "upsert" => Ok(Route::Write(object, Write::Upsert)),
            "update" => Ok(Route::Write(object, Write::Update)),
            "create" => Ok(Route::Write(object, Write::Create)),
            "archive" => Ok(Route::Archive(object)),
            "read" => Ok(Route::Read(object)),
            _ => Err(errors::no_route()),
        }
    }
}

fn table(name: &str, number: u64, options: &HubSpotOptions, history: usize) -> Table {
    let mut schema = Schema::standard(name, options.accept_any_property);
    let concerns = |object: Option<&str>| object.is_none_or(|object| object == name);
    for spec in options.properties.iter().filter(|spec| concerns(spec.object.as_deref())) {
        let property = schema.declare(&spec.name, spec.kind.clone(), spec.unique, false);
        if spec.required {
            schema.make_required(property);
        }
    }
    for (_, property) in options.unique.iter().map(|text| scoped(text)).filter(|(object, _)| concerns(*object)) {
        schema.make_unique(property);
    }
    Table::new(name, number, schema, history)
}

impl Vendor for HubSpot {
    fn refuse_credential(&self, call: &Call) -> Option<Answer> {
        let right = self.token.as_ref().is_none_or(|token| call.bears(token));
        (!right).then(errors::unauthorized)
    }

    fn unauthorized(&self) -> Answer {
        errors::unauthorized()
    }

    fn apply(&mut self, call: &Call, rejections: &HashMap<usize, Rejection>, at: Moment) -> Applied {
        match self.route(call) {
            Err(refusal) => Applied::nothing(refusal),
            Ok(Route::Write(object, write)) => self.write_batch(object, write, call, rejections, at.wall),
            Ok(Route::Archive(object)) => self.archive_batch(object, call, rejections, at.wall),
            Ok(Route::Read(object)) => self.read_batch(object, call, at.wall),
            Ok(Route::Create(object)) => self.create_one(object, call, rejections, at.wall),
            Ok(Route::One(object, id)) => self.one(object, &id, call, rejections, at.wall),
            Ok(Route::Properties(object)) => Applied::nothing(self.properties(object)),
            Ok(Route::Schemas) => Applied::nothing(self.schemas()),
            Ok(Route::Schema(object)) => Applied::nothing(self.schema(object)),
            Ok(Route::Details) => Applied::nothing(self.details(at.wall)),
            Ok(Route::Usage) => Applied::nothing(self.usage(at)),
        }
    }

    fn rows(&self, call: &Call) -> Vec<Row> {
        match self.route(call) {
            Ok(Route::Write(object, write)) => self.written_rows(object, write, call),
            Ok(Route::Archive(object) | Route::Read(object)) => self.addressed_rows(object, call),
            Ok(Route::Create(object)) => self.single_row(object, None, call),
            Ok(Route::One(object, id)) => self.single_row(object, Some(&id), call),
            Ok(Route::Properties(_) | Route::Schemas | Route::Schema(_) | Route::Details | Route::Usage) | Err(_) => {
                Vec::new()
            }
        }
    }

    fn throttled(&self, denial: &Denial) -> Answer {
        errors::throttled(denial)
    }

    fn poisoned(&self) -> Answer {
        errors::invalid("Invalid input. The batch could not be processed.")
    }

    fn silent(&self, status: StatusCode) -> Answer {
        Answer::json(status, &json!({ "status": "COMPLETE", "results": [], "errors": [], "numErrors": 0 }))
    }

    fn stamp(&self, quota: &QuotaView, answer: &mut Answer) {
        errors::stamp(quota, answer);
    }

    fn control(&mut self, command: Command, at: Moment) -> Result<Value, String> {
        self.command(command, at.wall)
    }

    fn records(&self, object: &str, offset: usize, limit: usize) -> Result<String, String> {
        let table = self.known(object)?;
        serde_json::to_string(&Page { table, offset, limit }).map_err(|error| error.to_string())
    }

    fn history(&self, object: &str, id: &str) -> Result<Value, String> {
        let table = self.known(object)?;
        let record = id.parse().ok().and_then(|id| table.get(id));
        record.map(|record| history(table, record)).ok_or_else(|| format!("no record `{id}` in `{object}`"))
    }

    fn report(&self) -> Value {
        let count = |table: &Table| {
            let totals = &table.totals;
            json!({
                "live": totals.live, "archived": totals.archived, "merged": totals.merged,
                "created_total": totals.created, "updated_total": totals.updated,
            })
        };
        Value::Object(self.tables.iter().map(|table| (table.name.clone(), count(table))).collect())
    }

    fn reset(&mut self) {
        self.declare();
    }
}

impl HubSpot {
    /// The object type id of a custom object.
    pub(super) fn type_id(position: usize) -> Option<String> {
        position.checked_sub(STANDARD.len()).map(|number| format!("2-{}", FIRST_CUSTOM + number))
    }

    /// The table of an object, or a sentence for the operator.
    pub(super) fn known(&self, object: &str) -> Result<&Table, String> {
        let table = self.table(object).and_then(|position| self.tables.get(position));
        table.ok_or_else(|| format!("no object `{object}`"))
    }
}
