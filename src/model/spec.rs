//! What the configuration says, validated and as plain data: sources, models, destinations, syncs.

use std::{path::PathBuf, time::Duration};

use super::KeyKind;

/// Where a secret comes from. The configuration never holds one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SecretSpec {
    /// An environment variable.
    Env(String),
    /// A file, without its trailing newline; read again on reload and on a 401.
    File(PathBuf),
    /// The standard output of a command, without its trailing newline.
    Command(Vec<String>),
}

/// A text that may be a secret: either written in the configuration or taken from a [`SecretSpec`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TextSpec {
    /// Written in the configuration.
    Plain(String),
    /// Taken from a secret.
    Secret(SecretSpec),
}

/// Everything that one configuration says.
#[derive(Debug, Clone, PartialEq)]
pub struct Specs {
    /// Label of the installation (`production`, `staging`); stored in the state.
    pub environment: Option<String>,
    /// The sources, by name.
    pub sources: Vec<SourceSpec>,
    /// The models.
    pub models: Vec<ModelSpec>,
    /// The destinations.
    pub destinations: Vec<DestinationSpec>,
    /// The syncs.
    pub syncs: Vec<SyncSpec>,
}

/// A connection to a warehouse or database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSpec {
    /// Its name.
    pub name: String,
    /// Its kind and settings.
    pub kind: SourceKind,
    /// Statements are cancelled after this long.
    pub statement_timeout: Duration,
}

/// The kinds of sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// PostgreSQL.
    Postgres(PostgresSpec),
    /// An SQLite database file.
    Sqlite {
        /// The file (relative to the working directory), or an `sqlite://` URL.
        path: TextSpec,
    },
}

/// How to reach a PostgreSQL server: a URL, or its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostgresSpec {
    /// A `postgres://` URL.
    Url(TextSpec),
    /// Parts.
    Parts {
        /// Host name, address or socket folder.
        host: TextSpec,
        /// TCP port.
        port: u16,
        /// Database name.
        database: TextSpec,
        /// Role.
        user: TextSpec,
        /// The role's password.
        password: Option<SecretSpec>,
        /// `disable`, `prefer`, `require`, `verify-ca` or `verify-full` (default).
        tls: String,
    },
}

/// A query with a primary key; its result is the desired state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSpec {
    /// Its name.
    pub name: String,
    /// The source's name.
    pub source: String,
    /// Key columns, in order.
    pub primary_key: Vec<String>,
    /// The statement (already read from its file) or the table.
    pub body: ModelBodySpec,
}

/// The statement of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelBodySpec {
    /// A `select`, written in the configuration or in `sql_file`.
    Sql(String),
    /// A table or view.
    Table(String),
}

/// One account of one external system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationSpec {
    /// Its name.
    pub name: String,
    /// The vendor and its own settings.
    pub vendor: VendorSpec,
    /// Where requests go; the vendor's own address when absent.
    pub base_url: Option<String>,
    /// Private address ranges that requests may reach (CIDR).
    pub allow_private: Vec<String>,
    /// The account that the vendor must name before the first send.
    pub account: Option<String>,
    /// The credential.
    pub auth: AuthSpec,
    /// Limits that replace the vendor's defaults; empty for the defaults.
    pub limits: LimitsSpec,
    /// A whole request may take this long.
    pub request_timeout: Duration,
}

/// How requests are authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthSpec {
    /// No authentication (generic `http` only).
    None,
    /// `Authorization: Bearer …`.
    Bearer(SecretSpec),
}

/// Request limits of an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimitsSpec {
    /// `requests` per `per`; several may hold at once.
    pub windows: Vec<WindowSpec>,
    /// Requests in flight at once.
    pub concurrent: Option<u32>,
    /// Requests per day.
    pub daily: Option<u64>,
    /// Share of the daily limit that is left to others, in percent.
    pub reserve_percent: Option<u8>,
}

/// At most `requests` within any stretch of `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSpec {
    /// Number of requests.
    pub requests: u32,
    /// Length of the window.
    pub per: Duration,
    /// Spread evenly instead of in bursts, for an account that people share.
    pub smooth: bool,
}

