//! Records by key, and the answers kept for idempotency keys.

use std::collections::{HashMap, HashSet, VecDeque};

use ::http::{HeaderName, Method, StatusCode, header};
use serde_json::{Map, Value, json};

use super::{
    HttpOptions,
    body::{Entry, entries, fields},
    log::{LOG, Log},
};
use crate::{
    model::Timestamp,
    simulator::{
        call::{Answer, Call},
        options::CommonOptions,
        quota::{Denial, QuotaView},
        script::Rejection,
        vendor::{Applied, Command, Moment, Row, Touch, Vendor, Writes, hash_of},
    },
};

const OBJECT: &str = "records";
/// Codes of a strict endpoint.
const EXISTS: &str = "exists";
const NOT_FOUND: &str = "not_found";

/// The endpoint's account.
pub(in crate::simulator) struct HttpStore {
    options: HttpOptions,
    token: Option<String>,
    history: usize,
    index: HashMap<String, usize>,
    records: Vec<Record>,
    live: u64,
    created: u64,
    updated: u64,
    /// By idempotency key: the hash of the request, and its answer.
    kept: HashMap<String, (u64, Answer)>,
    /// Hashes of the own idempotency keys of written rows.
    row_keys: HashSet<u64>,
    log: Log,
}

struct Record {
    key: String,
    value: Value,
    removed: bool,
    versions: u64,
    last_write: Option<u64>,
    history: VecDeque<Value>,
}

impl HttpStore {
    /// An account without records.
    pub(in crate::simulator) fn new(options: HttpOptions, common: &CommonOptions) -> Self {
        Self {
            options,
            token: common.token.clone(),
            history: common.history,
            index: HashMap::new(),
            records: Vec::new(),
            live: 0,
            created: 0,
            updated: 0,
            kept: HashMap::new(),
            row_keys: HashSet::new(),
            log: Log::default(),
        }
    }

    fn parse(&self, call: &Call) -> Result<Vec<Entry>, Answer> {
        let segments = call.segments();
        let last = segments.last();
        if call.method == Method::DELETE && call.body.is_empty() {
            return Ok(vec![Entry { key: last.cloned(), row_key: None, value: Value::Null }]);
        }
        entries(&self.options, &call.body, last.map(String::as_str))
            .map_err(|error| refuse(StatusCode::BAD_REQUEST, "invalid_json", &error.to_string()))
    }

    fn write(&mut self, call: &Call, rejections: &HashMap<usize, Rejection>, at: Timestamp) -> Applied {
        let rows = match self.parse(call) {
            Ok(rows) => rows,
            Err(refusal) => return Applied::nothing(refusal),
        };
        let inputs = rows.len();
        let is_log = call.method == Method::POST && self.is_log(call);
        let (mut results, mut touches, mut writes) =
            (Vec::with_capacity(inputs), Vec::with_capacity(inputs), Writes::default());
        for (position, row) in rows.into_iter().enumerate() {
            let id = row.key.clone();
            let verdict = match rejections.get(&position) {
                Some(rejection) => Err((rejection.category.clone(), rejection.message.clone())),
                None if is_log => self.append(row),
                None => self.write_row(&call.method, row, at),
            };
            results.push(match verdict {
                Ok((identical, touch)) => {
                    writes.count(identical);
                    touches.push(touch);
                    json!({ "id": id, "status": "ok" })
                }
                Err((code, message)) => {
                    if let (1, Some(status)) = (inputs, self.strict_status(&code)) {
                        let answer = refuse(status, &code, &message);
                        return Applied { inputs, ..Applied::nothing(answer) };
                    }
                    json!({ "id": id, "status": "error", "error": { "code": code, "message": message } })
                }
            });
        }
        let answer = Answer::json(StatusCode::OK, &json!({ "results": results }));
        Applied { answer, inputs, touches, writes }
    }

    fn is_log(&self, call: &Call) -> bool {
        self.options.log_path.as_ref().is_some_and(|path| call.path.starts_with(path))
    }

    /// The status of a strict refusal of one object.
    fn strict_status(&self, code: &str) -> Option<StatusCode> {
        match code {
            EXISTS if self.options.strict => Some(StatusCode::CONFLICT),
            NOT_FOUND if self.options.strict => Some(StatusCode::NOT_FOUND),
            _ => None,
        }
    }

    fn append(&mut self, row: Entry) -> Result<(bool, Touch), (String, String)> {
        let missing = || ("missing_key".to_owned(), "the event has no key".to_owned());
        let key = row.key.ok_or_else(missing)?;
        let identical = self.log.add(&key, row.row_key.as_deref());
        Ok((identical, touch(&key, hash_of(&row.value))))
    }

