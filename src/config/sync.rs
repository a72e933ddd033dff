//! `[defaults]` and `[syncs.NAME]`.

use std::time::Duration;

use super::{
    cursor,
    diagnostic::Sink,
    fields, guard,
    layers::Tree,
    reader::Reader,
    tree::{Entry, Item},
};
use crate::model::spec::{CursorSpec, FirstRun, GuardSpec, Mode, OnRemoved, Schedule, SyncSpec, WhenNull};

const EVERY: Duration = Duration::from_secs(15 * 60);
const DAY: Duration = Duration::from_secs(86_400);
const SECOND: Duration = Duration::from_secs(1);

/// Keys of a sync, to tell when one stands in the table of its fields by mistake.
pub(super) const KEYS: [&str; 24] = [
    "model",
    "destination",
    "object",
    "mode",
    "match",
    "on_removed",
    "first_run",
    "schedule",
    "guard",
    "where",
    "enabled",
    "late_window",
    "max_plan_age",
    "when_null",
    "max_age",
    "renamed_from",
    "send",
    "remap",
    "cursor",
    "options",
    "identity",
    "on_duplicate_match",
    "full_every",
    "fields",
];
/// Keys of later versions.
const LATER: [&str; 8] =
    ["max_age", "renamed_from", "send", "remap", "options", "identity", "on_duplicate_match", "full_every"];

/// What syncs take over when they do not say otherwise.
pub(super) struct Defaults {
    schedule: Schedule,
    when_null: WhenNull,
    guard: GuardSpec,
}

/// Decodes `[defaults]`.
pub(super) fn defaults(tree: &Tree, sink: &Sink) -> Defaults {
    let mut defaults =
        Defaults { schedule: Schedule::Every(EVERY), when_null: WhenNull::Skip, guard: GuardSpec::default() };
    let reader = tree.top.get("defaults").and_then(|entry| Reader::of(&entry.node, "[defaults]", sink));
    if let Some(reader) = reader {
        defaults.schedule = schedule(&reader).unwrap_or(defaults.schedule);
        defaults.when_null = when_null(&reader).unwrap_or(defaults.when_null);
        defaults.guard = guard::guard(&reader, defaults.guard);
        reader.finish();
    }
    defaults
}

/// Decodes a sync.
pub(super) fn sync(name: &str, entry: &Entry, defaults: &Defaults, sink: &Sink) -> Option<SyncSpec> {
    let reader = Reader::of(&entry.node, format!("sync `{name}`"), sink)?;
    let model = required(&reader, &["model"], "\"customers\"");
    let destination = required(&reader, &["destination"], "\"crm\"");
    let object = required(&reader, &["object"], "\"contacts\"");
    let mode = mode(&reader);
    let match_fields = match_fields(&reader, mode);
    let cursor = cursor_of(&reader, mode);
    let on_removed = on_removed(&reader, mode);
    let when_null = when_null(&reader).unwrap_or(defaults.when_null);
    let (fields, star) = fields::fields(&reader, when_null);
    let text = Option::<String>::unwrap_or_default;
    let base = SyncSpec::new(name, &text(model), &text(destination), &text(object));
    let spec = SyncSpec {
        mode: mode.unwrap_or(Mode::Upsert),
        cursor,
        match_fields: match_fields.unwrap_or_default(),
        on_removed: on_removed.unwrap_or(OnRemoved::Keep),
        first_run: first_run(&reader),
        schedule: schedule(&reader).unwrap_or_else(|| defaults.schedule.clone()),
        guard: guard::guard(&reader, defaults.guard.clone()),
        filter: reader.text("where"),
        fields,
        star,
        enabled: reader.boolean("enabled").unwrap_or(true),
        late_window: reader.duration("late_window", SECOND, DAY),
        max_plan_age: reader.duration("max_plan_age", SECOND, DAY).unwrap_or(base.max_plan_age),
        ..base
    };
    reader.reserved(&LATER);
    reader.finish();
    Some(spec)
}