/// The vendors and their own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VendorSpec {
    /// HubSpot CRM.
    HubSpot(HubSpotSpec),
    /// Any JSON API.
    Http(HttpSpec),
}

impl VendorSpec {
    /// The name that `type = …` has in the configuration.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::HubSpot(_) => "hubspot",
            Self::Http(_) => "http",
        }
    }
}

/// HubSpot's own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubSpotSpec {
    /// Path of the object endpoints: `/crm/v3/objects` (default) or a dated `/crm/objects/2026-09`.
    pub objects_path: String,
}

/// The generic `http` destination's own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSpec {
    /// Path that upserts are sent to, below `base_url`; `{object}` stands for the sync's object.
    pub path: String,
    /// `POST`, `PUT` or `PATCH` for upserts.
    pub method: String,
    /// Path that removals are sent to, with `DELETE`; `None` refuses syncs that delete.
    pub delete_path: Option<String>,
    /// Records per request: 1 sends a JSON object, more send an array.
    pub batch_size: u32,
    /// Wraps the array under this name; `None` sends the bare array.
    pub envelope: Option<String>,
    /// Header that carries the idempotency key.
    pub idempotency_header: String,
    /// Where an answer's per-row results stand; `None` when the API answers for the whole request only.
    pub results: Option<HttpResultsSpec>,
    /// JSON pointer to the account's name in the answer of `GET identity_path`.
    pub identity: Option<HttpIdentitySpec>,
}

/// Where an `http` answer's per-row results stand. All are JSON pointers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResultsSpec {
    /// The array of results in the answer.
    pub rows: String,
    /// In a result: the row's match value; `None` matches results by position.
    pub key: Option<String>,
    /// In a result: the row's success flag or status.
    pub status: String,
    /// Values of `status` that mean success, as JSON texts (`"ok"`, `true`, `200`).
    pub success: Vec<String>,
    /// In a result: the vendor's record id.
    pub record_id: Option<String>,
    /// In a result: the error's code.
    pub error_code: Option<String>,
    /// In a result: the error's message.
    pub error_message: Option<String>,
}

/// How an `http` destination tells its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpIdentitySpec {
    /// Path below `base_url` for a `GET`.
    pub path: String,
    /// JSON pointer to the account's name.
    pub pointer: String,
}

/// A sync: model to object of a destination.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncSpec {
    /// Its name.
    pub name: String,
    /// The model's name.
    pub model: String,
    /// The destination's name.
    pub destination: String,
    /// The destination's object, as the vendor names it (`contacts`).
    pub object: String,
    /// What is done with the model's rows.
    pub mode: Mode,
    /// Destination fields that identify a record there.
    pub match_fields: Vec<String>,
    /// What is done with keys that left the model.
    pub on_removed: OnRemoved,
    /// What happens at the first run.
    pub first_run: FirstRun,
    /// When it runs.
    pub schedule: Schedule,
    /// The rules that stop a plan.
    pub guard: GuardSpec,
    /// A SQL condition on the model's columns.
    pub filter: Option<String>,
    /// The explicit fields.
    pub fields: Vec<FieldSpec>,
    /// `"*"`: the remaining columns by name.
    pub star: Option<StarSpec>,
    /// Switched off when false.
    pub enabled: bool,
    /// After an ambiguous send, other changes of the key wait this long; default: request timeout + 60 s.
    pub late_window: Option<Duration>,
    /// Delivery of a plan older than this stops at a batch border.
    pub max_plan_age: Duration,
}

/// What is done with the model's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Create or update; removed keys are kept unless `on_removed` says otherwise.
    Upsert,
    /// Create, update and remove: `on_removed` is `delete` unless it says `clear`.
    Mirror,
}

impl Mode {
    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::Mirror => "mirror",
        }
    }
}

/// What is done with keys that left the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRemoved {
    /// The record stays; the key leaves a tombstone.
    Keep,
    /// The mapped fields, except those of the match, are cleared.
    Clear,
    /// The record is deleted (archived).
    Delete,
}

impl OnRemoved {
    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Clear => "clear",
            Self::Delete => "delete",
        }
    }
}

/// What happens at the first run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstRun {
    /// The first plan waits for approval.
    Ask,
    /// Everything is sent.
    Backfill,
}

