//! Layers, what is shown of them, what changes between two configurations, and syncs that run after others.

use super::*;

const ABOVE: &str = "[destinations.d]\nlimits = { requests = 5, per = \"1s\" }\n[syncs.s]\nenabled = false\n\
    fields = { email = \"mail\" }\n[scheduler]\nworkers_per_run = 2\n";

fn layered() -> Loaded {
    let base = format!("environment = \"test\"\n[scheduler]\nmax_runs = 2\nworkers_per_run = 1\n{WHOLE}");
    let variables = [("SYNCLINE__SCHEDULER__MAX_RUNS", "9"), ("SYNCLINE__STATE__URL", "sqlite://other.db")];
    load_files(&[("base/a.toml", &base), ("prod/crm.toml", ABOVE)], &variables).unwrap()
}

/// Without the temporary folder.
fn short(text: &str) -> String {
    let cut = |line: &str| match (line.find("# /"), line.find("base/").or(line.find("prod/"))) {
        (Some(start), Some(end)) => format!("{}# {}", &line[..start], &line[end..]),
        _ => line.to_owned(),
    };
    text.lines().map(cut).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_effective_configuration_names_the_place_of_each_value() {
    insta::assert_snapshot!(short(&layered().given.to_toml(true)), @r##"
    environment = "test"  # base/a.toml:1

    [scheduler]
    max_runs = 9  # environment variable `SYNCLINE__SCHEDULER__MAX_RUNS`
    workers_per_run = 2  # prod/crm.toml:7

    [state]
    url = "sqlite://other.db"  # environment variable `SYNCLINE__STATE__URL`

    [sources.w]
    path = "w.db"  # base/a.toml:8
    type = "sqlite"  # base/a.toml:7

    [models.m]
    primary_key = "id"  # base/a.toml:11
    source = "w"  # base/a.toml:10
    table = "t"  # base/a.toml:12

    [destinations.d]
    limits = { per = "1s", requests = 5 }  # prod/crm.toml:2
    token = { env = "T" }  # base/a.toml:15
    type = "hubspot"  # base/a.toml:14

    [destinations.h]
    base_url = "https://api.example.com"  # base/a.toml:18
    path = "/x"  # base/a.toml:19
    type = "http"  # base/a.toml:17

    [syncs.s]
    destination = "d"  # base/a.toml:22
    enabled = false  # prod/crm.toml:4
    match = "email"  # base/a.toml:24
    model = "m"  # base/a.toml:21
    object = "contacts"  # base/a.toml:23

    [syncs.s.fields]
    email = "mail"  # prod/crm.toml:5
    "##);
}

#[test]
fn what_is_shown_is_the_same_configuration() {
    let loaded = layered();
    let again = load_text(&loaded.given.to_toml(false)).unwrap();
    assert_eq!(again.specs, loaded.specs);
    assert_eq!(again.settings, loaded.settings);
    let json = loaded.given.to_json();
    assert_eq!(json["scheduler"]["max_runs"], 9);
    assert_eq!(json["syncs"]["s"]["fields"], serde_json::json!({ "email": "mail" }));
}

#[test]
fn a_password_in_a_url_is_masked() {
    let variables = [("SYNCLINE__STATE__URL", "sqlite://user:canary@host/x.db")];
    let loaded = load_files(&[("c/a.toml", WHOLE)], &variables).unwrap();
    let shown = format!("{}{}", loaded.given.to_toml(true), loaded.given.to_json());
    assert!(shown.contains("sqlite://user:***@host/x.db") && !shown.contains("canary"), "{shown}");
}

#[test]
fn the_key_has_one_origin_in_the_environment_too() {
    let file = ("SYNCLINE__STATE__KEY__FILE", "/run/key");
    let base = format!("[state]\nkey = {{ command = [\"pass\"] }}\n{WHOLE}");
    let replaced = load_files(&[("c/a.toml", &base)], &[file]).unwrap();
    assert_eq!(replaced.settings.state.key, Some(SecretSpec::File("/run/key".into())));
    let both = load_files(&[("c/a.toml", &base)], &[file, ("SYNCLINE__STATE__KEY__ENV", "KEY")]).unwrap_err();
    assert!(both.contains("got 2 of `env`, `file` and `command`, expected one"), "{both}");
}

#[test]
fn a_mistake_of_a_later_folder_is_told_where_it_stands() {
    let error = |above: &str| load_files(&[("base/a.toml", WHOLE), ("prod/b.toml", above)], &[]).unwrap_err();
    let wrong = error("[syncs.s]\nmode = \"mirro\"\n");
    assert!(wrong.contains("prod/b.toml:2:8: error: `mode` of sync `s` is not valid"), "{wrong}");
    let reference = error("[models.m]\nsource = \"x\"\n");
    assert!(reference.contains("prod/b.toml:2:10: error: model `m` names source `x`"), "{reference}");
    let table = error("[syncs]\ns = 7\n");
    assert!(table.contains("prod/b.toml:2:5: error: sync `s` is not a table"), "{table}");
    let files =
        [("base/a.toml", WHOLE), ("prod/b.toml", "[syncs.s]\nenabled = true\n"), ("prod/c.toml", "[syncs.s]\n")];
    let twice = load_files(&files, &[]).unwrap_err();
    assert!(twice.contains("prod/c.toml:1:8: error: sync `s` is defined twice"), "{twice}");
    assert!(twice.contains("it stands first at") && twice.contains("prod/b.toml:1:8"), "both places: {twice}");
}

fn with_syncs(syncs: &[(&str, &str)]) -> Result<Loaded, String> {
    let mut text = WHOLE.to_owned();
    for (name, keys) in syncs {
        text.push_str(&format!(
            "[syncs.{name}]\nmodel = \"m\"\ndestination = \"d\"\nobject = \"{name}\"\nmatch = \"email\"\n{keys}\n\
             fields = {{ email = \"email\" }}\n"
        ));
    }
    load_text(&text)
}

#[test]
fn a_sync_may_run_after_others() {
    let loaded = with_syncs(&[("t", "schedule = { after = [\"s\", \"u\"] }"), ("u", "schedule = { after = \"s\" }")]);
    let specs = loaded.unwrap().specs;
    assert_eq!(specs.sync("t").unwrap().schedule, Schedule::After(vec!["s".to_owned(), "u".to_owned()]));
    assert_eq!(specs.sync("u").unwrap().schedule, Schedule::After(vec!["s".to_owned()]));
}

#[test]
fn rings_and_disabled_parents_are_errors() {
    let ring = with_syncs(&[("t", "schedule = { after = \"u\" }"), ("u", "schedule = { after = [\"s\", \"t\"] }")]);
    let ring = ring.unwrap_err();
    assert!(ring.contains("each of these runs after the next: t -> u -> t"), "{ring}");
    assert_eq!(ring.matches("waits for itself").count(), 2, "{ring}");
    let disabled = with_syncs(&[("t", "schedule = { after = \"u\" }"), ("u", "enabled = false")]).unwrap_err();
    assert!(disabled.contains("sync `u` is not enabled, so `t` would never run"), "{disabled}");
    let both = with_syncs(&[("t", "enabled = false\nschedule = { after = \"u\" }"), ("u", "enabled = false")]);
    assert!(both.is_ok());
    let twice = with_syncs(&[("t", "schedule = { after = [\"s\", \"s\"] }")]).unwrap_err();
    assert!(twice.contains("`s` is named twice"), "{twice}");
}

#[test]
fn changes_are_told_by_name() {
    let before = with_syncs(&[("t", "")]).unwrap();
    let after = with_syncs(&[("u", "")]).unwrap();
    let changes = Changes::between(&before, &after);
    assert_eq!((changes.added, changes.removed), (vec!["sync u".to_owned()], vec!["sync t".to_owned()]));
    assert_eq!((changes.changed, changes.kept), (vec![], vec![]));
    let text = WHOLE.replace("table = \"t\"", "table = \"v\"").replace("path = \"/x\"", "path = \"/y\"");
    let settings =
        "environment = \"x\"\n[state]\nurl = \"sqlite://b.db\"\n[scheduler]\nmax_runs = 1\n[log]\nlevel = \"warn\"\n";
    let changes = Changes::between(&whole(), &load_text(&format!("{settings}{text}")).unwrap());
    assert_eq!(changes.changed, ["model m", "destination h", "[scheduler]"]);
    assert_eq!(changes.kept, ["environment", "state.url", "log.level"]);
    let state = format!("[state]\nfolder = \"elsewhere\"\nlease = \"1m\"\n{WHOLE}");
    let changes = Changes::between(&whole(), &load_text(&state).unwrap());
    assert_eq!(changes.kept, ["state.folder", "state.lease"]);
    assert_eq!(Changes::between(&whole(), &whole()), Changes::default());
}
