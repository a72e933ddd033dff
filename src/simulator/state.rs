//! The one account that all connections share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use super::{
    VendorConfig, VendorOptions,
    call::{Answer, Call},
    chaos::Dice,
    faults::{FaultBook, Strike},
    http::HttpStore,
    hubspot::HubSpot,
    judge::Judge,
    options::CommonOptions,
    quota::{Denial, Quota},
    script::Rejection,
    tokens::TokenService,
    vendor::{Applied, Moment, Row, Touch, Vendor},
};
use crate::shutdown::Shutdown;

/// What every connection task holds.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Vendor requests that arrived since the last reset.
    pub(super) arrivals: watch::Sender<u64>,
    pub(super) latency: Duration,
    /// Ends hanging requests and late timers.
    pub(super) stopping: Shutdown,
}

impl Shared {
    pub(super) fn new(config: VendorConfig) -> Arc<Self> {
        let latency = config.common.latency;
        let state = Mutex::new(State::new(config));
        Arc::new(Self { state, arrivals: watch::Sender::new(0), latency, stopping: Shutdown::new() })
    }

    /// The account. Never held across an await.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The account: vendor, quotas, faults, judge and late requests.
pub(super) struct State {
    pub(super) vendor: Box<dyn Vendor>,
    pub(super) faults: FaultBook,
    pub(super) judge: Judge,
    /// In front of the vendor, where access tokens are demanded.
    pub(super) tokens: Option<TokenService>,
    options: CommonOptions,
    quota: Quota,
    late: HashMap<u64, Late>,
    late_applied: u64,
    latest_arrival: Instant,
}

struct Late {
    call: Arc<Call>,
    touches: Vec<Touch>,
    rejections: HashMap<usize, Rejection>,
    /// Where the answer goes, if somebody may still wait for it.
    reply: Option<oneshot::Sender<Answer>>,
}

impl State {
    fn new(config: VendorConfig) -> Self {
        let VendorConfig { vendor, mut common } = config;
        let vendor: Box<dyn Vendor> = match vendor {
            VendorOptions::HubSpot(options) => Box::new(HubSpot::new(options, &common)),
            VendorOptions::Http(options) => Box::new(HttpStore::new(options, &common)),
        };
        let faults = FaultBook::new(std::mem::take(&mut common.faults), common.chaos.take().map(Dice::new));
        Self {
            vendor,
            faults,
            judge: Judge::new(Instant::now(), common.log_requests, common.keep_bodies),
            quota: quota(&common),
            tokens: common.tokens.clone().map(TokenService::new),
            options: common,
            late: HashMap::new(),
            late_applied: 0,
            latest_arrival: Instant::now(),
        }
    }

    /// Counts an arrival: its number, its endpoint, and what credential and quota say. Arrivals are counted in order: one
    /// that was overtaken counts as arriving with the one before it.
    pub(super) fn arrive(&mut self, call: &Call, now: Instant) -> (u64, String, Option<Answer>) {
        let now = now.max(self.latest_arrival);
        self.latest_arrival = now;
        let (no, endpoint) = self.judge.arrive(call, now);
        if self.is_for_tokens(call) {
            return (no, endpoint, None);
        }
        let expired = self.tokens.as_mut().is_some_and(|tokens| !tokens.accepts(call));
        let unauthorized = if expired { Some(self.vendor.unauthorized()) } else { self.vendor.refuse_credential(call) };
        (no, endpoint, unauthorized.or_else(|| self.admit(now)))
    }

    fn is_for_tokens(&self, call: &Call) -> bool {
        self.tokens.is_some() && TokenService::serves(call)
    }

    /// Runs a call: at the token endpoint or at the vendor.
    fn execute(&mut self, call: &Call, rejections: &HashMap<usize, Rejection>) -> Applied {
        match self.tokens.as_mut().filter(|_| TokenService::serves(call)) {
            Some(tokens) => Applied::nothing(tokens.answer(call)),
            None => {
                let at = self.moment();
                self.vendor.apply(call, rejections, at)
            }
        }
    }

    fn rows(&self, call: &Call) -> Vec<Row> {
        if self.is_for_tokens(call) { Vec::new() } else { self.vendor.rows(call) }
    }

    fn admit(&mut self, now: Instant) -> Option<Answer> {
        let verdict = self.quota.admit(now, self.options.clock.now());
        self.judge.admitted(now, verdict.is_ok());
        verdict.err().map(|denial| self.throttle(&denial))
    }

