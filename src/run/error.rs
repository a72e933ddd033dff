//! Why a run fails or is refused.

use std::sync::Arc;

use crate::{
    delivery::DeliveryError,
    mapping::MappingError,
    proof::Injected,
    source::SourceError,
    spool::SpoolError,
    state::StateError,
    wire::{Fault, SettingsError, StoreError},
};

use super::SecretFailure;

/// Why a run ends without a plan carried out.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A name that the configuration does not define.
    #[error("there is no {what} named `{name}`")]
    Unknown {
        /// What kind of thing.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Refused: goes on by itself once the model or the configuration is repaired; no approval lets it through.
    #[error("{reason}")]
    Refused {
        /// Why.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// The model could not be read.
    #[error("the model could not be read")]
    Source(#[source] Arc<SourceError>),
    /// The mapping does not fit the model.
    #[error("the mapping of sync `{sync}` does not fit its model: {}", problems.join("; "))]
    Mapping {
        /// The sync.
        sync: String,
        /// Every problem, without any value.
        problems: Vec<String>,
        /// What to do about the first.
        hint: String,
    },
    /// The rows came out of key order: nothing of this result can be trusted.
    #[error("the source broke the order contract: {0}")]
    Order(crate::diff::OrderViolation),
    /// The plan could not be spooled.
    #[error("the plan could not be spooled")]
    Spool(#[from] SpoolError),
    /// The state store failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// Delivery failed.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// A secret could not be read.
    #[error(transparent)]
    Secret(#[from] SecretFailure),
    /// The destination's settings cannot be used.
    #[error("destination `{destination}` cannot be used")]
    Settings {
        /// Its name.
        destination: String,
        /// Why.
        #[source]
        source: SettingsError,
    },
    /// The connector refuses the destination's or the sync's settings.
    #[error("destination `{destination}`: {reason}")]
    Connector {
        /// Its name.
        destination: String,
        /// Why.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// A request outside of delivery failed.
    #[error("destination `{destination}`: cannot {action}: {}", fault.kind)]
    Request {
        /// Its name.
        destination: String,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        fault: Box<Fault>,
    },
    /// The account's saved limits could not be read.
    #[error("the account's saved grants could not be read")]
    Grants(#[source] StoreError),
    /// The counts of the run do not add up (promise P7): a defect.
    #[error("the run's counts do not add up: {0}")]
    Accounting(String),
    /// The daemon is stopping.
    #[error("the run was stopped before its plan was complete")]
    Stopped,
}

impl From<Injected> for RunError {
    fn from(injected: Injected) -> Self {
        Self::State(injected.into())
    }
}

impl RunError {
    pub(super) fn unknown(what: &'static str, name: &str) -> Self {
        Self::Unknown { what, name: name.to_owned() }
    }

    pub(super) fn mapping(errors: Vec<MappingError>, sync: &str) -> Self {
        let hint = errors.first().map(MappingError::hint).unwrap_or_default();
        Self::Mapping { sync: sync.to_owned(), problems: errors.iter().map(ToString::to_string).collect(), hint }
    }

    /// Whether it is a refusal rather than a failure.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Mapping { .. } => true,
            Self::Source(error) => {
                matches!(error.as_ref(), SourceError::KeyKindChanged { .. } | SourceError::MissingKey { .. })
            }
            Self::Unknown { .. }
            | Self::Order(_)
            | Self::Spool(_)
            | Self::State(_)
            | Self::Delivery(_)
            | Self::Secret(_)
            | Self::Settings { .. }
            | Self::Connector { .. }
            | Self::Request { .. }
            | Self::Grants(_)
            | Self::Accounting(_)
            | Self::Stopped => false,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused { hint, .. } | Self::Connector { hint, .. } => Some(hint.clone()),
            Self::Source(error) => error.hint().map(str::to_owned),
            Self::Mapping { hint, .. } => Some(hint.clone()),
            Self::State(error) => error.hint().map(str::to_owned),
            Self::Request { fault, .. } => Some(fault.kind.hint().to_owned()),
            Self::Settings { .. } => Some("correct the destination's `base_url`, `limits` or timeouts".to_owned()),
            Self::Secret(failure) => Some(failure.hint.clone()),
            Self::Accounting(_) => Some("this is a defect of Syncline; nothing more is sent by this run".to_owned()),
            Self::Order(_) => Some("add `order`-safe key columns or report the source's collation".to_owned()),
            Self::Spool(error) | Self::Delivery(DeliveryError::Spool(error)) => error.hint().map(str::to_owned),
            Self::Delivery(DeliveryError::State(error)) => error.hint().map(str::to_owned),
            Self::Unknown { .. } | Self::Grants(_) | Self::Stopped => None,
        }
    }
}
