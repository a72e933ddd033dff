//! A destination that costs next to nothing: it answers HubSpot's batch upserts and arrays of any JSON endpoint at once, and
//! counts. The simulator, which keeps and judges every record, would share the processor with what is measured.

use std::{
    collections::HashSet,
    error::Error,
    hash::{BuildHasher as _, RandomState},
    io::Read as _,
    process::Command,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::net::TcpListener;

use crate::{
    sample::cpu_of,
    support::{Running, http},
};

const MAX_BODY: usize = 64 << 20;

/// What has arrived since the last reset.
struct Counts {
    hasher: RandomState,
    requests: u64,
    rows: u64,
    archived: u64,
    /// Hashes of the ids.
    ids: HashSet<u64>,
}

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    inputs: Vec<Input<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    /// Absent where `id` is the record's own.
    #[serde(borrow)]
    id_property: Option<&'a RawValue>,
    #[serde(borrow)]
    object_write_trace_id: Option<&'a RawValue>,
    #[serde(borrow)]
    properties: Option<&'a RawValue>,
}

/// Serves until standard input ends, which is when the bench is gone, however it ended.
pub(crate) fn serve() -> Result<(), Box<dyn Error>> {
    std::thread::spawn(|| {
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        std::process::exit(0);
    });
    let counts = Counts { hasher: RandomState::new(), requests: 0, rows: 0, archived: 0, ids: HashSet::new() };
    let app = Router::new().fallback(answer).with_state(Arc::new(Mutex::new(counts)));
    crate::wait(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("{}", json!({ "listening": format!("http://{}", listener.local_addr()?) }));
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| drop(stream.set_nodelay(true)));
        Ok(axum::serve(listener, app).await?)
    })
}

async fn answer(State(counts): State<Arc<Mutex<Counts>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY).await.unwrap_or_default();
    let mut counts = counts.lock().expect("no panic while locked");
    let answered = match (parts.method.as_str(), parts.uri.path()) {
        ("GET", "/_sink/report") => Some(counts.report().to_string().into_bytes()),
        ("POST", "/_sink/reset") => {
            (counts.requests, counts.rows, counts.archived) = (0, 0, 0);
            counts.ids.clear();
            Some(b"{}".to_vec())
        }
        // HubSpot's account, which a run asks for first.
        ("GET", _) => Some(br#"{"portalId":4242,"timeZone":"UTC"}"#.to_vec()),
        (_, path) if path.ends_with("/batch/archive") => counts.archive(&body).map(|()| Vec::new()),
        (_, path) if path.contains("/batch/") => counts.upsert(&body),
        _ => counts.rows(&body),
    };
    drop(counts);
    match answered {
        Some(answer) if answer.is_empty() => respond(StatusCode::NO_CONTENT, answer),
        Some(answer) => respond(StatusCode::OK, answer),
        None => respond(StatusCode::BAD_REQUEST, b"{}".to_vec()),
    }
}

fn respond(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", axum::http::HeaderValue::from_static("application/json"));
    response
}

impl Counts {
    fn note(&mut self, id: &str) -> u64 {
        let hash = self.hasher.hash_one(id);
        self.rows += 1;
        self.ids.insert(hash);
        hash
    }

    /// HubSpot's batch upsert, create and update: every input comes back as a result, with its properties.
    fn upsert(&mut self, body: &Bytes) -> Option<Vec<u8>> {
        let batch: Batch<'_> = serde_json::from_slice(body).ok()?;
        self.requests += 1;
        let mut answer = Vec::with_capacity(body.len() + 128);
        answer.extend_from_slice(br#"{"status":"COMPLETE","results":["#);
        for (at, input) in batch.inputs.iter().enumerate() {
            let made = self.note(input.id.get()) >> 1;
            let trace = input.object_write_trace_id.map_or("null", RawValue::get);
            let properties = input.properties.map_or("{}", RawValue::get);
            let comma = if at > 0 { "," } else { "" };
            let mut digits = itoa::Buffer::new();
            let id = match input.id_property {
                Some(_) => digits.format(made),
                None => input.id.get().trim_matches('"'),
            };
            let parts = [comma, r#"{"id":""#, id, r#"","objectWriteTraceId":"#, trace];
            let rest = [r#","properties":"#, properties, "}"];
            parts.iter().chain(&rest).for_each(|part| answer.extend_from_slice(part.as_bytes()));
        }
        answer.extend_from_slice(b"]}");
        Some(answer)
    }

    fn archive(&mut self, body: &Bytes) -> Option<()> {
        let batch: Batch<'_> = serde_json::from_slice(body).ok()?;
        self.requests += 1;
        self.archived += batch.inputs.len() as u64;
        Some(())
    }

    /// An array of records with an `id`.
    fn rows(&mut self, body: &Bytes) -> Option<Vec<u8>> {
        let rows: Vec<Input<'_>> = serde_json::from_slice(body).ok()?;
        self.requests += 1;
        for row in &rows {
            self.note(row.id.get());
        }
        Some(b"{}".to_vec())
    }

    fn report(&self) -> Value {
        json!({ "requests": self.requests, "rows": self.rows, "distinct": self.ids.len(), "archived": self.archived })
    }
}

/// A sink that runs; ends with this value.
pub(crate) struct Sink {
    process: Running,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
}

impl Sink {
    /// A new one in a process of its own.
    pub(crate) fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg("sink").env_clear().stdin(std::process::Stdio::piped());
        let process = Running::start(command);
        let line: Value = serde_json::from_str(&process.wait_for_output("listening")).expect("a JSON line");
        Self { url: line["listening"].as_str().expect("an address").to_owned(), process }
    }

    /// A count since the last reset: `requests`, `rows`, `distinct` ids, `archived` rows.
    #[track_caller]
    pub(crate) fn count(&self, name: &str) -> u64 {
        let report: Value = serde_json::from_str(&self.control("GET", "report")).expect("a report");
        report[name].as_u64().expect("a count")
    }

    /// Processor time so far, in seconds: what the destination takes away from those who are measured.
    pub(crate) fn cpu(&self) -> f64 {
        cpu_of(self.process.id())
    }

    /// Forgets what has arrived.
    pub(crate) fn reset(&self) {
        self.control("POST", "reset");
    }

    fn control(&self, method: &str, path: &str) -> String {
        http(self.url.trim_start_matches("http://"), method, &format!("/_sink/{path}"), "").body
    }
}
