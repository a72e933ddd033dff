//! What the configuration says, validated and as plain data: sources, models, destinations, syncs.

mod cursor;
mod destination;
mod settings;
mod source;
mod sync;

pub use cursor::{CursorSpec, CursorStart, Lookback};
pub use destination::{
    AuthSpec, DestinationSpec, HttpIdentitySpec, HttpResultsSpec, HttpSpec, HubSpotSpec, LimitsSpec, VendorSpec,
    WindowSpec,
};
pub use settings::{HttpSettings, LogSettings, SchedulerSettings, Settings, StateSettings};
pub use source::{ModelBodySpec, ModelSpec, PostgresSpec, SecretSpec, SourceKind, SourceSpec, TextSpec};
pub use sync::{
    Cast, Constant, FieldSource, FieldSpec, FirstRun, GuardSpec, KeyShape, Mode, OnRemoved, Schedule, StarSpec,
    SyncSpec, WhenNull,
};

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
