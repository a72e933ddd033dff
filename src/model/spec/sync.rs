//! What is done with a model: syncs, fields, guard.

use std::time::Duration;

use super::{CursorSpec, FieldSource, FreshSpec, Remap};
use crate::model::{Cron, KeyKind, Operation};

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
    /// Where to read on from; of mode `append` alone.
    pub cursor: Option<CursorSpec>,
    /// Destination fields that identify a record there; exactly one in this version, in mode `append` also none.
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
    /// It is overdue when its last close `ok`, `partial` or `skipped` is longer ago.
    pub max_age: Option<Duration>,
    /// When a new mapping is applied to rows whose data has not changed.
    pub remap: Remap,
    /// The model is read at least this often, whatever its `changed_when` answers.
    pub full_every: Duration,
}

impl SyncSpec {
    /// A sync with every setting at its default.
    pub fn new(name: &str, model: &str, destination: &str, object: &str) -> Self {
        Self {
            name: name.to_owned(),
            model: model.to_owned(),
            destination: destination.to_owned(),
            object: object.to_owned(),
            mode: Mode::Upsert,
            cursor: None,
            match_fields: Vec::new(),
            on_removed: OnRemoved::Keep,
            first_run: FirstRun::Ask,
            schedule: Schedule::Every(Duration::from_secs(15 * 60)),
            guard: GuardSpec::default(),
            filter: None,
            fields: Vec::new(),
            star: None,
            enabled: true,
            late_window: None,
            max_plan_age: Duration::from_secs(3600),
            max_age: None,
            remap: Remap::Now,
            full_every: Duration::from_secs(24 * 3600),
        }
    }
}

/// What is done with the model's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Create or update; removed keys are kept unless `on_removed` says otherwise.
    Upsert,
    /// Create, update and remove: `on_removed` is `delete` unless it says `clear`.
    Mirror,
    /// Create records of new keys; what stands is never touched.
    Insert,
    /// Update records that exist; never create one.
    Update,
    /// Create a record for each event past a cursor, once; nothing is changed or removed afterwards.
    Append,
}

impl Mode {
    /// What is sent for a present row whose record's id is known, or not.
    pub const fn operation(self, has_id: bool) -> Operation {
        match self {
            Self::Insert | Self::Append => Operation::Insert,
            Self::Update => Operation::Update,
            Self::Upsert | Self::Mirror => {
                if has_id {
                    Operation::Update
                } else {
                    Operation::Upsert
                }
            }
        }
    }

    /// True where a record is created once and never changed: then an operation is named by an idempotency key that is a
    /// function of the key alone.
    pub const fn creates_once(self) -> bool {
        matches!(self, Self::Insert | Self::Append)
    }

    /// What may be done with removed keys, the default first.
    pub const fn removals(self) -> &'static [OnRemoved] {
        match self {
            Self::Upsert => &[OnRemoved::Keep, OnRemoved::Clear, OnRemoved::Delete],
            Self::Mirror => &[OnRemoved::Delete, OnRemoved::Clear],
            Self::Update => &[OnRemoved::Keep, OnRemoved::Clear],
            Self::Insert | Self::Append => &[OnRemoved::Keep],
        }
    }

    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::Mirror => "mirror",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Append => "append",
        }
    }

    /// Whether a row that was delivered may be sent again without harm: a resync does that.
    pub const fn can_repeat(self) -> bool {
        !self.creates_once()
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
    /// At times of a zone's clock.
    Cron(Box<Cron>),
    /// Once each of these syncs has closed `ok` or `partial` since this one's last start.
    After(Vec<String>),
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

impl WhenNull {
    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Clear => "clear",
            Self::Error => "error",
        }
    }
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
    /// Largest share of rows in which one field that was filled has become null.
    pub max_emptied: f64,
    /// Largest share of keys that a new mapping alone changes.
    pub max_remapped: f64,
    /// How old the newest data may be; `None`: any age.
    pub fresh: Option<FreshSpec>,
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
    /// Absolute cap on rows in which one field has become null.
    pub max_emptied_rows: Option<u64>,
    /// Absolute cap on keys that a new mapping alone changes.
    pub max_remapped_rows: Option<u64>,
}

impl Default for GuardSpec {
    fn default() -> Self {
        Self {
            stop_on_empty: true,
            max_removed: 10.0,
            max_changed: 50.0,
            max_added: 50.0,
            max_invalid: 2.0,
            max_emptied: 20.0,
            max_remapped: 10.0,
            fresh: None,
            min_rows: 100,
            max_removed_rows: None,
            max_changed_rows: None,
            max_added_rows: None,
            max_invalid_rows: None,
            max_emptied_rows: None,
            max_remapped_rows: None,
        }
    }
}

/// Key columns and their kinds, as fixed at a sync's first run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeyShape {
    /// Column names, in order.
    pub columns: Vec<String>,
    /// Their kinds.
    pub kinds: Vec<KeyKind>,
}
