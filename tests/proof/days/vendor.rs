//! The vendor: accounts with records by key, limits, faults, and an eye on what the daemon may not do.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use fastrand::Rng;
use futures_util::future::BoxFuture;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use syncline::wire::{NetworkFault, Transport};

use super::{
    faults::{Fate, fate, hold},
    script::{AccountScript, Script},
    tokens::Tokens,
    trace::Trace,
};

/// What becomes of a key: `None` removes it.
pub(super) type Op = ((String, String), Option<String>);
type Answer = Result<Response<Bytes>, NetworkFault>;

/// The vendor of all accounts.
#[derive(Clone)]
pub(super) struct Vendor {
    script: Arc<Script>,
    trace: Trace,
    world: Arc<Mutex<World>>,
}

/// What it knows.
pub(super) struct World {
    rng: Rng,
    pub(super) accounts: Vec<Account>,
    pub(super) tokens: Tokens,
    /// What the daemon did and may not do.
    pub(super) violations: Vec<String>,
    requests: u64,
}

/// One account.
#[derive(Default)]
pub(super) struct Account {
    pub(super) records: BTreeMap<(String, String), String>,
    /// Requests of the last window.
    recent: VecDeque<Duration>,
    /// By the daemon's date.
    pub(super) days: BTreeMap<i64, u32>,
    under_way: u32,
    busy: BTreeMap<(String, String), u32>,
    late: Vec<(u64, Op)>,
    /// No request before this.
    held_until: Duration,
    failures: u32,
    probe_after: Duration,
    pub(super) requests: u64,
    pub(super) arrivals: Vec<Duration>,
    /// All writes, whatever became of them.
    pub(super) writes: Vec<Write>,
    /// Writes that were applied and answered, with their times.
    pub(super) served: Vec<(Duration, Vec<Op>)>,
}

/// One request that writes.
pub(super) struct Write {
    pub(super) at: Duration,
    pub(super) object: String,
    pub(super) ops: Vec<Op>,
}

/// A request under way.
struct Call {
    vendor: Vendor,
    number: u64,
    account: usize,
    object: String,
    ops: Vec<Op>,
    ended: bool,
}