/// A required text that is not reported missing when it stands among the fields: that is reported there.
fn required(reader: &Reader<'_>, keys: &'static [&'static str; 1], example: &str) -> Option<String> {
    let [key] = keys;
    if !among_fields(reader, key) {
        reader.require(keys, example);
    }
    reader.text(key)
}

fn among_fields(reader: &Reader<'_>, key: &str) -> bool {
    reader.get("fields").is_some_and(|node| match &node.value {
        Item::Table(fields) => fields.contains_key(key),
        _ => false,
    })
}

/// Events need no match: nothing is ever looked up.
fn match_fields(reader: &Reader<'_>, mode: Option<Mode>) -> Option<Vec<String>> {
    if mode != Some(Mode::Append) && !among_fields(reader, "match") {
        reader.require(&["match"], "\"email\"");
    }
    let fields = reader.texts("match")?;
    if fields.len() > 1 {
        reader.not_available(reader.origin_of("match"), "match = [\"…\", \"…\"]", "a list of several match fields");
        return None;
    }
    Some(fields)
}

fn mode(reader: &Reader<'_>) -> Option<Mode> {
    if !reader.has("mode") {
        return Some(Mode::Upsert);
    }
    let modes = [Mode::Upsert, Mode::Mirror, Mode::Insert, Mode::Update, Mode::Append].map(|mode| (mode.name(), mode));
    reader.choice("mode", &modes, &["audience"])
}

/// `cursor` belongs to mode `append`, which needs it.
fn cursor_of(reader: &Reader<'_>, mode: Option<Mode>) -> Option<CursorSpec> {
    if mode == Some(Mode::Append) {
        reader.require(&["cursor"], "{ column = \"occurred_at\", lookback = \"1h\" }");
    }
    let cursor = cursor::cursor(reader);
    if let (Some(mode), Some(node)) = (mode.filter(|mode| *mode != Mode::Append), reader.get("cursor")) {
        let cause = format!("mode `{}` reads the whole model", mode.name());
        reader.refuse("cursor", node, cause, "remove it, or use mode `append`");
    }
    cursor
}

/// The legal pairs are those of [`Mode::removals`].
fn on_removed(reader: &Reader<'_>, mode: Option<Mode>) -> Option<OnRemoved> {
    let all = [OnRemoved::Keep, OnRemoved::Clear, OnRemoved::Delete].map(|way| (way.name(), way));
    let given = reader.choice("on_removed", &all, &[]);
    let Some(mode) = mode else { return given };
    match given {
        Some(given) if !mode.removals().contains(&given) => {
            if let Some(node) = reader.get("on_removed") {
                let legal: Vec<_> = mode.removals().iter().map(|way| format!("`{}`", way.name())).collect();
                let cause = format!("{}; got `{}`, expected {}", why(mode), given.name(), legal.join(" or "));
                reader.refuse("on_removed", node, cause, hint(mode));
            }
            None
        }
        Some(given) => Some(given),
        None => mode.removals().first().copied(),
    }
}

/// Why a mode does not know every way.
const fn why(mode: Mode) -> &'static str {
    match mode {
        Mode::Upsert => "mode `upsert` knows every way",
        Mode::Mirror => "mode `mirror` removes what left the model",
        Mode::Insert => "mode `insert` never touches a record again",
        Mode::Update => "mode `update` did not create the records and deletes none",
        Mode::Append => "mode `append` never removes an event",
    }
}

const fn hint(mode: Mode) -> &'static str {
    match mode {
        Mode::Upsert => "",
        Mode::Mirror => "use mode `upsert` to keep removed records",
        Mode::Insert => "remove it, or use mode `upsert`",
        Mode::Update => "use `clear` to empty the fields that the sync writes, or mode `upsert`",
        Mode::Append => "remove it, or use mode `mirror` for records that go away",
    }
}

fn first_run(reader: &Reader<'_>) -> FirstRun {
    let all = [("ask", FirstRun::Ask), ("backfill", FirstRun::Backfill)];
    reader.choice("first_run", &all, &["adopt"]).unwrap_or(FirstRun::Ask)
}

fn when_null(reader: &Reader<'_>) -> Option<WhenNull> {
    fields::when_null(reader)
}

fn schedule(reader: &Reader<'_>) -> Option<Schedule> {
    const HINT: &str = "write \"manual\" or { every = \"15m\" }";
    let node = reader.get("schedule")?;
    match &node.value {
        Item::Text(text) if text == "manual" => Some(Schedule::Manual),
        Item::Text(text) => {
            reader.refuse("schedule", node, format!("got `{text}`, expected `manual` or a table"), HINT);
            None
        }
        Item::Table(_) => {
            let inner = Reader::of(node, format!("`schedule` of {}", reader.what), reader.sink)?;
            let later = ["cron", "timezone", "after"];
            if !inner.has("every") && !later.into_iter().any(|key| inner.has(key)) {
                inner.missing(&["every"], "\"15m\"");
            }
            let every = inner.duration("every", SECOND, 31 * DAY);
            inner.reserved(&later);
            inner.finish();
            every.map(Schedule::Every)
        }
        _ => {
            reader.wrong("schedule", node, "`manual` or a table", HINT);
            None
        }
    }
}