    /// Why a strict endpoint refuses a write.
    fn strict_refusal(&self, method: &Method, key: &str) -> Option<&'static str> {
        let found = self.index.get(key).and_then(|position| self.records.get(*position));
        let exists = found.is_some_and(|record| !record.removed);
        match *method {
            Method::POST if self.options.strict && exists => Some(EXISTS),
            Method::PATCH if self.options.strict && !exists => Some(NOT_FOUND),
            _ => None,
        }
    }

    fn write_row(&mut self, method: &Method, row: Entry, at: Timestamp) -> Result<(bool, Touch), (String, String)> {
        let refusal = |code: &str, message: &str| (code.to_owned(), message.to_owned());
        let Some(key) = row.key else {
            return Err(refusal("missing_key", "the record has no key"));
        };
        let touch = touch(&key, payload(method, &row.value));
        if row.row_key.as_ref().is_some_and(|row_key| self.row_keys.contains(&hash_of(row_key))) {
            return Ok((true, touch));
        }
        if let Some(code) = self.strict_refusal(method, &key) {
            return Err(refusal(code, "the record is not as this method wants it"));
        }
        self.row_keys.extend(row.row_key.map(hash_of));
        let identical = if method == Method::DELETE {
            self.remove(&key, at)
        } else if let Value::Object(fields) = row.value {
            self.put(key, fields, method == Method::PATCH, touch.payload, at)
        } else {
            return Err(refusal("invalid_record", &format!("{} is not an object", row.value)));
        };
        Ok((identical, touch))
    }

    fn put(&mut self, key: String, fields: Map<String, Value>, merge: bool, payload: u64, at: Timestamp) -> bool {
        let keep = self.history;
        let position = *self.index.entry(key.clone()).or_insert(self.records.len());
        if position == self.records.len() {
            let (value, history) = (Value::Null, VecDeque::new());
            self.records.push(Record { key, value, removed: true, versions: 0, last_write: None, history });
        }
        let Some(record) = self.records.get_mut(position) else { return false };
        let kind = if record.removed { "created" } else { "updated" };
        let counter = if record.removed { &mut self.created } else { &mut self.updated };
        *counter += 1;
        self.live += u64::from(record.removed);
        record.remember(keep, kind, Some(&fields), at);
        match &mut record.value {
            Value::Object(old) if merge && !record.removed => old.extend(fields),
            value => *value = Value::Object(fields),
        }
        record.removed = false;
        record.last_write.replace(payload) == Some(payload)
    }

    /// Removes a record; `true` when it was gone already.
    fn remove(&mut self, key: &str, at: Timestamp) -> bool {
        let keep = self.history;
        let found = self.index.get(key).and_then(|position| self.records.get_mut(*position));
        let Some(record) = found.filter(|record| !record.removed) else { return true };
        record.remember(keep, "archived", None, at);
        (record.removed, record.last_write) = (true, None);
        self.live -= 1;
        false
    }

    fn read(&self, call: &Call) -> Answer {
        let found = |key: &str| {
            let record = self.records.get(*self.index.get(key)?)?;
            (!record.removed).then_some(&record.value)
        };
        if let Some(keys) = call.query("keys") {
            let rows = keys.split(',').filter_map(|key| Some(json!({ "id": key, "record": found(key)? })));
            return Answer::json(StatusCode::OK, &json!({ "results": rows.collect::<Vec<Value>>() }));
        }
        let key = call.segments().pop().unwrap_or_default();
        found(&key).map_or_else(
            || refuse(StatusCode::NOT_FOUND, "not_found", &format!("no record {key}")),
            |value| Answer::json(StatusCode::OK, value),
        )
    }
}

impl Record {
    fn remember(&mut self, keep: usize, kind: &str, fields: Option<&Map<String, Value>>, at: Timestamp) {
        self.versions += 1;
        if keep > 0 {
            if self.history.len() >= keep {
                self.history.pop_front();
            }
            self.history.push_back(json!({ "at_us": at.as_micros(), "kind": kind, "properties": fields }));
        }
    }
}

impl Vendor for HttpStore {
    fn refuse_credential(&self, call: &Call) -> Option<Answer> {
        let right = self.token.as_ref().is_none_or(|token| call.bears(token));
        (!right).then(|| self.unauthorized())
    }

    fn unauthorized(&self) -> Answer {
        refuse(StatusCode::UNAUTHORIZED, "unauthorized", "missing or wrong bearer token")
    }

