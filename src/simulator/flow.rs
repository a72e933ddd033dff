//! One vendor request from its arrival to its answer: count, credential, quota, fault, apply, wait, answer.

use std::{convert::Infallible, sync::Arc, task::Poll, time::Duration};

use ::http::{HeaderName, StatusCode, header};
use axum::{
    body::{Body, to_bytes},
    extract::Request,
    response::Response,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use super::{
    call::{Answer, Call},
    faults::Strike,
    script::{Action, Phase},
    server::Switch,
    state::Shared,
    vendor::Touch,
};

/// More than any vendor takes in one request, in bytes.
const MAX_BODY: usize = 64 << 20;

/// How a request ends.
enum End {
    Answer(Answer),
    /// The connection ends in the middle of the answer.
    Truncated(Answer),
    /// The connection ends without an answer.
    Cut,
}

/// A request that has not ended. Dropped without a status, no answer was sent.
struct Ticket {
    shared: Arc<Shared>,
    no: u64,
    endpoint: String,
    touches: Vec<Touch>,
    status: Option<u16>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.judge.land(self.no, &self.touches);
        state.judge.finish(self.no, &self.endpoint, self.status);
    }
}

/// Answers one vendor request.
pub(super) async fn respond(shared: Arc<Shared>, switch: Switch, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut call = Call {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        body: Bytes::new(),
    };
    let (mut ticket, refusal) = arrive(shared, &call);
    // A refused request is read too: the connection stays usable.
    let end = match (to_bytes(body, MAX_BODY).await, refusal) {
        (Err(_), _) => End::Answer(Answer::empty(StatusCode::PAYLOAD_TOO_LARGE)),
        (Ok(_), Some(refusal)) => End::Answer(refusal),
        (Ok(body), None) => {
            call.body = body;
            ticket.run(Arc::new(call)).await
        }
    };
    if !ticket.shared.latency.is_zero() {
        sleep(ticket.shared.latency).await;
    }
    match end {
        End::Answer(answer) => {
            ticket.status = Some(answer.status.as_u16());
            answer.into_response()
        }
        End::Truncated(answer) => truncated(answer),
        End::Cut => {
            switch.cut();
            Response::new(Body::empty())
        }
    }
}

fn arrive(shared: Arc<Shared>, call: &Call) -> (Ticket, Option<Answer>) {
    // Read before the lock: waiting while another request is applied is not the client's delay.
    let now = Instant::now();
    let (no, endpoint, refusal) = {
        let mut state = shared.lock();
        let arrived = state.arrive(call, now);
        shared.arrivals.send_replace(state.judge.total());
        arrived
    };
    (Ticket { shared, no, endpoint, touches: Vec::new(), status: None }, refusal)
}

impl Ticket {
    async fn run(&mut self, call: Arc<Call>) -> End {
        let strike = self.shared.lock().strike(self.no, &call);
        let Some((phase, action)) = strike.action.clone() else {
            return End::Answer(self.apply(&call, &strike));
        };
        match action {
            Action::RejectRow(_) => End::Answer(self.apply(&call, &strike)),
            Action::PoisonBatch => End::Answer(self.skipping(&call, |state| state.vendor.poisoned())),
            Action::Silent { code } => End::Answer(self.skipping(&call, |state| state.vendor.silent(status(code)))),
            Action::RateLimit { retry_after, daily } => {
                End::Answer(self.skipping(&call, |state| state.invented_throttle(daily, retry_after)))
            }
            Action::Status { code, body, headers } => {
                self.before(phase, &call, &strike);
                let body = body.map_or_else(String::new, |body| body.to_string());
                let mut answer = Answer::raw_json(status(code), body);
                for (name, value) in headers.iter().filter_map(|(name, value)| Some((name.parse().ok()?, value))) {
                    let name: HeaderName = name;
                    answer.set(name, value);
                }
                End::Answer(answer)
            }
            Action::Html { code } => {
                self.before(phase, &call, &strike);
                let page = "<html><body><h1>Bad gateway</h1></body></html>";
                End::Answer(Answer::typed(status(code), "text/html", page))
            }
            Action::Close => {
                self.before(phase, &call, &strike);
                End::Cut
            }
            Action::DropAnswer => {
                self.apply(&call, &strike);
                End::Cut
            }
            Action::Truncate => End::Truncated(self.apply(&call, &strike)),
            Action::Slow { delay } => self.slow(phase, delay, call, strike).await,
            Action::Hang { span } => {
                self.before(phase, &call, &strike);
                self.hang(span).await;
                End::Cut
            }
            Action::ApplyLate { delay } => {
                self.postpone(call, strike, delay, None);
                End::Cut
            }
        }
    }

    /// Applies the call now and takes its rows into flight.
    fn apply(&mut self, call: &Call, strike: &Strike) -> Answer {
        let applied = self.shared.lock().apply(self.no, call, &strike.rejections);
        self.touches = applied.touches;
        applied.answer
    }

    /// What happens ahead of a fault: the call takes effect, or nothing does.
    fn before(&mut self, phase: Phase, call: &Call, strike: &Strike) {
        match phase {
            Phase::After => drop(self.apply(call, strike)),
            Phase::Before => self.shared.lock().skip(self.no, call),
        }
    }

    fn skipping(&self, call: &Call, answer: impl FnOnce(&super::state::State) -> Answer) -> Answer {
        let mut state = self.shared.lock();
        state.skip(self.no, call);
        answer(&state)
    }

    async fn slow(&mut self, phase: Phase, delay: Duration, call: Arc<Call>, strike: Strike) -> End {
        if phase == Phase::After {
            let answer = self.apply(&call, &strike);
            sleep(delay).await;
            return End::Answer(answer);
        }
        // As at a real vendor, a client that gives up does not undo its request.
        let (reply, answer) = oneshot::channel();
        self.postpone(call, strike, Some(delay), Some(reply));
        answer.await.map_or(End::Cut, End::Answer)
    }

    async fn hang(&self, span: Option<Duration>) {
        let stopped = self.shared.stopping.cancelled();
        match span {
            Some(span) => drop(tokio::time::timeout(span, stopped).await),
            None => stopped.await,
        }
    }

    fn postpone(
        &self,
        call: Arc<Call>,
        strike: Strike,
        delay: Option<Duration>,
        reply: Option<oneshot::Sender<Answer>>,
    ) {
        self.shared.lock().postpone(self.no, call, strike.rejections, reply);
        let Some(delay) = delay else { return };
        let (shared, no) = (Arc::clone(&self.shared), self.no);
        tokio::spawn(async move {
            let stopping = shared.stopping.clone();
            tokio::select! {
                biased;
                () = stopping.cancelled() => {}
                () = sleep(delay) => shared.lock().apply_late(no),
            }
        });
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Announces the whole answer and sends half of it.
fn truncated(answer: Answer) -> Response {
    let whole = answer.body.len();
    let half = answer.body.slice(..whole / 2);
    let mut response = answer.into_response();
    // Ends early without an error of ours: hyper breaks the connection off when a body is shorter than announced. One
    // turn is waited before that, because what is not flushed by then is lost.
    let mut turns = 0;
    let end = stream::poll_fn(move |cx| {
        turns += 1;
        if turns > 1 {
            return Poll::Ready(None);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    });
    *response.body_mut() = Body::from_stream(stream::iter([Ok::<Bytes, Infallible>(half)]).chain(end));
    response.headers_mut().insert(header::CONTENT_LENGTH, whole.max(1).into());
    response
}
