//! Tests of whole configurations.

mod keys;
mod layers;
mod mistakes;

use std::{fs, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::model::spec::{
    AuthSpec, Cast, CursorSpec, CursorStart, FieldSource, FirstRun, FreshSpec, HashEncoding, HashFunction, HashSpec,
    Lookback, Mode, ModelBodySpec, Normalise, OAuthSpec, OAuthStyle, OnRemoved, Remap, Schedule, SecretSpec,
    ServerSpec, SourceKind, TextSpec, WhenNull,
};

/// A whole configuration in one file, to be changed by one mistake at a time.
const WHOLE: &str = r#"
[sources.w]
type = "sqlite"
path = "w.db"
[models.m]
source = "w"
primary_key = "id"
table = "t"
[destinations.d]
type = "hubspot"
token = { env = "T" }
[destinations.h]
type = "http"
base_url = "https://api.example.com"
path = "/x"
[syncs.s]
model = "m"
destination = "d"
object = "contacts"
match = "email"
[syncs.s.fields]
email = "email"
name = "name"
"#;

struct Folders(tempfile::TempDir, Vec<PathBuf>);

/// Writes files such as `("base/a.toml", …)`; their folders are the layers, in order of mention.
fn folders(files: &[(&str, &str)]) -> Folders {
    let root = tempfile::tempdir().unwrap();
    let mut layers = Vec::new();
    for (path, text) in files {
        let path = root.path().join(path);
        let folder = path.parent().unwrap().to_owned();
        fs::create_dir_all(&folder).unwrap();
        fs::write(&path, text).unwrap();
        if !layers.contains(&folder) {
            layers.push(folder);
        }
    }
    Folders(root, layers)
}

fn load_files(files: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<Loaded, String> {
    let folders = folders(files);
    let environment = Environment::of(environment.iter().copied());
    let prefix = format!("{}/", folders.0.path().display());
    load(&folders.1, &environment).map_err(|errors| errors.to_string().replace(&prefix, ""))
}

fn load_text(text: &str) -> Result<Loaded, String> {
    load_files(&[("c/a.toml", text)], &[])
}

fn whole() -> Loaded {
    load_text(WHOLE).unwrap()
}

/// [`WHOLE`] with `from` exchanged for `to`.
fn changed(from: &str, to: &str) -> Result<Loaded, String> {
    assert!(WHOLE.contains(from), "{from}");
    load_text(&WHOLE.replacen(from, to, 1))
}

#[test]
fn a_name_may_stand_only_once_in_a_folder() {
    let error = load_files(&[("c/a.toml", WHOLE), ("c/b.toml", "[syncs.s]\nmodel = \"m\"\n[defaults]\n")], &[]);
    insta::assert_snapshot!(error.unwrap_err(), @r"
    c/b.toml:1:8: error: sync `s` is defined twice
      cause: it stands first at c/a.toml:16:8
      hint: one table stands in one file; remove one, or override it from a later `--config` folder
    ");
}

#[test]
fn a_later_folder_overrides_keys_of_named_items() {
    let above = "[destinations.d]\nlimits = { requests = 5, per = \"1s\" }\n[syncs.s]\nenabled = false\n";
    let loaded = load_files(&[("base/a.toml", WHOLE), ("prod/crm.toml", above)], &[]).unwrap();
    let destination = loaded.specs.destination("d").unwrap();
    assert_eq!((destination.limits.windows[0].requests, &destination.vendor.type_name()), (5, &"hubspot"));
    let sync = loaded.specs.sync("s").unwrap();
    assert_eq!((sync.enabled, sync.object.as_str()), (false, "contacts"));
    let line = |path: &str| loaded.origins[path].to_string();
    assert!(line("destinations.d.limits.requests").ends_with("prod/crm.toml:2:23"), "{:?}", loaded.origins);
    assert!(line("destinations.d.token.env").ends_with("base/a.toml:11:17"), "{:?}", loaded.origins);
}

#[test]
fn the_environment_overrides_settings_and_nothing_else() {
    let variables = [
        ("SYNCLINE__STATE__URL", "sqlite://other.db"),
        ("SYNCLINE__STATE__KEY__FILE", "/k"),
        ("SYNCLINE__SCHEDULER__MAX_RUNS", "9"),
        ("SYNCLINE__HTTP__LISTEN", "off"),
        ("SYNCLINE_CONFIG", "ignored"),
        ("OTHER", "ignored"),
    ];
    let text = format!("[state]\nurl = \"sqlite://a.db\"\nkey = {{ env = \"K\" }}\n{WHOLE}");
    let loaded = load_files(&[("c/a.toml", &text)], &variables).unwrap();
    let settings = loaded.settings;
    assert_eq!(settings.state.url, TextSpec::Plain("sqlite://other.db".to_owned()));
    assert_eq!(settings.state.key, Some(SecretSpec::File("/k".into())));
    assert_eq!((settings.scheduler.max_runs, settings.http.listen), (9, None));
    assert_eq!(loaded.origins["state.url"].to_string(), "environment variable `SYNCLINE__STATE__URL`");
    let error = |name, value| load_files(&[("c/a.toml", WHOLE)], &[(name, value)]).unwrap_err();
    let unknown = error("SYNCLINE__STATE__ULR", "sqlite://canary");
    assert!(unknown.contains("did you mean `SYNCLINE__STATE__URL`?") && !unknown.contains("canary"), "{unknown}");
    assert!(error("SYNCLINE__SYNCS__S__MODE", "mirror").contains("not a setting"));
    let wrong = error("SYNCLINE__SCHEDULER__MAX_RUNS", "many");
    assert!(wrong.starts_with("environment variable `SYNCLINE__SCHEDULER__MAX_RUNS`: error:"), "{wrong}");
}

#[test]
fn broken_syntax_does_not_hide_other_mistakes_and_adds_none() {
    let error = changed("[models.m]", "[models.m]\nprimary_key2 = = 3\ncolour = 1").unwrap_err();
    insta::assert_snapshot!(error, @r"
    c/a.toml:6:16: error: the file is not valid TOML
      cause: extra `=`, expected nothing
      hint: see https://toml.io for the syntax; texts need quotes
    c/a.toml:7:1: error: unknown key `colour` in model `m`
      cause: keys that are not known are refused, not ignored
      hint: known keys: `changed_when`, `primary_key`, `source`, `sql`, `sql_file`, `table`
    ");
    let unclosed = changed("[models.m]", "[models.m").unwrap_err();
    assert_eq!(unclosed.matches(": error: ").count(), 1, "{unclosed}");
}

#[test]
fn folders_must_hold_files() {
    let none = load(&[PathBuf::from("/does/not/exist")], &Environment::default()).unwrap_err().to_string();
    assert!(none.contains("the configuration folder cannot be read"), "{none}");
    let empty = load_files(&[("c/notes.txt", "")], &[]).unwrap_err();
    assert!(empty.contains("holds no `.toml` file"), "{empty}");
}

#[test]
fn warnings_leave_the_configuration_valid() {
    let warning = |from: &str, to: &str| {
        let loaded = changed(from, to).unwrap();
        loaded.warnings.iter().map(Diagnostic::to_warning).collect::<Vec<_>>().join("\n")
    };
    assert!(
        warning("match = \"email\"", "match = \"email\"\nlate_window = \"59s\"").contains("shorter than a request")
    );
    let own = "http://api.internal\"\nallow_private = [\"10.0.0.0/8\"]\ntoken = { env = \"T\" }\n#";
    assert_eq!(warning("https://api.example.com", own), "");
    let second = "[syncs.t]\nmodel = \"m\"\ndestination = \"d\"\nobject = \"contacts\"\nmatch = \"email\"\n\
        fields = { email = \"email\", name = \"other\" }\n[syncs.s]";
    let owners = warning("[syncs.s]", second);
    assert!(
        owners.contains("syncs `s` and `t` write the same fields of `contacts`\n  cause: both write `name`;"),
        "{owners}"
    );
    let torn = "destination = \"h\"\nmode = \"insert\"";
    let batches = "path = \"/x\"\nbatch_size = 10";
    let text = WHOLE.replace("destination = \"d\"", torn).replace("path = \"/x\"", batches);
    let torn = load_text(&text).unwrap();
    assert!(torn.warnings[0].to_warning().contains("sync `s` may create a record twice after a crash"));
    let disjoint = second.replace("name = ", "plan = ");
    assert_eq!(warning("[syncs.s]", &disjoint), "");
}

#[test]
fn the_modes_have_their_ways_with_removed_keys() {
    let table = [
        ("upsert", None, OnRemoved::Keep),
        ("upsert", Some("clear"), OnRemoved::Clear),
        ("upsert", Some("delete"), OnRemoved::Delete),
        ("mirror", None, OnRemoved::Delete),
        ("mirror", Some("clear"), OnRemoved::Clear),
        ("insert", None, OnRemoved::Keep),
        ("insert", Some("keep"), OnRemoved::Keep),
        ("update", None, OnRemoved::Keep),
        ("update", Some("clear"), OnRemoved::Clear),
    ];
    for (mode, on_removed, expected) in table {
        let way = on_removed.map(|way| format!("\non_removed = \"{way}\"")).unwrap_or_default();
        let loaded = changed("match = \"email\"", &format!("match = \"email\"\nmode = \"{mode}\"{way}")).unwrap();
        let sync = loaded.specs.sync("s").unwrap();
        assert_eq!((sync.mode.name(), sync.on_removed), (mode, expected));
    }
}

#[test]
fn events_are_read_past_a_cursor_and_need_no_match() {
    let loaded = changed(
        "destination = \"d\"\nobject = \"contacts\"\nmatch = \"email\"",
        "destination = \"h\"\nobject = \"x\"\nmode = \"append\"\n\
         cursor = { column = \"at\", lookback = \"1h\", start = \"1970-01-02\" }",
    )
    .unwrap();
    let sync = loaded.specs.sync("s").unwrap();
    let cursor = CursorSpec {
        column: "at".to_owned(),
        lookback: Lookback::Time(Duration::from_secs(3600)),
        start: Some(CursorStart::Micros(86_400_000_000)),
    };
    assert_eq!((sync.mode, &sync.cursor, sync.match_fields.len()), (Mode::Append, &Some(cursor), 0));
}

#[test]
fn one_account_has_one_set_of_limits() {
    let two = "token = { env = \"T\" }\naccount = \"1\"\n[destinations.e]\ntype = \"hubspot\"\ntoken = { env = \"T\" }\n\
        account = \"1\"\n";
    assert!(changed("token = { env = \"T\" }\n", two).is_ok());
    let limited = format!("{two}limits = {{ daily = 5 }}\n");
    let error = changed("token = { env = \"T\" }\n", &limited).unwrap_err();
    assert!(error.contains("destinations `d` and `e` are one account with different limits"), "{error}");
}

#[test]
fn sql_files_are_relative_to_the_file_that_names_them() {
    let text = WHOLE.replace("table = \"t\"", "sql_file = \"sql/m.sql\"");
    let files = folders(&[("c/a.toml", &text), ("c/sql/m.sql", "select 1 as id")]);
    let loaded = load(&files.1[..1], &Environment::default()).unwrap();
    assert_eq!(loaded.specs.model("m").unwrap().body, ModelBodySpec::Sql("select 1 as id".to_owned()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any change of a valid file by a few characters loads or is refused, without a panic.
    #[test]
    fn damaged_files_never_panic(at in 0..WHOLE.len(), cut in 0_usize..40, text in "\\PC{0,6}|[\\[\\]{}=\"'\n.,*0-9a-z]{0,12}") {
        let mut damaged = WHOLE.to_owned();
        let end = (at + cut).min(damaged.len());
        damaged.replace_range(at..end, &text);
        load_text(&damaged).ok();
    }

    #[test]
    fn any_text_never_panics(text in "([a-z]{1,3}( = |\\.|\\[|\\]|\"|\\{|\\}|\n|[0-9]|\\PC)){0,30}") {
        load_text(&text).ok();
    }
}
