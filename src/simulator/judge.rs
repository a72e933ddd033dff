//! Counts what arrived. The report's `requests`, `writes`, `overlap` and `idempotency` come from here:
//!
//! - `requests`: `total`, `allowed` (admitted by every quota), `too_many` (429s of quotas), `inputs` (rows in all
//!   requests), `in_flight`, `max_in_flight`, `first_arrival_us`, `last_arrival_us`, `last_allowed_us` (microseconds
//!   since the start or the last reset), and per endpoint `total` and counts per `status` (`none`: no answer was sent);
//! - `writes`: applied rows whose content equals (`identical`) or differs from (`different`) the write before it to the
//!   same record (the first write of a record is `different`);
//! - `overlap`: rows that arrived while another request that held the same record was unanswered, with the same content
//!   (`identical`) or another one (`different`); `late_*`: one of the two is a late or slow request that was still to be
//!   applied;
//! - `idempotency`: distinct keys `seen`, requests that `repeated` one, and of those how many with another body.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    call::Call,
    quota::micros,
    vendor::{Touch, Writes, hash_of},
};

/// Endpoints counted apart: a JSON endpoint may have keys in its paths.
const MAX_ENDPOINTS: usize = 200;

/// Counters and the request log since the last reset.
pub(super) struct Judge {
    origin: Instant,
    keep_bodies: bool,
    capacity: usize,
    /// Numbers requests over resets.
    next: u64,
    log: VecDeque<Entry>,
    totals: Totals,
    endpoints: BTreeMap<String, Endpoint>,
    flights: HashMap<u64, Vec<Flight>>,
    keys: HashMap<u64, u64>,
}

#[derive(Default)]
struct Totals {
    total: u64,
    allowed: u64,
    too_many: u64,
    inputs: u64,
    in_flight: u64,
    max_in_flight: u64,
    first_arrival: Option<Instant>,
    last_arrival: Option<Instant>,
    last_allowed: Option<Instant>,
    writes: Writes,
    overlap: Writes,
    late_overlap: Writes,
    repeated: u64,
    conflicting: u64,
}

#[derive(Default)]
struct Endpoint {
    total: u64,
    statuses: BTreeMap<String, u64>,
}

struct Entry {
    no: u64,
    method: String,
    path: String,
    arrival: Instant,
    status: Option<u16>,
    fault: Option<&'static str>,
    inputs: usize,
    idempotency_key: Option<String>,
    body: Option<Bytes>,
}

struct Flight {
    no: u64,
    payload: u64,
    late: bool,
}

impl Judge {
    /// Nothing counted yet.
    pub(super) fn new(now: Instant, capacity: usize, keep_bodies: bool) -> Self {
        Self {
            origin: now,
            keep_bodies,
            capacity,
            next: 1,
            log: VecDeque::new(),
            totals: Totals::default(),
            endpoints: BTreeMap::new(),
            flights: HashMap::new(),
            keys: HashMap::new(),
        }
    }

    /// Forgets counts and log; requests in flight stay known to the overlap check.
    pub(super) fn reset(&mut self, now: Instant) {
        self.origin = now;
        self.log.clear();
        self.endpoints.clear();
        self.keys.clear();
        self.totals = Totals { in_flight: self.totals.in_flight, ..Totals::default() };
    }

    /// The start of the report's times.
    pub(super) fn origin(&self) -> Instant {
        self.origin
    }

    /// Requests that arrived since the last reset.
    pub(super) fn total(&self) -> u64 {
        self.totals.total
    }

    /// Notes an arrival; answers its number and the endpoint under which [`Judge::finish`] counts its status.
    pub(super) fn arrive(&mut self, call: &Call, now: Instant) -> (u64, String) {
        let no = self.next;
        self.next += 1;
        let totals = &mut self.totals;
        totals.total += 1;
        totals.in_flight += 1;
        totals.max_in_flight = totals.max_in_flight.max(totals.in_flight);
        totals.first_arrival.get_or_insert(now);
        totals.last_arrival = Some(now);
        let mut endpoint = endpoint(call);
        if self.endpoints.len() >= MAX_ENDPOINTS && !self.endpoints.contains_key(&endpoint) {
            endpoint = format!("{} (others)", call.method);
        }
        self.endpoints.entry(endpoint.clone()).or_default().total += 1;
        if self.log.len() >= self.capacity.max(1) {
            self.log.pop_front();
        }
        self.log.push_back(Entry {
            no,
            method: call.method.to_string(),
            path: call.path.clone(),
            arrival: now,
            status: None,
            fault: None,
            inputs: 0,
            idempotency_key: call.header("idempotency-key").map(str::to_owned),
            body: None,
        });
        (no, endpoint)
    }

    /// Notes the quota's verdict.
    pub(super) fn admitted(&mut self, now: Instant, allowed: bool) {
        if allowed {
            self.totals.allowed += 1;
            self.totals.last_allowed = Some(now);
        } else {
            self.totals.too_many += 1;
        }
    }

