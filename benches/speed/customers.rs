//! The model: `customers`, a key and 20 columns of mixed types, about 300 bytes a row. Every value is a function of the id.

/// Which database the statements are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Postgres,
    Sqlite,
    MariaDb,
}

/// A column: name, then type and value in PostgreSQL, SQLite and MariaDB. In values `{i}` is the id and `{h}` a number below
/// 2^31 that looks random.
struct Column {
    name: &'static str,
    types: [&'static str; 3],
    values: [&'static str; 3],
}

const fn column(name: &'static str, types: [&'static str; 3], values: [&'static str; 3]) -> Column {
    Column { name, types, values }
}

const fn text(name: &'static str, value: &'static str) -> Column {
    column(name, ["text"; 3], [value; 3])
}

/// `{i}` is at most 10^8, so that the product stays below 2^63 everywhere.
const HASH: &str = "(({i} * 2654435761) % 2147483647)";

const COLUMNS: [Column; 21] = [
    column("id", ["bigint", "integer", "bigint"], ["{i}"; 3]),
    text("email", "'customer.' || {i} || '@company-' || ({h} % 50000) || '.example'"),
    text("first_name", "'Given' || ({h} % 5000)"),
    text("last_name", "'Surname' || ({h} % 80000)"),
    text("company", "'Company number ' || ({h} % 50000) || ' Ltd'"),
    text("phone", "case when {h} % 10 < 7 then '+49 30 ' || (10000000 + {h} % 89999999) end"),
    text("country", "case {h} % 4 when 0 then 'Germany' when 1 then 'France' when 2 then 'Portugal' else 'Italy' end"),
    text("city", "case when {h} % 20 > 0 then 'City of ' || ({h} % 3000) end"),
    text("plan", "case {h} % 3 when 0 then 'free' when 1 then 'team' else 'enterprise' end"),
    text("source", "case when {h} % 5 > 0 then 'campaign-' || ({h} % 400) end"),
    text("notes", "case when {h} % 3 > 0 then 'Called on day ' || ({h} % 365) || ', wants to hear more' end"),
    column("mrr", ["numeric(12,2)", "decimal(12,2)", "decimal(12,2)"], ["({h} % 500000) / 100.0"; 3]),
    column("seats", ["integer"; 3], ["{h} % 500"; 3]),
    column("health", ["double precision", "double", "double"], ["({h} % 1024) / 1024.0"; 3]),
    column("active", ["boolean"; 3], ["{h} % 7 > 0"; 3]),
    column("opted_in", ["boolean"; 3], ["{h} % 2 = 0"; 3]),
    column(
        "created_at",
        INSTANT,
        [
            "to_timestamp(1500000000 + {h} % 100000000)",
            "strftime('%Y-%m-%dT%H:%M:%SZ', 1500000000 + {h} % 100000000, 'unixepoch')",
            "from_unixtime(1500000000 + {h} % 100000000)",
        ],
    ),
    column(
        "last_seen_at",
        INSTANT,
        [
            "case when {h} % 8 > 0 then to_timestamp(1700000000 + {h} % 50000000) end",
            "case when {h} % 8 > 0 then strftime('%Y-%m-%dT%H:%M:%SZ', 1700000000 + {h} % 50000000, 'unixepoch') end",
            "case when {h} % 8 > 0 then from_unixtime(1700000000 + {h} % 50000000) end",
        ],
    ),
    column(
        "updated_at",
        INSTANT,
        [
            "to_timestamp(1750000000 + {i} % 10000000)",
            "strftime('%Y-%m-%dT%H:%M:%SZ', 1750000000 + {i} % 10000000, 'unixepoch')",
            "from_unixtime(1750000000 + {i} % 10000000)",
        ],
    ),
    column(
        "renews_on",
        ["date", "text", "date"],
        [
            "date '2026-01-01' + ({h} % 365)::int",
            "date('2026-01-01', '+' || ({h} % 365) || ' days')",
            "date '2026-01-01' + interval ({h} % 365) day",
        ],
    ),
    column(
        "attributes",
        ["jsonb", "text", "json"],
        [
            "jsonb_build_object('tier', {h} % 4, 'region', 'eu-' || ({h} % 9), 'beta', {h} % 11 = 0)",
            "json_object('tier', {h} % 4, 'region', 'eu-' || ({h} % 9), 'beta', {h} % 11 = 0)",
            "json_object('tier', {h} % 4, 'region', 'eu-' || ({h} % 9), 'beta', {h} % 11 = 0)",
        ],
    ),
];

const INSTANT: [&str; 3] = ["timestamptz", "text", "timestamp null"];

impl Dialect {
    const fn index(self) -> usize {
        match self {
            Self::Postgres => 0,
            Self::Sqlite => 1,
            Self::MariaDb => 2,
        }
    }

    /// Statements that make the table with so many rows, in the order of the key, which is its primary key.
    pub(crate) fn create(self, rows: u64) -> String {
        let at = self.index();
        let columns = COLUMNS.map(|column| format!("{} {}", column.name, column.types[at])).join(", ");
        let values = COLUMNS.map(|column| column.values[at]).join(", ").replace("{h}", HASH).replace("{i}", "i");
        let insert = match self {
            Self::Postgres => {
                format!("insert into customers select {values} from generate_series(1, {rows}::bigint) g(i)")
            }
            Self::Sqlite => format!(
                "insert into customers with recursive g(i) as (select 1 union all select i + 1 from g where i < {rows})
                 select {values} from g"
            ),
            Self::MariaDb => {
                format!(
                    "insert into customers select {values} from (select cast(seq as signed) as i from seq_1_to_{rows}) g"
                )
            }
        };
        let finish = match self {
            Self::Postgres => "vacuum analyze customers",
            Self::Sqlite => "analyze",
            Self::MariaDb => "analyze table customers",
        };
        format!("create table customers ({columns}, primary key (id)); {insert}; {finish}")
    }

    /// Changes the rows that satisfy `condition`, and says so in `updated_at`, as a careful application does.
    pub(crate) fn touch(self, condition: &str) -> String {
        let now = match self {
            Self::Postgres => "updated_at + interval '1 year'",
            Self::Sqlite => "strftime('%Y-%m-%dT%H:%M:%SZ', updated_at, '+1 year')",
            Self::MariaDb => "updated_at + interval 1 year",
        };
        format!("update customers set seats = seats + 1, notes = 'changed', updated_at = {now} where {condition}")
    }
}

/// Copies `customers` to `shuffled`: no index, rows in random order (PostgreSQL).
pub(crate) const SHUFFLE: &str =
    "create table shuffled as select * from customers order by md5(id::text); vacuum analyze shuffled";