/// When a sync runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// Only when asked.
    Manual,
    /// Every so often, with jitter at start.
    Every(Duration),
}

/// A destination field and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldSpec {
    /// The destination field. Dots nest; a literal dot is written `\.`.
    pub name: String,
    /// Where the value comes from.
    pub source: FieldSource,
    /// What a null does.
    pub when_null: WhenNull,
}

/// Where a field's value comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldSource {
    /// A column, cast if asked.
    Column {
        /// The column's name.
        column: String,
        /// The cast.
        cast: Option<Cast>,
    },
    /// A constant.
    Constant(Constant),
}

/// A constant of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// Text.
    Text(String),
    /// Integer.
    Int(i64),
    /// Float.
    Float(f64),
    /// Boolean.
    Bool(bool),
}

/// `as = …` of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cast {
    /// Text, in one documented form for each kind.
    Text,
    /// A 64-bit integer; a fraction or other text makes the row invalid.
    Integer,
    /// A decimal, rounded half away from zero to `scale` places when given.
    Decimal {
        /// Places after the point.
        scale: Option<u8>,
    },
    /// A float.
    Float,
    /// `true`/`false`, also from `t/f`, `yes/no`, `1/0`.
    Boolean,
    /// A date, also from a timestamp (UTC) or ISO text.
    Date,
    /// An instant, also from ISO text with a zone.
    Timestamp,
    /// JSON, from JSON or text that parses.
    Json,
}

/// What a null does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenNull {
    /// The field is left out: what stands at the destination stays.
    Skip,
    /// The field is cleared at the destination.
    Clear,
    /// The row is invalid.
    Error,
}

/// `"*"`: the remaining columns by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StarSpec {
    /// Columns to leave out.
    pub except: Vec<String>,
    /// What a null does.
    pub when_null: WhenNull,
}

/// The guard's rules. Shares are in percent; 100 switches a rule off.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardSpec {
    /// Stop when the result is empty and the snapshot is not.
    pub stop_on_empty: bool,
    /// Largest share of removed keys.
    pub max_removed: f64,
    /// Largest share of changed keys.
    pub max_changed: f64,
    /// Largest share of added keys, once a first run has closed complete.
    pub max_added: f64,
    /// Largest share of invalid rows.
    pub max_invalid: f64,
    /// Shares count only above this many rows.
    pub min_rows: u64,
    /// Absolute cap on removed keys.
    pub max_removed_rows: Option<u64>,
    /// Absolute cap on changed keys.
    pub max_changed_rows: Option<u64>,
    /// Absolute cap on added keys.
    pub max_added_rows: Option<u64>,
    /// Absolute cap on invalid rows.
    pub max_invalid_rows: Option<u64>,
}

impl Default for GuardSpec {
    fn default() -> Self {
        Self {
            stop_on_empty: true,
            max_removed: 10.0,
            max_changed: 50.0,
            max_added: 50.0,
            max_invalid: 2.0,
            min_rows: 100,
            max_removed_rows: None,
            max_changed_rows: None,
            max_added_rows: None,
            max_invalid_rows: None,
        }
    }
}

/// The daemon's own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The state store.
    pub state: StateSettings,
    /// The inbound HTTP server.
    pub http: HttpSettings,
    /// Logging.
    pub log: LogSettings,
    /// The scheduler.
    pub scheduler: SchedulerSettings,
}

/// `[state]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSettings {
    /// `sqlite://FILE`.
    pub url: TextSpec,
    /// The installation key; generated beside an SQLite file when absent.
    pub key: Option<SecretSpec>,
}

/// `[http]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// Address of `/healthz` and `/readyz`; loopback only.
    pub listen: Option<std::net::SocketAddr>,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter by target.
    pub level: String,
    /// `auto` (pretty on a terminal, else JSON), `json` or `pretty`.
    pub format: String,
}

/// `[scheduler]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulerSettings {
    /// Runs at once.
    pub max_runs: usize,
    /// Batches in flight for one run.
    pub workers_per_run: usize,
}

/// Key columns and their kinds, as fixed at a sync's first run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeyShape {
    /// Column names, in order.
    pub columns: Vec<String>,
    /// Their kinds.
    pub kinds: Vec<KeyKind>,
}
