//! A table of 20 columns of mixed types, made by SQL in each database and told again by Rust: what the destination must
//! hold for a row is a function of its id and version alone.

use std::collections::BTreeMap;

use jiff::{ToSpan as _, civil::date};
use serde_json::{Map, Value};

/// A column: its name, type and value in PostgreSQL, SQLite and MariaDB (`{i}` is the id, `{v}` the version), and the text that
/// the destination holds for it.
pub(super) struct Column {
    pub(super) name: &'static str,
    postgres: (&'static str, &'static str),
    sqlite: (&'static str, &'static str),
    mariadb: (&'static str, &'static str),
    text: fn(i64, i64) -> Option<String>,
}

const fn both(
    name: &'static str,
    postgres: &'static str,
    sqlite: &'static str,
    value: &'static str,
    text: fn(i64, i64) -> Option<String>,
) -> Column {
    Column { name, postgres: (postgres, value), sqlite: (sqlite, value), mariadb: (postgres, value), text }
}

/// The columns.
pub(super) const COLUMNS: [Column; 20] = [
    both("id", "bigint primary key", "integer primary key", "{i}", |i, _| Some(i.to_string())),
    both("version", "integer", "integer", "{v}", |_, v| Some(v.to_string())),
    both("email", "text", "text", "'user' || {i} || '@example.com'", |i, _| Some(format!("user{i}@example.com"))),
    both("name", "text", "text", "'Näme ' || {i} || ' / ' || {v} || ' 😀'", |i, v| {
        Some(format!("Näme {i} / {v} 😀"))
    }),
    Column {
        name: "active",
        postgres: ("boolean", "({i} + {v}) % 2 = 0"),
        sqlite: ("boolean", "({i} + {v}) % 2 = 0"),
        // It has no boolean: `tinyint(1)` is a number.
        mariadb: ("varchar(5)", "if(({i} + {v}) % 2 = 0, 'true', 'false')"),
        text: |i, v| Some(((i + v) % 2 == 0).to_string()),
    },
    both("small", "smallint", "integer", "{i} % 1000 - 500", |i, _| Some((i % 1000 - 500).to_string())),
    both("big", "bigint", "integer", "{i} * 9000000001 + {v}", |i, v| Some((i * 9_000_000_001 + v).to_string())),
    both("price", "numeric(14,4)", "decimal(14,4)", "({i} * 5 + {v}) / 4.0", |i, v| Some(quarters(i * 5 + v))),
    Column {
        name: "ratio",
        postgres: ("double precision", "({i} + {v})::float8 / 8"),
        sqlite: ("double", "({i} + {v}) / 8.0"),
        mariadb: ("double", "({i} + {v}) / 8.0"),
        text: |i, v| Some(((i + v) as f64 / 8.0).to_string()),
    },
    Column {
        name: "share",
        postgres: ("real", "({i} % 64 + {v})::real / 4"),
        sqlite: ("real", "({i} % 64 + {v}) / 4.0"),
        mariadb: ("float", "({i} % 64 + {v}) / 4.0"),
        text: |i, v| Some(quarters(i % 64 + v)),
    },
    Column {
        name: "born",
        postgres: ("date", "date '2000-01-01' + (({i} + {v}) % 9000)::int"),
        sqlite: ("text", "date('2000-01-01', '+' || (({i} + {v}) % 9000) || ' days')"),
        mariadb: ("date", "date '2000-01-01' + interval (({i} + {v}) % 9000) day"),
        text: |i, v| Some((date(2000, 1, 1) + ((i + v) % 9000).days()).to_string()),
    },
    Column {
        name: "seen",
        postgres: ("timestamptz", "to_timestamp(1600000000 + {i} + {v}) + interval '250 milliseconds'"),
        sqlite: ("text", "strftime('%Y-%m-%dT%H:%M:%S', 1600000000 + {i} + {v}, 'unixepoch') || '.250Z'"),
        mariadb: ("timestamp(3) null", "from_unixtime(1600000000 + {i} + {v} + 0.250)"),
        text: |i, v| Some(clock("%Y-%m-%dT%H:%M:%S.250Z", 1_600_000_000 + i + v)),
    },
    Column {
        name: "made",
        postgres: ("timestamp", "timestamp '1970-01-01' + (1500000000 + {i} + {v}) * interval '1 second'"),
        sqlite: ("text", "strftime('%Y-%m-%dT%H:%M:%S', 1500000000 + {i} + {v}, 'unixepoch')"),
        mariadb: ("datetime", "timestamp '1970-01-01 00:00:00' + interval (1500000000 + {i} + {v}) second"),
        text: |i, v| Some(clock("%Y-%m-%dT%H:%M:%S", 1_500_000_000 + i + v)),
    },
    Column {
        name: "hour",
        postgres: ("time", "time '00:00' + (({i} + {v}) % 86400) * interval '1 second'"),
        sqlite: ("text", "time(({i} + {v}) % 86400, 'unixepoch')"),
        mariadb: ("time", "sec_to_time(({i} + {v}) % 86400)"),
        text: |i, v| Some(clock("%H:%M:%S", (i + v) % 86_400)),
    },
    Column {
        name: "tags",
        postgres: ("jsonb", "jsonb_build_object('tier', {i} % 3, 'v', {v})"),
        sqlite: ("text", "json_object('tier', {i} % 3, 'v', {v})"),
        mariadb: ("json", "json_object('tier', {i} % 3, 'v', {v})"),
        text: |i, v| Some(format!("{{\"tier\":{},\"v\":{v}}}", i % 3)),
    },
    Column {
        name: "uid",
        postgres: ("uuid", "lpad(to_hex({i}), 32, '0')::uuid"),
        sqlite: ("text", "'00000000-0000-0000-0000-' || printf('%012x', {i})"),
        mariadb: ("uuid", "'00000000-0000-0000-0000-' || lpad(hex({i}), 12, '0')"),
        text: |i, _| Some(format!("00000000-0000-0000-0000-{i:012x}")),
    },
    Column {
        name: "raw",
        postgres: ("bytea", "decode(lpad(to_hex({i}), 16, '0'), 'hex')"),
        sqlite: ("blob", "unhex(printf('%016x', {i}))"),
        mariadb: ("varbinary(8)", "unhex(lpad(hex({i}), 16, '0'))"),
        text: |i, _| Some(format!("\\x{i:016x}")),
    },
    both("note", "text", "text", "case when ({i} + {v}) % 5 > 0 then 'note ' || {i} || '-' || {v} end", |i, v| {
        ((i + v) % 5 > 0).then(|| format!("note {i}-{v}"))
    }),
    both(
        "country",
        "varchar(2)",
        "varchar(2)",
        "case ({i} + {v}) % 3 when 0 then 'DE' when 1 then 'FR' else 'US' end",
        |i, v| Some(["DE", "FR", "US"][((i + v) % 3) as usize].to_owned()),
    ),
    both("score", "integer", "integer", "case when ({i} + {v}) % 7 > 0 then ({i} + {v}) % 100 end", |i, v| {
        ((i + v) % 7 > 0).then(|| ((i + v) % 100).to_string())
    }),
];

