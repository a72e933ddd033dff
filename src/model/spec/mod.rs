//! What the configuration says, validated and as plain data: sources, models, destinations, syncs.

mod cursor;
mod destination;
mod field;
mod http;
mod settings;
mod source;
mod sync;

pub use cursor::{CursorSpec, CursorStart, Lookback};
pub use destination::{
    AuthSpec, DestinationSpec, FileFormat, FileSpec, HubSpotSpec, LimitsSpec, OAuthSpec, OAuthStyle, VendorSpec,
    WindowSpec,
};
pub use field::{Constant, FieldSource, FreshSpec, HashEncoding, HashFunction, HashSpec, Normalise, Remap};
pub use http::{
    HttpBodySpec, HttpIdentitySpec, HttpObjectSpec, HttpOperationSpec, HttpRecordsSpec, HttpResultsSpec, HttpSpec,
    HttpStatuses, gives_ids, serving,
};
pub use settings::{HttpSettings, LogSettings, SchedulerSettings, Settings, StateSettings};
pub use source::{ModelBodySpec, ModelSpec, SecretSpec, ServerSpec, SourceKind, SourceSpec, TextSpec};
pub use sync::{
    Cast, FieldSpec, FirstRun, GuardSpec, KeyShape, Mode, OnRemoved, Schedule, StarSpec, SyncSpec, WhenNull,
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
