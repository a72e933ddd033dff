//! From a destination's settings to its connector, its limits and the way to reach it: one match over the closed list of
//! vendors for each question.

use std::{num::NonZeroU32, sync::Arc};

use ipnet::IpNet;
use jiff::tz::TimeZone;
use url::Url;

use super::{
    Destination, SyncProblem,
    file::{self, Files, PatternError},
    http::{self, Http, HttpSettings, HttpSettingsError},
    hubspot::{self, HubSpot},
};
use crate::{
    model::spec::{AuthSpec, DestinationSpec, LimitsSpec, SecretSpec, SyncSpec, VendorSpec, WindowSpec},
    wire::{ClientSettings, Daily, Limits, SecretProvider, SigningSecrets, Window},
};

/// Where the client of a destination without requests would send them. The name never resolves (RFC 6761), and plain
/// HTTP to a public address is refused anyway.
const NOWHERE: &str = "http://file.invalid";

/// Settings of a destination that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    /// A vendor without an address of its own.
    #[error("`base_url` is missing: a destination of type `{vendor}` has no address of its own")]
    NoBaseUrl {
        /// The vendor's type.
        vendor: &'static str,
    },
    /// No URL. What stands there may be a secret and is not quoted.
    #[error("`base_url` is no URL that paths can be appended to")]
    BaseUrl(#[source] Option<url::ParseError>),
    /// No address range.
    #[error("`allow_private`: expected a range such as `10.0.0.0/8`, got `{got}`")]
    AllowPrivate {
        /// What stands there.
        got: String,
        /// Why it is none.
        #[source]
        source: ipnet::AddrParseError,
    },
    /// No token endpoint.
    #[error("`token_url` is missing: a destination of type `{vendor}` has no token endpoint of its own")]
    NoTokenUrl {
        /// The vendor's type.
        vendor: &'static str,
    },
    /// No URL of a token endpoint. What stands there may be a secret and is not quoted.
    #[error("`token_url` is no URL")]
    TokenUrl(#[source] url::ParseError),
    /// No name of a header.
    #[error("`auth`: expected a header name, got `{got}`")]
    Header {
        /// What stands there.
        got: String,
    },
    /// A limit of nothing.
    #[error("`limits`: `{key}` must be at least 1 and fit 32 bits, got {got}")]
    Limit {
        /// The limit.
        key: &'static str,
        /// What stands there.
        got: u64,
    },
    /// Settings of the generic destination.
    #[error(transparent)]
    Http(#[from] HttpSettingsError),
    /// Settings of the `file` destination.
    #[error(transparent)]
    File(#[from] PatternError),
}

/// The connector of a destination. It serves every object of the account.
///
/// # Errors
/// The first setting that cannot work.
pub fn open(spec: &DestinationSpec) -> Result<Box<dyn Destination>, DestinationError> {
    Ok(match &spec.vendor {
        VendorSpec::HubSpot(hubspot) => Box::new(HubSpot::new(base_url(spec)?, &hubspot.objects_path)),
        VendorSpec::Http(http) => Box::new(Http::new(base_url(spec)?, HttpSettings::new(http)?)),
        VendorSpec::File(file) => Box::new(Files::new(file)?),
    })
}

/// Checks a sync against what its destination can do, without network.
///
/// # Errors
/// The first problem, with the setting that it concerns and what to do.
pub fn check_sync(destination: &DestinationSpec, sync: &SyncSpec) -> Result<(), SyncProblem> {
    match &destination.vendor {
        VendorSpec::HubSpot(_) => hubspot::check_sync(sync),
        VendorSpec::Http(http) => http::check_sync(http, sync),
        VendorSpec::File(file) => file::check_sync(file, sync),
    }
}

/// Where requests go: `base_url`, else the vendor's own address.
///
/// # Errors
/// When there is none, or it is no URL.
pub fn base_url(spec: &DestinationSpec) -> Result<Url, DestinationError> {
    let own = match &spec.vendor {
        VendorSpec::HubSpot(_) => Some(hubspot::BASE_URL),
        VendorSpec::Http(_) => None,
        VendorSpec::File(_) => Some(NOWHERE),
    };
    let missing = DestinationError::NoBaseUrl { vendor: spec.vendor.type_name() };
    let text = spec.base_url.as_deref().or(own).ok_or(missing)?;
    let url = Url::parse(text).map_err(|error| DestinationError::BaseUrl(Some(error)))?;
    // Paths are appended to the text of the URL.
    let plain = !url.cannot_be_a_base() && url.query().is_none() && url.fragment().is_none();
    if plain { Ok(url) } else { Err(DestinationError::BaseUrl(None)) }
}

/// How a destination is reached. `secret` turns a reference into what reads it.
///
/// # Errors
/// The first setting that cannot work.
pub fn client_settings(
    spec: &DestinationSpec,
    secret: impl Fn(&SecretSpec) -> Arc<dyn SecretProvider>,
) -> Result<ClientSettings, DestinationError> {
    let base_url = base_url(spec)?;
    let auth = super::auth::auth(spec, &base_url, &secret)?;
    let mut settings = ClientSettings::new(base_url, auth);
    if let VendorSpec::Http(http) = &spec.vendor {
        settings.signing = SigningSecrets(http.signing.iter().map(&secret).collect());
    }
    settings.request_timeout = spec.request_timeout;
    settings.connect_timeout = settings.connect_timeout.min(spec.request_timeout / 2);
    settings.allow_private = spec.allow_private.iter().map(|range| private(range)).collect::<Result<_, _>>()?;
    Ok(settings)
}

pub(super) fn private(range: &str) -> Result<IpNet, DestinationError> {
    range.parse().map_err(|source| DestinationError::AllowPrivate { got: range.to_owned(), source })
}

/// The limits of an account: the vendor's defaults, replaced by what the settings say.
///
/// `zone` is the account's time zone (IANA name), where the vendor tells it: a daily limit begins anew at its midnight. An
/// unknown one, also because this machine has no zone data, counts as UTC: the vendor's own refusal ends the day early.
///
/// # Errors
/// A limit of zero.
pub fn limits(spec: &DestinationSpec, zone: Option<&str>) -> Result<Limits, DestinationError> {
    let zone = zone.and_then(|zone| TimeZone::get(zone).ok()).unwrap_or(TimeZone::UTC);
    let defaults = match &spec.vendor {
        VendorSpec::HubSpot(_) => hubspot::default_limits(zone.clone(), matches!(spec.auth, AuthSpec::OAuth(_))),
        VendorSpec::Http(_) | VendorSpec::File(_) => Limits::default(),
    };
    replaced(defaults, &spec.limits, zone)
}

fn replaced(mut limits: Limits, own: &LimitsSpec, zone: TimeZone) -> Result<Limits, DestinationError> {
    if !own.windows.is_empty() {
        limits.windows = own.windows.iter().map(window).collect::<Result<_, _>>()?;
    }
    if let Some(concurrent) = own.concurrent {
        limits.concurrent = Some(at_least_one("concurrent", concurrent.into())?);
    }
    if let Some(daily) = own.daily {
        limits.daily = Some(Daily { requests: at_least_one("daily", daily)?, zone, reserve_percent: 0 });
    }
    if let (Some(daily), Some(reserve)) = (&mut limits.daily, own.reserve_percent) {
        daily.reserve_percent = reserve;
    }
    Ok(limits)
}

fn window(spec: &WindowSpec) -> Result<Window, DestinationError> {
    let requests = at_least_one("requests", spec.requests.into())?;
    Ok(Window { smooth: spec.smooth, ..Window::new(requests, spec.per) })
}

fn at_least_one(key: &'static str, got: u64) -> Result<NonZeroU32, DestinationError> {
    u32::try_from(got).ok().and_then(NonZeroU32::new).ok_or(DestinationError::Limit { key, got })
}
