//! `[destinations.NAME]`.

use serde_json::{Value, json};

use super::types::{Table, any, boolean, choice, duration, integer, list, of, percent, text};

/// One destination of any type.
pub(super) fn destination() -> Value {
    any("An account of an external system.", vec![hubspot().build(), http().build(), file().build()])
}

fn common(kind: &str, meaning: &str) -> Table {
    Table::new(meaning)
        .key("type", choice("The system.", &[kind]))
        .key("account", text("The account's name, which must equal what the vendor says before the first send."))
}

fn reached(kind: &str, meaning: &str) -> Table {
    let limits = of("limits", "One limit.");
    common(kind, meaning)
        .key("base_url", text("Where requests go."))
        .key("allow_private", list("Private address ranges that may be reached (CIDR).", json!({ "type": "string" })))
        .key("limits", any("Request limits of the account.", vec![limits.clone(), list("Several limits.", limits)]))
        .key("request_timeout", duration("A whole request may take this long."))
        .key("token", of("secret", "A bearer token."))
}

fn hubspot() -> Table {
    let oauth = client("An OAuth app.").key("refresh_token", of("secret", "Its refresh token."));
    reached("hubspot", "HubSpot CRM.")
        .key("auth", Table::new("An OAuth app, instead of `token`.").key("oauth", oauth.build()).build())
        .key("objects_path", text("Path of the object endpoints."))
}

/// The keys of every OAuth client.
fn client(meaning: &str) -> Table {
    Table::new(meaning)
        .key("token_url", text("The token endpoint."))
        .key("client_id", of("textOrSecret", "The client's id."))
        .key("client_secret", of("secret", "The client's secret."))
        .key("allow_private", list("Private ranges of the token endpoint.", json!({ "type": "string" })))
}

fn auth() -> Value {
    let pair = |meaning: &str| {
        Table::new(meaning).key("name", text("Its name.")).key("value", of("secret", "Its value.")).build()
    };
    let basic = Table::new("User and password.")
        .key("user", of("textOrSecret", "The user."))
        .key("password", of("secret", "The password."));
    let oauth2 = client("OAuth 2.0: client credentials, or a refresh token.")
        .key("refresh_token", of("secret", "Uses the refresh grant."))
        .key("scope", text("The scope to ask for."))
        .key("audience", text("The audience to ask for."))
        .key("style", choice("Where the client's credentials stand.", &["body", "basic"]));
    Table::new("How requests are authenticated; one of the keys.")
        .key("basic", basic.build())
        .key("header", pair("A header."))
        .key("query", pair("A parameter of the query."))
        .key("oauth2", oauth2.build())
        .build()
}

fn http() -> Table {
    let identity = Table::new("How the API tells the account.")
        .key("path", text("Path of a `GET`."))
        .key("pointer", text("JSON pointer to the account's name."));
    let secret = of("secret", "A secret.");
    let signing = Table::new("How requests are signed.").key(
        "standard_webhooks",
        any("Secrets of Standard Webhooks, the newest first.", vec![secret.clone(), list("Several.", secret)]),
    );
    let operations = ["upsert", "insert", "update", "delete", "clear"].map(|name| (name, operation().build()));
    let objects = json!({
        "type": "object",
        "description": "Objects with operations of their own.",
        "additionalProperties": Table::new("One object.").keys(operations).build(),
    });
    reached("http", "Any JSON API.")
        .key("auth", auth())
        .key("path", text("Path of upserts; `{object}` and, for single records, `{match}` are filled in."))
        .key("method", choice("The method of upserts.", &["POST", "PUT", "PATCH"]))
        .key("delete_path", text("Path of removals, with `{match}`."))
        .keys(records())
        .key("idempotency_header", text("Header that carries the idempotency key."))
        .key("results", of("httpResults", "Where the answer says what became of each row."))
        .key("identity", identity.build())
        .key("signing", signing.build())
        .key("objects", objects)
}

/// How records stand in a body.
fn records() -> [(&'static str, Value); 4] {
    [
        ("batch_size", integer("Records of a request.", 1, 10_000)),
        ("envelope", text("Wraps the array of records under this name.")),
        ("idempotency_field", text("Field of a record that carries the row's idempotency key.")),
        ("static", json!({ "type": "object", "description": "Fields with the same value in all records." })),
    ]
}

fn operation() -> Table {
    let statuses = |meaning: &str| {
        let range = json!({ "type": "string", "pattern": "^[2-5][0-9]{2}-[2-5][0-9]{2}$" });
        list(meaning, any("A status or a range.", vec![integer("A status.", 200, 599), range]))
    };
    let headers = json!({
        "type": "object",
        "description": "Headers, as templates.",
        "additionalProperties": { "type": "string" },
    });
    Table::new("How one operation is sent.")
        .key("method", choice("The method.", &["POST", "PUT", "PATCH", "DELETE"]))
        .key("path", text("The path, as a template."))
        .key("headers", headers)
        .key("body", text("The body, as a template that renders to JSON."))
        .key("content_type", text("The body's media type."))
        .keys(records())
        .key("success", statuses("Statuses that mean success."))
        .key("retryable", statuses("Statuses that are tried again."))
        .key("permanent", statuses("Statuses that refuse the rows."))
        .key("record_id", text("JSON pointer to the record's id in the answer."))
        .key("results", of("httpResults", "Where the answer says what became of each row."))
}

pub(super) fn results() -> Table {
    Table::new("Where an answer's per-row results stand; JSON pointers.")
        .key("rows", text("The array of results."))
        .key("key", text("The row's match value; without it results are matched by position."))
        .key("status", text("The row's status."))
        .key(
            "success",
            list("Values of the status that mean success.", json!({ "type": ["string", "integer", "boolean"] })),
        )
        .key("record_id", text("The vendor's record id."))
        .key("error_code", text("The error's code."))
        .key("error_message", text("The error's message."))
}

pub(super) fn limits() -> Table {
    Table::new("Limits that hold at once.")
        .key("requests", integer("Requests in any stretch of `per`.", 1, 1_000_000_000))
        .key("per", duration("Length of the window."))
        .key("smooth", boolean("Spread evenly, for an account that people share."))
        .key("concurrent", integer("Requests in flight.", 1, 1000))
        .key("daily", integer("Requests a day.", 1, 1_000_000_000))
        .key("reserve", percent("Share of the daily limit that is left to others."))
}

fn file() -> Table {
    common("file", "One local file a run.")
        .key("path", text("Path with `{run}` in the file's name."))
        .key("format", choice("How rows are written.", &["jsonl", "csv"]))
}
