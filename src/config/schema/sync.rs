//! `[defaults]` and `[syncs.NAME]`.

use serde_json::{Value, json};

use crate::model::spec::Normalise;

use super::types::{Table, any, boolean, choice, duration, integer, list, of, percent, text, texts};

/// What `[defaults]` and a sync share.
fn shared(meaning: &str) -> Table {
    Table::new(meaning)
        .key("first_run", choice("`ask`: the first plan waits for approval.", &["ask", "backfill"]))
        .key("schedule", of("schedule", "When it runs."))
        .key("guard", of("guard", "What stops a plan before anything is sent."))
        .key("when_null", when_null())
        .key("late_window", duration("After an ambiguous send, other changes of the key wait this long."))
        .key("max_plan_age", duration("Delivery of a plan older than this stops at a batch border."))
        .key("full_every", duration("The model is read at least this often, whatever `changed_when` answers."))
        .key("max_age", duration("Without a run that ended well for this long the sync is overdue."))
        .key("remap", choice("What a new mapping does to rows whose data stays.", &["now", "later"]))
}

pub(super) fn defaults() -> Table {
    shared("What every sync does that does not say otherwise.")
}

pub(super) fn sync() -> Table {
    let fields = json!({
        "type": "object",
        "description": "Field of the destination = where it comes from.",
        "minProperties": 1,
        "additionalProperties": { "$ref": "#/$defs/field" },
    });
    shared("A model to an object of a destination.")
        .key("model", text("The model's name."))
        .key("destination", text("The destination's name."))
        .key("object", text("The destination's object, as the vendor names it."))
        .key("mode", choice("What is done with the rows.", &["upsert", "mirror", "insert", "update", "append"]))
        .key("match", texts("The destination's field that identifies a record there."))
        .key("on_removed", choice("What is done with keys that left the model.", &["keep", "clear", "delete"]))
        .key("where", text("A SQL condition on the model's columns."))
        .key("enabled", boolean("False switches it off."))
        .key("cursor", cursor().build())
        .key("fields", fields)
}

fn cursor() -> Table {
    let number = |meaning: &str| json!({ "type": "integer", "description": meaning });
    let back = vec![duration("For dates and timestamps."), integer("For integers.", 0, u32::MAX.into())];
    let start = vec![text("A date or an instant."), number("For integers.")];
    Table::new("Mode `append`: which column says how far the events were read.")
        .key("column", text("An integer, date or timestamp column."))
        .key("lookback", any("How far behind the newest event late ones may come.", back))
        .key("start", any("The first event; without it all.", start))
}

fn when_null() -> Value {
    choice("What a null does.", &["skip", "clear", "error"])
}

pub(super) fn schedule() -> Value {
    let every = Table::new("At an interval.").key("every", duration("The interval.")).build();
    let cron = Table::new("At times of the wall clock.")
        .key("cron", text("Five fields: minute, hour, day of month, month, day of week."))
        .key("timezone", text("An IANA time zone; UTC without it."))
        .build();
    let after = Table::new("After other syncs.").key("after", texts("Syncs that must have run since.")).build();
    any("When a sync runs.", vec![json!({ "const": "manual" }), every, cron, after])
}

pub(super) fn guard() -> Table {
    let share = |of: &str| percent(&format!("Largest share of {of}; 100% switches the rule off."));
    let cap = |of: &str| integer(&format!("Largest number of {of}."), 0, i64::MAX);
    let fresh = Table::new("The newest value of a column may not be older than a bound.")
        .key("column", text("A date or timestamp column of the model."))
        .key("within", duration("The bound."));
    let kinds = [
        ("max_removed", "max_removed_rows", "removed keys"),
        ("max_changed", "max_changed_rows", "changed keys"),
        ("max_added", "max_added_rows", "added keys"),
        ("max_invalid", "max_invalid_rows", "invalid rows"),
        ("max_emptied", "max_emptied_rows", "rows whose field turned null"),
        ("max_remapped", "max_remapped_rows", "keys changed by the mapping alone"),
    ];
    let rules = kinds.into_iter().flat_map(|(rule, rows, of)| [(rule, share(of)), (rows, cap(of))]);
    Table::new("What stops a plan before anything is sent.")
        .key("empty", choice("An empty result while the snapshot is not.", &["stop", "allow"]))
        .key("min_rows", integer("Shares count only above this many rows.", 0, i64::MAX))
        .key("fresh", fresh.build())
        .keys(rules)
}

pub(super) fn field() -> Value {
    let casts = ["text", "integer", "decimal", "float", "boolean", "date", "timestamp", "json", "list"];
    let rules = Normalise::ALL.map(Normalise::name);
    let hmac = Table::new("A keyed hash.").key("hmac-sha256", of("secret", "Its key.")).build();
    let column = Table::new("From a column.")
        .key("column", text("The column."))
        .key("as", choice("The cast.", &casts))
        .key("scale", integer("Places after the point, for decimals.", 0, 38))
        .key("separator", text("What stands between the elements of a text that becomes a list."))
        .key("join", text("Joins the elements of a list with this text."))
        .key("normalise", choice("How an identifier is written before it is hashed.", &rules))
        .key("hash", any("A hash of the value.", vec![json!({ "const": "sha256" }), hmac]))
        .key("encoding", choice("How the hash is written.", &["hex", "base64"]))
        .key("when_null", when_null())
        .build();
    let constant = Table::new("A constant.").key("value", json!({ "type": ["string", "number", "boolean"] })).build();
    let template = Table::new("A template over columns.")
        .key("template", text("A text with `{{ column }}` in it."))
        .key("when_null", when_null())
        .build();
    let star = Table::new("The remaining columns by name.")
        .key("except", list("Columns to leave out.", json!({ "type": "string" })))
        .key("when_null", when_null())
        .build();
    any("Where a field comes from.", vec![text("A column."), column, constant, template, star])
}
