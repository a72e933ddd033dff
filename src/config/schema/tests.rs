//! The schema accepts every example, and knows exactly the keys that the readers know.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use super::schema;
use crate::config::{Environment, load};

/// No key is near it, so that the refusal lists all keys.
const UNKNOWN: &str = "qqqqqqqqqqqqqqqq";

fn json(text: &str) -> Value {
    let table: toml::Table = text.parse().unwrap();
    serde_json::to_value(table).unwrap()
}

fn toml_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(toml_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files
}

#[test]
fn every_example_fits() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let files = toml_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config"));
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let errors: Vec<String> = validator
            .iter_errors(&json(&fs::read_to_string(&file).unwrap()))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", file.display());
    }
}

#[test]
fn mistakes_do_not_fit() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for text in [
        "environmen = 'x'",
        "[log]\nlevel = 'loud'",
        "[scheduler]\nmax_runs = 0",
        "[sources.a]\ntype = 'postgres'\npassword = 'literal'",
        "[destinations.a]\ntype = 'hubspot'\npath = '/x'",
        "[syncs.a]\nschedule = { every = '15 minutes' }",
        "[syncs.a]\nguard = { max_removed = 10 }",
        "[syncs.a.fields]\nemail = { colum = 'email' }",
    ] {
        assert!(!validator.is_valid(&json(text)), "{text}");
    }
}

/// The keys that the reader of the table with the unknown key knows.
fn known(text: &str) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.toml"), text).unwrap();
    let errors = load(&[folder.path().to_owned()], &Environment::default()).unwrap_err();
    let refused = errors.0.iter().find(|error| error.message.contains(UNKNOWN));
    let hint = &refused.unwrap_or_else(|| panic!("{text}:\n{errors}")).hint;
    let names = hint.strip_prefix("known keys: ").unwrap_or_else(|| panic!("{hint}"));
    names.split(", ").map(|name| name.trim_matches('`').to_owned()).collect()
}

fn schema_keys(pointer: &str) -> BTreeSet<String> {
    let schema = schema();
    let table = schema.pointer(pointer).unwrap_or_else(|| panic!("no `{pointer}`"));
    table["properties"].as_object().unwrap().keys().cloned().collect()
}

/// A table of the schema, and a configuration that has an unknown key in that table.
const TABLES: &[(&str, &str)] = &[
    ("/$defs/state", "[state]\n?"),
    ("/$defs/http", "[http]\n?"),
    ("/$defs/log", "[log]\n?"),
    ("/$defs/scheduler", "[scheduler]\n?"),
    ("/$defs/defaults", "[defaults]\n?"),
    ("/$defs/guard", "[defaults.guard]\n?"),
    ("/$defs/guard/properties/fresh", "[defaults.guard.fresh]\n?"),
    ("/$defs/schedule/anyOf/1", "[defaults.schedule]\nevery = '1m'\n?"),
    ("/$defs/source/anyOf/0", "[sources.a]\ntype = 'postgres'\n?"),
    ("/$defs/source/anyOf/1", "[sources.a]\ntype = 'mysql'\n?"),
    ("/$defs/source/anyOf/2", "[sources.a]\ntype = 'sqlite'\n?"),
    ("/$defs/model", "[models.a]\n?"),
    ("/$defs/destination/anyOf/0", "[destinations.a]\ntype = 'hubspot'\n?"),
    (
        "/$defs/destination/anyOf/0/properties/auth/properties/oauth",
        "[destinations.a]\ntype = 'hubspot'\n[destinations.a.auth.oauth]\n?",
    ),
    ("/$defs/destination/anyOf/1", "[destinations.a]\ntype = 'http'\n?"),
    ("/$defs/destination/anyOf/1/properties/auth", "[destinations.a]\ntype = 'http'\n[destinations.a.auth]\n?"),
    (
        "/$defs/destination/anyOf/1/properties/auth/properties/oauth2",
        "[destinations.a]\ntype = 'http'\n[destinations.a.auth.oauth2]\n?",
    ),
    (
        "/$defs/destination/anyOf/1/properties/auth/properties/basic",
        "[destinations.a]\ntype = 'http'\n[destinations.a.auth.basic]\n?",
    ),
    (
        "/$defs/destination/anyOf/1/properties/objects/additionalProperties/properties/upsert",
        "[destinations.a]\ntype = 'http'\n[destinations.a.objects.b.upsert]\n?",
    ),
    ("/$defs/destination/anyOf/1/properties/signing", "[destinations.a]\ntype = 'http'\n[destinations.a.signing]\n?"),
    ("/$defs/destination/anyOf/1/properties/identity", "[destinations.a]\ntype = 'http'\n[destinations.a.identity]\n?"),
    ("/$defs/destination/anyOf/2", "[destinations.a]\ntype = 'file'\n?"),
    ("/$defs/httpResults", "[destinations.a]\ntype = 'http'\n[destinations.a.results]\n?"),
    ("/$defs/limits", "[destinations.a]\ntype = 'hubspot'\n[destinations.a.limits]\n?"),
    ("/$defs/sync", "[syncs.a]\n?"),
    ("/$defs/sync/properties/cursor", "[syncs.a]\nmode = 'append'\n[syncs.a.cursor]\n?"),
    ("/$defs/field/anyOf/1", "[syncs.a.fields.b]\ncolumn = 'c'\n?"),
    ("/$defs/field/anyOf/4", "[syncs.a.fields.'*']\n?"),
];

#[test]
fn the_schema_and_the_readers_know_the_same_keys() {
    for (pointer, text) in TABLES {
        let known = known(&text.replace('?', &format!("{UNKNOWN} = 1")));
        let mut schema = schema_keys(pointer);
        if text.contains(".fields.b]") {
            // One reader for columns, constants and templates.
            schema.extend(schema_keys("/$defs/field/anyOf/2"));
            schema.extend(schema_keys("/$defs/field/anyOf/3"));
        }
        if text.contains("[defaults.schedule]") {
            schema.extend(schema_keys("/$defs/schedule/anyOf/2"));
            schema.extend(schema_keys("/$defs/schedule/anyOf/3"));
        }
        assert_eq!(schema, known, "{pointer}: schema left, readers right");
    }
}
