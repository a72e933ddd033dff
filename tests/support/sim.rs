//! A simulated vendor in a process of its own, and its judge.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use super::process::{Running, program};

/// The token that the simulator demands.
pub(crate) const TOKEN: &str = "simulated-token";
/// Longest wait for an answer of the judge.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running simulator; ends with this value.
pub(crate) struct Sim {
    _process: Running,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
}

impl Sim {
    /// `syncline simulate VENDOR` on a free port, with the test's token and further arguments.
    pub(crate) fn start(vendor: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program());
        command.args(["simulate", vendor, "--listen", "127.0.0.1:0", "--token", TOKEN]).args(arguments);
        command.env_clear().stdin(Stdio::null());
        let process = Running::start(command);
        let line: Value = serde_json::from_str(&process.wait_for_output("listening")).expect("a JSON line");
        let url = line["listening"].as_str().expect("an address").to_owned();
        Self { _process: process, url }
    }

    /// `GET /_sim/PATH` of the judge, such as `report`, `records/contacts` or `requests`.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        self.control("GET", path, "")
    }

    /// `POST /_sim/PATH`, such as `faults` or `reset-requests`.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &str) -> Value {
        self.control("POST", path, body)
    }

    /// Removes every fault.
    #[track_caller]
    pub(crate) fn clear_faults(&self) {
        self.control("DELETE", "faults", "");
    }

    /// Requests of any kind since the start or the last `reset-requests`.
    #[track_caller]
    pub(crate) fn requests(&self) -> u64 {
        self.get("report").pointer("/requests/total").and_then(Value::as_u64).expect("a number of requests")
    }

    #[track_caller]
    fn control(&self, method: &str, path: &str, body: &str) -> Value {
        let host = self.url.trim_start_matches("http://");
        let answer = http(host, method, &format!("/_sim/{path}"), body);
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.body);
        serde_json::from_str(&answer.body).expect("the judge answers JSON")
    }
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct HttpAnswer {
    /// The status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: String,
}

/// One request over a connection of its own. `host` is `ADDRESS:PORT`.
pub(crate) fn http(host: &str, method: &str, path: &str, body: &str) -> HttpAnswer {
    let mut stream = TcpStream::connect(host).expect("the server does not answer");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).expect("cannot send");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("no answer");
    let answer = String::from_utf8(answer).expect("UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "this small client reads no chunks");
    HttpAnswer { status, body: body.to_owned() }
}
