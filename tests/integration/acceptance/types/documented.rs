//! `docs/types.md` names exactly the types that are tested, with the kinds that they are read as.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use syncline::model::{ColumnKind, KeyKind, Schema};

use super::check::Case;

/// Of a documented type: the kind of its values, and its kind as a key.
type Kinds = (String, String);

/// Compares a section of the document with the schemas of the tested tables.
pub(super) fn check(section: &str, cases: &[Case], schemas: &[(&[&Case], Option<Schema>)]) {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/types.md")).expect("the document");
    let documented = types(&text, section);
    let tested: BTreeSet<&str> = cases.iter().map(|case| case.documented).collect();
    let named: BTreeSet<&str> = documented.keys().map(String::as_str).collect();
    assert_eq!(tested, named, "the types that are tested, and those in `{section}` of docs/types.md");
    for (cases, schema) in schemas {
        let columns = schema.iter().flat_map(|schema| schema.columns.iter().skip(1));
        for (case, column) in cases.iter().zip(columns) {
            let found = (kind(column.kind).to_owned(), key(column.kind, column.key_kind));
            assert_eq!(
                documented.get(case.documented),
                Some(&found),
                "{section}: `{}` ({})",
                case.documented,
                case.column
            );
        }
    }
}

/// The rows `| types | kind | … | key |` of a section; several types of one row are divided by commas.
fn types(text: &str, section: &str) -> BTreeMap<String, Kinds> {
    let heading = format!("## {section}");
    let lines = text.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.starts_with("## "));
    let mut found = BTreeMap::new();
    for line in lines {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let (Some(names), Some(kind), Some(key)) = (cells.first(), cells.get(1), cells.get(3)) else { continue };
        for name in names.split('`').skip(1).step_by(2) {
            let before = found.insert(name.to_owned(), ((*kind).to_owned(), (*key).to_owned()));
            assert!(before.is_none(), "`{name}` stands twice in {section}");
        }
    }
    found
}

const fn kind(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Bool => "boolean",
        ColumnKind::Int => "integer",
        ColumnKind::Decimal => "decimal",
        ColumnKind::Float => "float",
        ColumnKind::Text => "text",
        ColumnKind::Bytes => "bytes",
        ColumnKind::Date => "date",
        ColumnKind::Time => "time",
        ColumnKind::Timestamp => "timestamp",
        ColumnKind::LocalTimestamp => "local timestamp",
        ColumnKind::Json => "JSON",
        ColumnKind::Uuid => "uuid",
        ColumnKind::Dynamic => "by value",
    }
}

fn key(column: ColumnKind, kind: Option<KeyKind>) -> String {
    match kind {
        Some(kind) => kind.to_string(),
        None if column == ColumnKind::Dynamic => "by value".to_owned(),
        None => "no".to_owned(),
    }
}

#[test]
fn tables_of_a_section_are_read() {
    let text = "# T\n\n## A\n\n| type | values | JSON | key |\n| --- | --- | --- | --- |\n| `x`, `y z` | text | \
                string | no |\n\n## B\n\n| `x` | integer | number | integer |\n";
    let found = types(text, "A");
    assert_eq!(found.keys().collect::<Vec<_>>(), ["x", "y z"]);
    assert_eq!(found["x"], ("text".to_owned(), "no".to_owned()));
    assert!(types(text, "C").is_empty());
}
