//! `[defaults]` and `[syncs.NAME]`.

use std::time::Duration;

use super::{
    cursor,
    diagnostic::Sink,
    fields, guard,
    layers::Tree,
    reader::Reader,
    schedule::schedule,
    tree::{Entry, Item},
};
use crate::model::spec::{CursorSpec, FirstRun, GuardSpec, Mode, OnRemoved, Remap, Schedule, SyncSpec, WhenNull};

const EVERY: Duration = Duration::from_secs(15 * 60);
const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);
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
const LATER: [&str; 5] = ["renamed_from", "send", "options", "identity", "on_duplicate_match"];

/// What syncs take over when they do not say otherwise.
pub(super) struct Defaults {
    schedule: Schedule,
    when_null: WhenNull,
    guard: GuardSpec,
    first_run: FirstRun,
    late_window: Option<Duration>,
    max_plan_age: Option<Duration>,
    remap: Remap,
    full_every: Option<Duration>,
    max_age: Option<Duration>,
}

/// Decodes `[defaults]`.
pub(super) fn defaults(tree: &Tree, sink: &Sink) -> Defaults {
    let mut defaults = Defaults {
        schedule: Schedule::Every(EVERY),
        when_null: WhenNull::Skip,
        guard: GuardSpec::default(),
        first_run: FirstRun::Ask,
        late_window: None,
        max_plan_age: None,
        remap: Remap::Now,
        full_every: None,
        max_age: None,
    };
    let reader = tree.top.get("defaults").and_then(|entry| Reader::of(&entry.node, "[defaults]", sink));
    if let Some(reader) = reader {
        defaults.schedule = schedule(&reader).unwrap_or(defaults.schedule);
        defaults.when_null = when_null(&reader).unwrap_or(defaults.when_null);
        defaults.guard = guard::guard(&reader, defaults.guard);
        defaults.first_run = first_run(&reader).unwrap_or(defaults.first_run);
        defaults.late_window = late_window(&reader);
        defaults.max_plan_age = max_plan_age(&reader);
        defaults.remap = remap(&reader).unwrap_or(defaults.remap);
        defaults.full_every = full_every(&reader);
        defaults.max_age = max_age(&reader);
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
        first_run: first_run(&reader).unwrap_or(defaults.first_run),
        schedule: schedule(&reader).unwrap_or_else(|| defaults.schedule.clone()),
        guard: guard::guard(&reader, defaults.guard.clone()),
        filter: reader.text("where"),
        fields,
        star,
        enabled: reader.boolean("enabled").unwrap_or(true),
        late_window: late_window(&reader).or(defaults.late_window),
        max_plan_age: max_plan_age(&reader).or(defaults.max_plan_age).unwrap_or(base.max_plan_age),
        max_age: max_age(&reader).or(defaults.max_age),
        remap: remap(&reader).unwrap_or(defaults.remap),
        full_every: full_every(&reader).or(defaults.full_every).unwrap_or(base.full_every),
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
    if reader.get("mode").is_none() {
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

fn late_window(reader: &Reader<'_>) -> Option<Duration> {
    reader.duration("late_window", SECOND, DAY)
}

fn max_plan_age(reader: &Reader<'_>) -> Option<Duration> {
    reader.duration("max_plan_age", SECOND, DAY)
}

fn max_age(reader: &Reader<'_>) -> Option<Duration> {
    reader.duration("max_age", MINUTE, 366 * DAY)
}

fn full_every(reader: &Reader<'_>) -> Option<Duration> {
    reader.duration("full_every", SECOND, 31 * DAY)
}

fn remap(reader: &Reader<'_>) -> Option<Remap> {
    reader.choice("remap", &[("now", Remap::Now), ("later", Remap::Later)], &[])
}

fn first_run(reader: &Reader<'_>) -> Option<FirstRun> {
    let all = [("ask", FirstRun::Ask), ("backfill", FirstRun::Backfill)];
    reader.choice("first_run", &all, &["adopt"])
}

fn when_null(reader: &Reader<'_>) -> Option<WhenNull> {
    fields::when_null(reader)
}
