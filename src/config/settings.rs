//! `[state]`, `[http]`, `[log]` and `[scheduler]`: the daemon's own settings.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use super::{
    diagnostic::Sink,
    layers::Tree,
    reader::Reader,
    secret,
    tree::{Item, Node, Table},
};
use crate::model::spec::{HttpSettings, LogSettings, SchedulerSettings, Settings, StateSettings, TextSpec};

const STATE_URL: &str = "sqlite://data/syncline.db";
const STATE_FOLDER: &str = "data";
const DEFAULT_LEASE: Duration = Duration::from_secs(30);
/// Shorter ones end in a pause of the machine, longer ones make others wait for a dead process.
const SHORTEST_LEASE: Duration = Duration::from_secs(2);
const LONGEST_LEASE: Duration = Duration::from_secs(600);
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8417);
const MAX_RUNS: i64 = 4;
const WORKERS_PER_RUN: i64 = 4;

/// Decodes the daemon's own settings.
pub(super) fn decode(tree: &Tree, sink: &Sink) -> Settings {
    Settings {
        state: with(tree, "state", sink, state).unwrap_or_else(|| state(&absent(sink))),
        http: with(tree, "http", sink, http).unwrap_or_else(|| http(&absent(sink))),
        log: with(tree, "log", sink, log).unwrap_or_else(|| log(&absent(sink))),
        scheduler: with(tree, "scheduler", sink, scheduler).unwrap_or_else(|| scheduler(&absent(sink))),
    }
}

/// A reader of a table that is not there.
fn absent(sink: &Sink) -> Reader<'_> {
    static EMPTY: Table = Table::new();
    static NOWHERE: super::Origin = super::Origin::Environment(String::new());
    Reader::new(&EMPTY, &NOWHERE, "", sink)
}

fn with<'a, T>(tree: &'a Tree, name: &str, sink: &'a Sink, decode: impl Fn(&Reader<'a>) -> T) -> Option<T> {
    let entry = tree.top.get(name)?;
    let reader = Reader::of(&entry.node, format!("[{name}]"), sink)?;
    let decoded = decode(&reader);
    reader.finish();
    Some(decoded)
}

fn state(reader: &Reader<'_>) -> StateSettings {
    let url = secret::text_or_secret(reader, "url").unwrap_or_else(|| TextSpec::Plain(STATE_URL.to_owned()));
    let key = secret::secret(reader, "key");
    if let (TextSpec::Plain(text), Some(node)) = (&url, reader.get("url")) {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            on_postgres(reader, text, node);
        } else if text.strip_prefix("sqlite://").is_none_or(str::is_empty) {
            let cause = "expected `sqlite://FILE` or `postgres://…`";
            reader.refuse("url", node, cause, format!("write `url = \"{STATE_URL}\"`"));
        }
    }
    StateSettings {
        url,
        key,
        folder: reader.text("folder").unwrap_or_else(|| STATE_FOLDER.to_owned()).into(),
        lease: reader.duration("lease", SHORTEST_LEASE, LONGEST_LEASE).unwrap_or(DEFAULT_LEASE),
    }
}

/// What a state on PostgreSQL asks for, as far as a URL that is no secret tells.
fn on_postgres(reader: &Reader<'_>, text: &str, node: &Node) {
    if url::Url::parse(text).is_ok_and(|url| secret::holds_password(&url)) {
        // The message shows no part of it.
        let message = "`url` of [state] holds a password and may not stand in the configuration";
        let hint = "write the whole URL as a secret: `url = { env = \"STATE_URL\" }`";
        reader.sink.error(&node.origin, message, "got a password written out, expected a reference", hint);
    }
    if !reader.has("key") {
        let message = "[state] needs `key`";
        let cause = "several hosts share a state on PostgreSQL, so no key is generated beside it";
        let hint = "write `key = { file = \"…\" }`: at least 32 random characters, the same for every daemon";
        reader.sink.error(&node.origin, message, cause, hint);
    }
}

fn http(reader: &Reader<'_>) -> HttpSettings {
    HttpSettings { listen: listen(reader) }
}

fn listen(reader: &Reader<'_>) -> Option<SocketAddr> {
    let (Some(text), Some(node)) = (reader.text("listen"), reader.get("listen")) else { return Some(LISTEN) };
    if text == "off" {
        return None;
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => return Some(address),
        Ok(_) => {
            let cause = format!("got `{text}`, expected a loopback address");
            let hint = format!("use \"{LISTEN}\" and put a proxy in front of it");
            reader.refuse("listen", node, cause, hint);
        }
        Err(_) => {
            let cause = format!("got `{text}`, expected ADDRESS:PORT or `off`");
            reader.refuse("listen", node, cause, format!("write `listen = \"{LISTEN}\"`"));
        }
    }
    None
}

fn log(reader: &Reader<'_>) -> LogSettings {
    let levels = ["error", "warn", "info", "debug", "trace"].map(|level| (level, level));
    let level = reader.choice("level", &levels, &[]).unwrap_or("info").to_owned();
    let formats = [("auto", "auto"), ("json", "json"), ("pretty", "pretty")];
    LogSettings { level, format: reader.choice("format", &formats, &[]).unwrap_or("auto").to_owned() }
}

fn scheduler(reader: &Reader<'_>) -> SchedulerSettings {
    let count = |key, most, default| {
        let count = reader.integer(key, 1, most).unwrap_or(default);
        usize::try_from(count).unwrap_or(1)
    };
    SchedulerSettings {
        max_runs: count("max_runs", 64, MAX_RUNS),
        workers_per_run: count("workers_per_run", 32, WORKERS_PER_RUN),
    }
}

/// `environment = …`.
pub(super) fn environment(tree: &Tree, sink: &Sink) -> Option<String> {
    let entry = tree.top.get("environment")?;
    match &entry.node.value {
        Item::Text(text) if !text.trim().is_empty() => Some(text.clone()),
        other => {
            let cause = format!("got {}, expected a text that is not empty", other.kind());
            let hint = "write `environment = \"production\"`";
            sink.error(&entry.node.origin, "`environment` is not a label", cause, hint);
            None
        }
    }
}
