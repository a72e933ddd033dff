//! The `file` destination, with the real binary: files are whole, and a kill in the middle loses nothing.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::support::{Running, Workspace};

fn workspace(format: &str) -> Workspace {
    let workspace = Workspace::new();
    workspace.write(
        "config/syncline.toml",
        &format!(
            r#"
[sources.warehouse]
type = "sqlite"
path = "warehouse.db"
[models.rows]
source = "warehouse"
primary_key = "id"
sql = "select id, name from m"
[destinations.export]
type = "file"
path = "out/{{object}}-{{run}}.{format}"
format = "{format}"
[syncs.export]
model = "rows"
destination = "export"
object = "rows"
match = "id"
mode = "mirror"
first_run = "backfill"
guard = {{ max_removed = "100%", max_changed = "100%", max_added = "100%" }}
[syncs.export.fields]
id = "id"
name = "name"
"#
        ),
    );
    workspace
}

/// The files of the folder by name: hidden ones, and those that are visible.
fn files(workspace: &Workspace) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let Ok(entries) = fs::read_dir(workspace.path("out")) else { return Default::default() };
    let all = entries.map(|entry| {
        let path = entry.unwrap().path();
        (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap_or_default())
    });
    all.partition(|(name, _)| name.starts_with('.'))
}

fn published(workspace: &Workspace) -> Vec<String> {
    let (hidden, published) = files(workspace);
    assert!(hidden.is_empty(), "{:?}", hidden.keys());
    published.into_values().collect()
}

#[test]
fn each_run_with_changes_is_one_file() {
    let workspace = workspace("csv");
    workspace.sql("create table m (id integer primary key, name text); insert into m values (1, 'a, b'), (2, null);");
    workspace.syncline(&["sync", "export"]).expect(0);
    workspace.syncline(&["sync", "export"]).expect(0);
    workspace.sql("delete from m where id = 1; update m set name = 'say \"hi\"' where id = 2;");
    workspace.syncline(&["sync", "export"]).expect(0);
    let expected = [
        "operation,id,name\nupsert,1,\"a, b\"\nupsert,2,\n",
        "operation,id,name\nupsert,2,\"say \"\"hi\"\"\"\ndelete,1,\n",
    ];
    assert_eq!(published(&workspace), expected);
}

const ROWS: usize = 20_000;

fn wait_for_rows(workspace: &Workspace, running: &Running) {
    let has_rows = || files(workspace).0.values().any(|text| text.contains('\n'));
    // Bounded by looks, each of which reads the folder.
    let found = (0..5_000_000).any(|_| has_rows());
    assert!(found, "process {} wrote nothing", running.id());
}

#[test]
fn a_kill_in_the_middle_loses_nothing() {
    let workspace = workspace("jsonl");
    workspace.sql(&format!(
        "create table m (id integer primary key, name text);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < {ROWS})
         insert into m select i, 'name ' || i from n;"
    ));
    let running = workspace.start(&["sync", "export"]);
    wait_for_rows(&workspace, &running);
    assert_eq!(running.kill().code, None);
    let (hidden, visible) = files(&workspace);
    assert!(visible.is_empty() && hidden.len() == 1, "nothing half-written is visible: {:?}", visible.keys());

    let status = workspace.syncline(&["status", "--output", "json"]).json();
    let settled =
        status["status"][0]["entries"].as_u64().unwrap_or_else(|| panic!("no `entries` in {status}")) as usize;
    let written = hidden.values().map(|text| text.matches('\n').count()).sum::<usize>();
    assert!(settled <= written && written < ROWS, "{settled} settled, {written} written");

    // A torn row, as a loss of power leaves it.
    let torn = workspace.path(&format!("out/{}", hidden.keys().next().unwrap()));
    fs::write(&torn, hidden.values().next().unwrap().clone() + "{\"operation\":\"ups").unwrap();
    workspace.sql(&format!("insert into m values ({}, 'new')", ROWS + 1));
    workspace.syncline(&["sync", "export"]).expect(0);
    let (mut state, mut lines) = (BTreeMap::new(), 0);
    for line in published(&workspace).iter().flat_map(|text| text.lines()) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["operation"], "upsert");
        state.insert(line["record"]["id"].as_u64().unwrap(), line["record"]["name"].as_str().unwrap().to_owned());
        lines += 1;
    }
    assert_eq!(state.len(), ROWS + 1);
    assert!((1..=ROWS as u64).all(|id| state[&id] == format!("name {id}")));
    assert!(lines > ROWS && lines <= ROWS + 1 + written - settled, "{lines} lines, {written} were written twice");
    println!("{settled} rows settled and {written} written before the kill, {lines} lines in all");
}