    /// The vendor's 429 with its headers.
    pub(super) fn throttle(&self, denial: &Denial) -> Answer {
        let mut answer = self.vendor.throttled(denial);
        self.vendor.stamp(&denial.quota, &mut answer);
        if let Some(text) = &denial.retry_after {
            answer.set(::http::header::RETRY_AFTER, text);
        }
        answer
    }

    /// A 429 that only a fault asks for.
    pub(super) fn invented_throttle(&self, daily: bool, retry_after: Option<String>) -> Answer {
        self.throttle(&self.quota.invented(daily, retry_after))
    }

    /// What strikes an admitted call.
    pub(super) fn strike(&mut self, no: u64, call: &Call) -> Strike {
        self.judge.read(no, call);
        let vendor = &self.vendor;
        let strike = self.faults.strike(call, || vendor.rows(call));
        if let Some((_, action)) = &strike.action {
            self.judge.struck(no, action.name());
        }
        strike
    }

    /// Applies a call; its rows are in flight until they land.
    pub(super) fn apply(&mut self, no: u64, call: &Call, rejections: &HashMap<usize, Rejection>) -> Applied {
        let mut applied = self.execute(call, rejections);
        self.judge.applied(no, applied.inputs, applied.writes);
        self.judge.take_off(no, &applied.touches, false);
        self.vendor.stamp(&self.quota.view(), &mut applied.answer);
        applied
    }

    /// Notes the rows of a call that is answered without being applied.
    pub(super) fn skip(&mut self, no: u64, call: &Call) {
        let inputs = self.rows(call).len();
        self.judge.inputs(no, inputs);
    }

    /// Keeps a call to apply it late.
    pub(super) fn postpone(
        &mut self,
        no: u64,
        call: Arc<Call>,
        rejections: HashMap<usize, Rejection>,
        reply: Option<oneshot::Sender<Answer>>,
    ) {
        let touches: Vec<Touch> = self.rows(&call).iter().map(|row| row.touch).collect();
        self.judge.inputs(no, touches.len());
        self.judge.take_off(no, &touches, true);
        self.late.insert(no, Late { call, touches, rejections, reply });
    }

    /// Applies a late call, unless that happened already.
    pub(super) fn apply_late(&mut self, no: u64) {
        let Some(late) = self.late.remove(&no) else { return };
        let mut applied = self.execute(&late.call, &late.rejections);
        self.judge.wrote(applied.writes);
        self.judge.land(no, &late.touches);
        self.late_applied += 1;
        if let Some(reply) = late.reply {
            self.vendor.stamp(&self.quota.view(), &mut applied.answer);
            // The client may have gone.
            reply.send(applied.answer).ok();
        }
    }

    /// Applies every late call in the order of arrival; answers how many.
    pub(super) fn release(&mut self) -> usize {
        let mut numbers: Vec<u64> = self.late.keys().copied().collect();
        numbers.sort_unstable();
        numbers.iter().for_each(|no| self.apply_late(*no));
        numbers.len()
    }

    /// The wall time and the quotas now.
    pub(super) fn moment(&self) -> Moment {
        Moment { wall: self.options.clock.now(), quota: self.quota.view() }
    }

    /// Forgets requests, counts and quotas; keeps records, faults and late requests.
    pub(super) fn reset_requests(&mut self) {
        self.judge.reset(Instant::now());
        self.faults.reset_counts();
        self.quota = quota(&self.options);
        self.late_applied = 0;
    }

    /// Forgets everything, faults too.
    pub(super) fn reset(&mut self) {
        for (no, late) in std::mem::take(&mut self.late) {
            self.judge.land(no, &late.touches);
        }
        self.vendor.reset();
        self.tokens = self.options.tokens.clone().map(TokenService::new);
        self.faults.clear();
        self.reset_requests();
    }

    /// Everything the judge knows.
    pub(super) fn report(&self) -> Value {
        let (windows, daily) = self.quota.report(self.judge.origin());
        let mut report = self.judge.report();
        if let Some(fields) = report.as_object_mut() {
            fields.insert("objects".to_owned(), self.vendor.report());
            fields.insert("windows".to_owned(), windows);
            fields.insert("daily".to_owned(), daily);
            let late = json!({ "pending": self.late.len(), "applied": self.late_applied });
            fields.insert("late".to_owned(), late);
            if let Some(tokens) = &self.tokens {
                fields.insert("tokens".to_owned(), tokens.report());
            }
            fields.insert("faults".to_owned(), json!(self.faults.fired()));
        }
        report
    }
}

fn quota(options: &CommonOptions) -> Quota {
    Quota::new(&options.limits, options.daily, options.time_zone.clone())
}