impl Vendor {
    pub(super) fn new(script: &Arc<Script>, trace: &Trace, rng: Rng) -> Self {
        let world = World {
            rng,
            accounts: script.accounts.iter().map(|_| Account::default()).collect(),
            tokens: Tokens::default(),
            violations: Vec::new(),
            requests: 0,
        };
        Self { script: script.clone(), trace: trace.clone(), world: Arc::new(Mutex::new(world)) }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    async fn serve(self, request: Request<Bytes>) -> Answer {
        let port = request.uri().port_u16().unwrap();
        let account = self.script.accounts.iter().position(|account| account.port == port).unwrap();
        let wait = Duration::from_millis(self.world().rng.u64(20..250));
        if request.uri().path() == "/token" {
            tokio::time::sleep(wait).await;
            return Ok(self.world().tokens.answer(request.body(), &self.script, &self.trace));
        }
        let (mut call, fate) = self.arrive(account, &request);
        tokio::time::sleep(wait).await;
        if let Fate::Late { after, .. } = fate {
            call.applies_late(after - wait.min(after));
        }
        if matches!(fate, Fate::Hangs | Fate::Late { lost: false, .. }) {
            std::future::pending::<()>().await;
        }
        call.end(&fate)
    }

    /// Notes a request, and what it may not be.
    fn arrive(&self, index: usize, request: &Request<Bytes>) -> (Call, Fate) {
        let (object, ops) = ops(request);
        let at = self.trace.now();
        let mut world = self.world();
        let world = &mut *world;
        let script = &self.script.accounts[index];
        world.requests += 1;
        let authorized = !script.oauth || world.tokens.is_valid(request, at);
        let fate = match authorized {
            true => fate(&self.script, script, &object, at, &mut world.rng),
            false => Fate::Revoked,
        };
        if fate == Fate::Revoked {
            world.tokens.revoke();
        }
        let date = self.script.wall(at).div_euclid(86_400_000_000);
        let problems = world.accounts[index].arrives(script, at, date, &ops, fate != Fate::Refused);
        let who = format!("{} {} {}", script.name, request.method(), request.uri().path());
        world.violations.extend(problems.into_iter().map(|what| format!("{what}: {who} at {:.3} s", at.as_secs_f64())));
        let fields = [
            ("account", script.name.to_owned()),
            ("path", request.uri().path().to_owned()),
            ("rows", ops.len().to_string()),
            ("number", world.requests.to_string()),
            ("fate", fate.text()),
        ];
        self.trace.add("request", fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
        let call = Call { vendor: self.clone(), number: world.requests, account: index, object, ops, ended: false };
        (call, fate)
    }
}

impl Transport for Vendor {
    fn carry(&self, request: Request<Bytes>) -> BoxFuture<'static, Answer> {
        Box::pin(self.clone().serve(request))
    }
}

/// The object and what the request does to which keys.
fn ops(request: &Request<Bytes>) -> (String, Vec<Op>) {
    let mut path = request.uri().path().split('/').skip(1);
    let (object, key) = (path.next().unwrap_or_default().to_owned(), path.next().unwrap_or_default().to_owned());
    match *request.method() {
        Method::GET => (String::new(), Vec::new()),
        Method::DELETE => (object.clone(), vec![((object, key), None)]),
        _ => {
            let body: Value = serde_json::from_slice(request.body()).unwrap();
            let rows = body["rows"].as_array().unwrap();
            let op =
                |row: &Value| ((object.clone(), row["id"].to_string()), Some(row["value"].as_str().unwrap().into()));
            (object.clone(), rows.iter().map(op).collect())
        }
    }
}

impl Account {
    /// Notes a request; answers what it may not be. Without a connection it counts for nothing (`counts`).
    fn arrives(&mut self, script: &AccountScript, at: Duration, date: i64, ops: &[Op], counts: bool) -> Vec<String> {
        let mut problems = Vec::new();
        self.requests += 1;
        self.arrivals.push(at);
        if let Some(((object, _), _)) = ops.first() {
            self.writes.push(Write { at, object: object.clone(), ops: ops.to_vec() });
        }
        if let Some((limit, per)) = script.window.filter(|_| counts) {
            self.recent.retain(|before| *before + per > at);
            self.recent.push_back(at);
            if self.recent.len() > limit as usize {
                problems.push(format!("{} requests within {per:?}", self.recent.len()));
            }
        }
        let today = self.days.entry(date).or_default();
        *today += u32::from(counts);
        if script.daily.is_some_and(|daily| *today > daily) {
            problems.push(format!("request {today} of the day"));
        }
        self.under_way += 1;
        if script.concurrent.is_some_and(|limit| self.under_way > limit) {
            problems.push(format!("{} requests at once", self.under_way));
        }
        if at < self.held_until {
            problems.push(format!("{:?} before the end of a hold", self.held_until - at));
        }
        if self.failures >= 3 && at < self.probe_after {
            problems.push(format!("{:?} before the next probe of an outage", self.probe_after - at));
        }
        for (key, value) in ops {
            let busy = self.busy.entry(key.clone()).or_default();
            *busy += 1;
            if *busy > 1 {
                problems.push(format!("two operations in flight for {key:?}"));
            }
            if self.late.iter().any(|(_, (late, before))| late == key && before != value) {
                problems.push(format!("another change inside the late window of {key:?}"));
            }
        }
        problems
    }

    fn apply(&mut self, op: &Op) {
        match op {
            (key, Some(value)) => drop(self.records.insert(key.clone(), value.clone())),
            (key, None) => drop(self.records.remove(key)),
        }
    }

