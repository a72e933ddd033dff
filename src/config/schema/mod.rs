//! The JSON Schema of a configuration file, for editors.
//!
//! It knows every key and the form of its value; what two keys mean together only [`super::load`] can judge. A test
//! compares it with the keys that the readers ask for, so that neither knows more than the other.

mod destination;
mod sync;
#[cfg(test)]
mod tests;
mod types;

use serde_json::{Value, json};

use types::{Table, any, choice, duration, integer, list, named, of, text, texts};

/// JSON Schema (draft 2020-12) of one TOML file of a configuration.
pub fn schema() -> Value {
    let mut schema = file().build();
    if let Value::Object(keys) = &mut schema {
        keys.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        keys.insert("title".to_owned(), json!("Syncline configuration file"));
        keys.insert("$defs".to_owned(), definitions());
    }
    schema
}

fn file() -> Table {
    Table::new("One file of a configuration folder; tables may be split over files in any way.")
        .key("environment", text("Label of the installation, stored in the state; a different label is refused."))
        .key("state", of("state", "What was acknowledged, what is in doubt, what an operator decided."))
        .key("http", of("http", "The inbound server."))
        .key("log", of("log", "Logging, on stderr."))
        .key("scheduler", of("scheduler", "What runs at once."))
        .key("defaults", of("defaults", "What every sync does that does not say otherwise."))
        .key("sources", named("Connections to warehouses and databases.", of("source", "One source.")))
        .key("models", named("Queries with a primary key; a result is the desired state.", of("model", "One model.")))
        .key("destinations", named("Accounts of external systems.", of("destination", "One destination.")))
        .key("syncs", named("Model to object of a destination.", of("sync", "One sync.")))
}

fn definitions() -> Value {
    json!({
        "secret": secret(),
        "textOrSecret": any("A text, or a reference to a secret.", vec![text("Written out."), of("secret", "A secret.")]),
        "state": state().build(),
        "http": Table::new("The inbound server.")
            .key("listen", text("Loopback address and port of `/healthz` and `/readyz`, or `off`.")).build(),
        "log": log().build(),
        "scheduler": scheduler().build(),
        "defaults": sync::defaults().build(),
        "source": source(),
        "model": model().build(),
        "destination": destination::destination(),
        "limits": destination::limits().build(),
        "httpResults": destination::results().build(),
        "sync": sync::sync().build(),
        "guard": sync::guard().build(),
        "schedule": sync::schedule(),
        "field": sync::field(),
    })
}

fn secret() -> Value {
    let one = |key: &str, form: Value| Table::new("A reference to a secret.").key(key, form).build();
    let mut forms = vec![
        one("env", text("An environment variable.")),
        one("file", text("A file that only its owner may read.")),
        one("command", list("A program and its arguments; what it prints.", json!({ "type": "string" }))),
    ];
    for (form, key) in forms.iter_mut().zip(["env", "file", "command"]) {
        form["required"] = json!([key]);
    }
    any("A reference to a secret; never the secret.", forms)
}

fn state() -> Table {
    Table::new("The state store.")
        .key("url", of("textOrSecret", "`sqlite://FILE` or `postgres://…`."))
        .key("key", of("secret", "The installation key; required with PostgreSQL."))
        .key("folder", text("With PostgreSQL: where plans under way and marks are kept."))
        .key("lease", duration("With PostgreSQL: how long a sync of a daemon that died stays with it."))
}

fn log() -> Table {
    Table::new("Logging, on stderr.")
        .key("level", choice("The least grave lines that are written.", &["error", "warn", "info", "debug", "trace"]))
        .key("format", choice("`auto`: pretty on a terminal, else JSON.", &["auto", "json", "pretty"]))
}

fn scheduler() -> Table {
    Table::new("What runs at once.")
        .key("max_runs", integer("Syncs that run at once.", 1, 64))
        .key("workers_per_run", integer("Batches in flight for one run.", 1, 32))
}

fn source() -> Value {
    let common = |types: &[&str], meaning: &str| {
        Table::new(meaning)
            .key("type", choice("The kind of database.", types))
            .key("statement_timeout", duration("A statement that takes longer is cancelled."))
    };
    let server = |types: &[&str], meaning: &str| {
        let tls = ["disable", "prefer", "require", "verify-ca", "verify-full"];
        common(types, meaning)
            .key("url", of("textOrSecret", "Scheme, user, host, port and database; with a password a secret."))
            .key("host", of("textOrSecret", "Host name, address or socket folder."))
            .key("port", integer("TCP port.", 1, 65_535))
            .key("database", of("textOrSecret", "The database's name."))
            .key("user", of("textOrSecret", "The role."))
            .key("password", of("secret", "The role's password."))
            .key("tls", choice("How the server is trusted.", &tls))
            .build()
    };
    let sqlite = common(&["sqlite"], "An SQLite file.").key("path", of("textOrSecret", "The file.")).build();
    let servers =
        [server(&["postgres"], "A PostgreSQL server."), server(&["mysql", "mariadb"], "A MySQL or MariaDB server.")];
    any("A connection to a warehouse or database.", servers.into_iter().chain([sqlite]).collect())
}

fn model() -> Table {
    Table::new("A query with a primary key; its result is the desired state.")
        .key("source", text("The source's name."))
        .key("primary_key", texts("The key column, or columns in order; unique and never null."))
        .key("sql", text("A single `select`."))
        .key("table", text("A table or view."))
        .key("sql_file", text("A file with a single `select`, relative to this file."))
        .key("changed_when", text("A query of one value; while it answers the same, scheduled runs are skipped."))
}