/// Which database the statements are for.
#[derive(Clone, Copy)]
pub(super) enum Dialect {
    Postgres,
    Sqlite,
    MariaDb,
}

impl Dialect {
    fn of(self, column: &Column) -> (&'static str, &'static str) {
        match self {
            Self::Postgres => column.postgres,
            Self::Sqlite => column.sqlite,
            Self::MariaDb => column.mariadb,
        }
    }

    /// Statements that make and fill `customers` with ids from 1 to `rows`, all of version 0.
    pub(super) fn create(self, rows: u64) -> String {
        let columns: Vec<_> = COLUMNS.iter().map(|column| format!("{} {}", column.name, self.of(column).0)).collect();
        let (with, from) = match self {
            Self::Postgres => (String::new(), format!("generate_series(1::bigint, {rows}) as g(i)")),
            Self::Sqlite => {
                let series = format!("select 1 union all select i + 1 from g where i < {rows}");
                (format!("with recursive g(i) as ({series}) "), "g".to_owned())
            }
            Self::MariaDb => (String::new(), format!("(select cast(seq as signed) as i from seq_1_to_{rows}) as g")),
        };
        let values: Vec<_> = COLUMNS.iter().map(|column| expression(self.of(column).1, "i", "0")).collect();
        let (columns, values) = (columns.join(", "), values.join(", "));
        format!("create table customers ({columns}); insert into customers {with}select {values} from {from};")
    }

    /// A statement that gives rows their next version.
    pub(super) fn advance(self, condition: &str) -> String {
        // MariaDB assigns in order, and the version is part of every other column.
        let columns = COLUMNS.iter().filter(|column| column.name != "id").rev();
        let set: Vec<_> = columns
            .map(|column| format!("{} = {}", column.name, expression(self.of(column).1, "id", "(version + 1)")))
            .collect();
        format!("update customers set {} where {condition};", set.join(", "))
    }
}

fn expression(text: &str, id: &str, version: &str) -> String {
    text.replace("{i}", id).replace("{v}", version)
}

/// The fields of the mapping.
pub(super) fn mapping() -> String {
    let field = |column: &Column| match column.name {
        "raw" => "raw = { column = \"raw\", as = \"text\" }\n".to_owned(),
        name => format!("{name} = {{ column = \"{name}\", when_null = \"clear\" }}\n"),
    };
    COLUMNS.iter().map(field).collect()
}

/// Demands that the live records are exactly those of `versions` (id to version), field by field.
#[track_caller]
pub(super) fn assert_equal(records: &[Value], versions: &BTreeMap<i64, i64>) {
    let mut seen = 0;
    for record in records.iter().filter(|record| record["archived"] == false) {
        let properties = record["properties"].as_object().expect("properties");
        let id = properties.get("id").and_then(Value::as_str).and_then(|id| id.parse::<i64>().ok()).expect("an id");
        let version = versions.get(&id).unwrap_or_else(|| panic!("an orphan: {id}"));
        assert_eq!(comparable(properties.clone()), comparable(expected(id, *version)), "record of {id}");
        seen += 1;
    }
    assert_eq!(seen, versions.len(), "live records");
}

fn expected(id: i64, version: i64) -> Map<String, Value> {
    let fields = COLUMNS.iter().filter_map(|column| Some((column.name.to_owned(), (column.text)(id, version)?.into())));
    fields.collect()
}

/// JSON is compared as JSON: databases space and order it as they like.
fn comparable(mut fields: Map<String, Value>) -> Map<String, Value> {
    let tags = fields.get("tags").and_then(Value::as_str).map(|text| serde_json::from_str(text).expect("JSON"));
    fields.extend(tags.map(|tags| ("tags".to_owned(), tags)));
    fields
}

fn quarters(count: i64) -> String {
    let fraction = ["", ".25", ".5", ".75"][(count % 4) as usize];
    format!("{}{fraction}", count / 4)
}

fn clock(format: &str, seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).expect("a time").strftime(format).to_string()
}