    fn leaves(&mut self, at: Duration, ops: &[Op], failed: bool) {
        self.under_way -= 1;
        for (key, _) in ops {
            *self.busy.get_mut(key).unwrap() -= 1;
        }
        self.failures = if failed { self.failures + 1 } else { 0 };
        if self.failures >= 3 {
            self.probe_after = at + Duration::from_secs(30);
        }
    }
}

impl Call {
    /// Applies the request when the daemon has long given it up.
    fn applies_late(&self, after: Duration) {
        let (vendor, number, account, ops) = (self.vendor.clone(), self.number, self.account, self.ops.clone());
        vendor.world().accounts[account].late.extend(ops.iter().map(|op| (number, op.clone())));
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let mut world = vendor.world();
            let account = &mut world.accounts[account];
            ops.iter().for_each(|op| account.apply(op));
            account.late.retain(|(of, _)| *of != number);
        });
    }

    /// Applies what is to be applied, and answers.
    fn end(&mut self, fate: &Fate) -> Answer {
        let at = self.vendor.trace.now();
        let applied = matches!(
            fate,
            Fate::Served
                | Fate::Garbage
                | Fate::Omits
                | Fate::Lost { applied: true }
                | Fate::Trouble { applied: true, .. }
        );
        let failed = match fate {
            Fate::Refused | Fate::Lost { .. } | Fate::Late { .. } | Fate::Hangs => true,
            Fate::Trouble { status, .. } => *status >= 500,
            Fate::Served | Fate::Throttled(_) | Fate::Garbage | Fate::Omits | Fate::Revoked => false,
        };
        {
            let mut world = self.vendor.world();
            let account = &mut world.accounts[self.account];
            if applied {
                self.ops.iter().for_each(|op| account.apply(op));
            }
            if *fate == Fate::Served && !self.ops.is_empty() {
                account.served.push((at, self.ops.clone()));
            }
            if let Fate::Throttled(text) = fate {
                let until = at + hold(text.as_deref(), self.vendor.script.wall(at));
                account.held_until = account.held_until.max(until);
            }
            account.leaves(at, &self.ops, failed);
        }
        self.ended = true;
        self.answer(fate)
    }

    fn answer(&self, fate: &Fate) -> Answer {
        let (status, retry_after, body) = match fate {
            Fate::Refused => return Err(NetworkFault::Refused),
            Fate::Lost { .. } | Fate::Late { .. } | Fate::Hangs => return Err(NetworkFault::Lost),
            Fate::Throttled(text) => (429, text.clone(), json!({})),
            Fate::Trouble { status, retry_after, .. } => (*status, retry_after.clone(), json!({})),
            Fate::Revoked => (401, None, json!({})),
            Fate::Garbage => (200, None, json!("<html>")),
            Fate::Served if self.object.is_empty() => {
                (200, None, json!({ "account": self.vendor.script.accounts[self.account].name }))
            }
            Fate::Served => (200, None, self.results(self.ops.len())),
            Fate::Omits => (200, None, self.results(self.ops.len() / 2)),
        };
        let script = &self.vendor.script;
        let now = jiff::Timestamp::from_microsecond(script.wall(self.vendor.trace.now())).expect("a time of this year");
        let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let answer = Response::builder().status(status).header("content-type", "application/json").header("date", date);
        let answer = match retry_after {
            Some(text) => answer.header("retry-after", text),
            None => answer,
        };
        Ok(answer.body(Bytes::from(body.to_string())).unwrap())
    }

    fn results(&self, rows: usize) -> Value {
        let result = |op: &Op| json!({ "id": op.0.1, "status": "ok" });
        json!({ "results": self.ops.iter().take(rows).map(result).collect::<Vec<_>>() })
    }
}

impl Drop for Call {
    /// The daemon has given the request up.
    fn drop(&mut self) {
        if !self.ended {
            let at = self.vendor.trace.now();
            self.vendor.world().accounts[self.account].leaves(at, &self.ops, true);
        }
    }
}