    /// Notes the body and the idempotency key.
    pub(super) fn read(&mut self, no: u64, call: &Call) {
        if let Some(key) = call.header("idempotency-key") {
            let body = hash_of(&call.body);
            if let Some(first) = self.keys.insert(hash_of(key), body) {
                self.totals.repeated += 1;
                self.totals.conflicting += u64::from(first != body);
            }
        }
        let body = self.keep_bodies.then(|| call.body.clone());
        if let Some(entry) = self.entry(no) {
            entry.body = body;
        }
    }

    /// Notes the fault that struck.
    pub(super) fn struck(&mut self, no: u64, fault: &'static str) {
        if let Some(entry) = self.entry(no) {
            entry.fault = Some(fault);
        }
    }

    /// Notes the effect of a request.
    pub(super) fn applied(&mut self, no: u64, inputs: usize, writes: Writes) {
        self.wrote(writes);
        self.inputs(no, inputs);
    }

    /// Counts applied rows.
    pub(super) fn wrote(&mut self, writes: Writes) {
        self.totals.writes.identical += writes.identical;
        self.totals.writes.different += writes.different;
    }

    /// Notes how many rows a request carried.
    pub(super) fn inputs(&mut self, no: u64, inputs: usize) {
        self.totals.inputs += inputs as u64;
        if let Some(entry) = self.entry(no) {
            entry.inputs = inputs;
        }
    }

    /// The rows of a request take off: they overlap with those of others that have not landed.
    pub(super) fn take_off(&mut self, no: u64, touches: &[Touch], late: bool) {
        for touch in touches {
            let others = places(touch).filter_map(|place| self.flights.get(&place)).flatten();
            if let Some(other) = others.into_iter().find(|flight| flight.no != no) {
                let tally = if late || other.late { &mut self.totals.late_overlap } else { &mut self.totals.overlap };
                tally.count(other.payload == touch.payload);
            }
            for place in places(touch) {
                self.flights.entry(place).or_default().push(Flight { no, payload: touch.payload, late });
            }
        }
    }

    /// The rows of a request land: it is answered, given up or applied.
    pub(super) fn land(&mut self, no: u64, touches: &[Touch]) {
        for place in touches.iter().flat_map(places) {
            if let Some(flights) = self.flights.get_mut(&place) {
                flights.retain(|flight| flight.no != no);
                if flights.is_empty() {
                    self.flights.remove(&place);
                }
            }
        }
    }

    /// Notes the end of a request; `None` when no answer was sent.
    pub(super) fn finish(&mut self, no: u64, endpoint: &str, status: Option<u16>) {
        self.totals.in_flight = self.totals.in_flight.saturating_sub(1);
        let name = status.map_or_else(|| "none".to_owned(), |code| code.to_string());
        if let Some(endpoint) = self.endpoints.get_mut(endpoint) {
            *endpoint.statuses.entry(name).or_default() += 1;
        }
        if let Some(entry) = self.entry(no) {
            entry.status = status;
        }
    }

    fn entry(&mut self, no: u64) -> Option<&mut Entry> {
        let first = self.log.front()?.no;
        self.log.get_mut(usize::try_from(no.checked_sub(first)?).ok()?)
    }

    /// The judge's part of the report.
    pub(super) fn report(&self) -> Value {
        let t = &self.totals;
        let time = |at: Option<Instant>| at.map(|at| micros(at, self.origin));
        let endpoints: serde_json::Map<String, Value> = self
            .endpoints
            .iter()
            .map(|(name, seen)| (name.clone(), json!({ "total": seen.total, "status": seen.statuses })))
            .collect();
        json!({
            "requests": {
                "total": t.total, "allowed": t.allowed, "too_many": t.too_many, "inputs": t.inputs,
                "in_flight": t.in_flight, "max_in_flight": t.max_in_flight,
                "first_arrival_us": time(t.first_arrival), "last_arrival_us": time(t.last_arrival),
                "last_allowed_us": time(t.last_allowed), "by_endpoint": endpoints,
            },
            "writes": { "identical": t.writes.identical, "different": t.writes.different },
            "overlap": {
                "identical": t.overlap.identical, "different": t.overlap.different,
                "late_identical": t.late_overlap.identical, "late_different": t.late_overlap.different,
            },
            "idempotency": { "seen": self.keys.len(), "repeated": t.repeated, "conflicting": t.conflicting },
        })
    }

    /// The latest requests, oldest first.
    pub(super) fn requests(&self, limit: usize) -> Vec<Value> {
        let skip = self.log.len().saturating_sub(limit);
        let line = |entry: &Entry| {
            json!({
                "no": entry.no, "method": entry.method, "path": entry.path,
                "arrival_us": micros(entry.arrival, self.origin), "status": entry.status, "fault": entry.fault,
                "inputs": entry.inputs, "idempotency_key": entry.idempotency_key,
                "body": entry.body.as_ref().map(|body| String::from_utf8_lossy(body).into_owned()),
            })
        };
        self.log.iter().skip(skip).map(line).collect()
    }
}

fn places(touch: &Touch) -> impl Iterator<Item = u64> {
    [Some(touch.key), touch.record].into_iter().flatten()
}

/// Method and path, with numbers in the path folded, so that the report stays small.
fn endpoint(call: &Call) -> String {
    let folded = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = call.path.split('/').map(|part| if folded(part) { "{id}" } else { part }).collect();
    format!("{} {}", call.method, parts.join("/"))
}