    fn apply(&mut self, call: &Call, rejections: &HashMap<usize, Rejection>, at: Moment) -> Applied {
        match call.method {
            Method::GET => return Applied::nothing(self.read(call)),
            Method::PUT | Method::POST | Method::PATCH | Method::DELETE => {}
            _ => return Applied::nothing(refuse(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "wrong method")),
        }
        let Some(key) = call.header("idempotency-key").map(str::to_owned) else {
            return self.write(call, rejections, at.wall);
        };
        let request = hash_of((call.method.as_str(), &call.path, &call.query, &call.body));
        match self.kept.get(&key) {
            Some((first, answer)) if *first == request => {
                let mut answer = answer.clone();
                answer.set(HeaderName::from_static("idempotent-replayed"), "true");
                Applied { inputs: self.rows(call).len(), ..Applied::nothing(answer) }
            }
            Some(_) => {
                let message = "the idempotency key was used for another request";
                Applied::nothing(refuse(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_conflict", message))
            }
            None => {
                let applied = self.write(call, rejections, at.wall);
                self.kept.insert(key, (request, applied.answer.clone()));
                applied
            }
        }
    }

    fn rows(&self, call: &Call) -> Vec<Row> {
        let row = |entry: Entry| {
            let key = entry.key.unwrap_or_default();
            let touch = touch(&key, payload(&call.method, &entry.value));
            Row { properties: fields(&entry.value), touch, key }
        };
        self.parse(call).unwrap_or_default().into_iter().map(row).collect()
    }

    fn throttled(&self, denial: &Denial) -> Answer {
        let mut answer = refuse(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "the quota is spent");
        // Rounded up: a client that waits so long is let in.
        let seconds = denial.wait.as_millis().div_ceil(1000);
        answer.set(header::RETRY_AFTER, &seconds.to_string());
        answer
    }

    fn poisoned(&self) -> Answer {
        refuse(StatusCode::BAD_REQUEST, "invalid_batch", "the batch could not be processed")
    }

    fn silent(&self, status: StatusCode) -> Answer {
        Answer::json(status, &json!({ "results": [] }))
    }

    fn stamp(&self, quota: &QuotaView, answer: &mut Answer) {
        if let Some((window, left)) = quota.window {
            answer.set(HeaderName::from_static("ratelimit-limit"), &window.requests.to_string());
            answer.set(HeaderName::from_static("ratelimit-remaining"), &left.to_string());
        }
    }

    fn control(&mut self, command: Command, at: Moment) -> Result<Value, String> {
        match command {
            Command::Edit { id, properties: Value::Object(fields), .. } => {
                self.put(id.clone(), fields, true, 0, at.wall);
                Ok(json!({ "id": id }))
            }
            Command::Edit { .. } => Err("expected `properties` to be an object".to_owned()),
            Command::Archive { id, .. } => {
                self.remove(&id, at.wall);
                Ok(json!({ "id": id }))
            }
            Command::Merge { .. } | Command::SecondaryEmail { .. } => Err("only HubSpot has that".to_owned()),
        }
    }

    fn records(&self, object: &str, offset: usize, limit: usize) -> Result<String, String> {
        if object == LOG && self.options.log_path.is_some() {
            return Ok(self.log.page(offset, limit));
        }
        known(object)?;
        let page = self.records.iter().skip(offset).take(limit).map(|record| {
            json!({
                "id": record.key, "properties": record.value, "archived": record.removed, "versions": record.versions,
            })
        });
        Ok(page.collect::<Value>().to_string())
    }

    fn history(&self, object: &str, id: &str) -> Result<Value, String> {
        known(object)?;
        let record = self.index.get(id).and_then(|position| self.records.get(*position));
        record.map(|record| record.history.iter().cloned().collect()).ok_or_else(|| format!("no record `{id}`"))
    }

    fn report(&self) -> Value {
        let archived = self.records.len() as u64 - self.live;
        let mut report = json!({ OBJECT: {
            "live": self.live, "archived": archived, "created_total": self.created, "updated_total": self.updated,
        } });
        if let Some(objects) = report.as_object_mut().filter(|_| self.options.log_path.is_some()) {
            objects.insert(LOG.to_owned(), self.log.report());
        }
        report
    }

    fn reset(&mut self) {
        self.index.clear();
        self.records.clear();
        self.kept.clear();
        self.row_keys.clear();
        self.log = Log::default();
        (self.live, self.created, self.updated) = (0, 0, 0);
    }
}

fn known(object: &str) -> Result<(), String> {
    if object == OBJECT { Ok(()) } else { Err(format!("no object `{object}`, only `{OBJECT}`")) }
}

fn payload(method: &Method, value: &Value) -> u64 {
    if method == Method::DELETE { 0 } else { hash_of(value) }
}

/// A record here has no id but its key.
fn touch(key: &str, payload: u64) -> Touch {
    Touch { key: hash_of(key), record: None, payload }
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Answer {
    Answer::json(status, &json!({ "error": { "code": code, "message": message } }))
}
