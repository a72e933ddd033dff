//! Every log line's fields stand in the log reference.

use super::{File, code_of, production_files, report};

const REFERENCE: &str = include_str!("../../../docs/logs.md");

#[test]
fn every_logged_field_is_documented() {
    let lines: Vec<Line> = production_files().iter().flat_map(lines_of).collect();
    assert!(lines.len() > 5, "the scan finds only {} log lines", lines.len());
    report(lines.iter().filter_map(|line| undocumented(line, REFERENCE)).collect());
}

/// One `event!(events::NAME, …)`.
#[derive(Debug, PartialEq)]
struct Line {
    path: String,
    /// `run.started`.
    event: String,
    fields: Vec<String>,
}

fn lines_of(file: &File) -> Vec<Line> {
    let code = code_of(&file.text);
    let calls = code
        .split("event!(events::")
        .skip(1)
        .chain(code.split("event!(\n").skip(1).filter_map(|call| call.trim_start().strip_prefix("events::")));
    let line = |call: &str| {
        let mut parts = arguments(call).into_iter();
        let event = parts.next().unwrap_or_default().to_lowercase().replace('_', ".");
        let name =
            |part: String| part.split('=').next().unwrap_or_default().trim().trim_start_matches(['%', '?']).to_owned();
        Line { path: file.path.clone(), event, fields: parts.map(name).filter(|name| !name.is_empty()).collect() }
    };
    calls.map(line).collect()
}

/// The arguments of a call whose opening bracket was read already.
fn arguments(call: &str) -> Vec<String> {
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in call.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(c);
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}

/// What the reference lacks of a line.
fn undocumented(line: &Line, reference: &str) -> Option<String> {
    let start = format!("| `{}` |", line.event);
    let Some(row) = reference.lines().find(|row| row.starts_with(&start)) else {
        return Some(format!("src/{}: docs/logs.md lacks `{}`", line.path, line.event));
    };
    let described = if row.contains("see below") { reference } else { row };
    let missing: Vec<&str> =
        line.fields.iter().filter(|field| !described.contains(&format!("`{field}`"))).map(String::as_str).collect();
    let wrong = || format!("src/{}: docs/logs.md lacks of `{}`: {}", line.path, line.event, missing.join(", "));
    (!missing.is_empty()).then(wrong)
}

#[test]
fn the_check_notices() {
    let text = "fn f() {\n event!(events::RUN_STARTED, sync = f(a, b), %run, first);\n telemetry::event!(\n  \
                events::RUN_SKIPPED,\n  sync = x,\n  reason = \"a, b\",\n );\n event!(events::HTTP_STOPPED);\n}";
    let lines = lines_of(&File { path: "run/mod.rs".to_owned(), text: text.to_owned() });
    let read: Vec<(&str, Vec<&str>)> =
        lines.iter().map(|line| (line.event.as_str(), line.fields.iter().map(String::as_str).collect())).collect();
    let expected = [
        ("run.started", vec!["sync", "run", "first"]),
        ("http.stopped", vec![]),
        ("run.skipped", vec!["sync", "reason"]),
    ];
    assert_eq!(read, expected);
    let reference = "| `run.started` | info | a run begins | `sync`, `run` |\n| `http.stopped` | info | | |";
    let told: Vec<String> = lines.iter().filter_map(|line| undocumented(line, reference)).collect();
    assert_eq!(
        told,
        [
            "src/run/mod.rs: docs/logs.md lacks of `run.started`: first",
            "src/run/mod.rs: docs/logs.md lacks `run.skipped`"
        ]
    );
}
