//! The HTTP client of one destination, with every guard of its own.

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, Method, header};
use reqwest::{ClientBuilder, redirect, retry, tls};
use secrecy::ExposeSecret as _;
use url::Url;

use super::{
    address::{Policy, Refused},
    credential::{Credential, Credentials, Place},
    fault::{Fault, FaultKind, Sent},
    limiter::Grant,
    request::{Request, Response},
    resolver::{GuardedResolver, Lookup, SystemLookup},
    settings::{ClientSettings, SettingsError},
    signing::Signer,
    stack::{Stack, StampedBody, call, stack},
};

const USER_AGENT: &str = concat!("syncline/", env!("CARGO_PKG_VERSION"));

/// The HTTP client of one destination.
pub(super) struct Client {
    stack: Stack,
    policy: Policy,
    base_url: Url,
    pub(super) credentials: Credentials,
    pub(super) signer: Signer,
}

impl Client {
    /// `credentials` are those of `settings.auth`.
    pub(super) fn new(settings: ClientSettings, credentials: Credentials) -> Result<Self, SettingsError> {
        Self::with_lookup(settings, credentials, Arc::new(SystemLookup))
    }

    pub(super) fn with_lookup(
        settings: ClientSettings,
        credentials: Credentials,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, SettingsError> {
        let policy = settings.policy()?;
        let resolver = GuardedResolver { policy: policy.clone(), lookup };
        let mut http = builder(&settings).dns_resolver(resolver);
        if settings.base_url.scheme() == "http" {
            http = http.tls_backend_preconfigured(trusts_nobody());
        }
        let http = http.build().map_err(SettingsError::Client)?;
        Ok(Self {
            stack: stack_over(http, &settings),
            policy,
            base_url: settings.base_url,
            credentials,
            signer: Signer::new(settings.signing),
        })
    }

    /// Whether requests to this URL are allowed, as far as it shows by itself.
    pub(super) fn admit(&self, url: &Url) -> Result<(), Fault> {
        let same = url.origin() == self.base_url.origin();
        let origin = if same { Ok(()) } else { Err(Refused::Origin) };
        origin
            .and_then(|()| self.policy.check_url(url))
            .map_err(|why| Fault::new(FaultKind::Blocked, Sent::No).because(why))
    }

    /// Sends once.
    pub(super) async fn transmit(
        &self,
        request: &Request,
        credential: Option<&Credential>,
        grant: Grant,
    ) -> Result<Response, Fault> {
        let mut outbound = reqwest::Request::new(request.method.clone(), request.url.clone());
        outbound.headers_mut().clone_from(&request.headers);
        match credential.map(|Credential { place, .. }| place) {
            Some(Place::Header { name, value }) => drop(outbound.headers_mut().insert(name, value.clone())),
            Some(Place::Query { name, value }) => {
                outbound.url_mut().query_pairs_mut().append_pair(name, value.expose_secret());
            }
            None => {}
        }
        if !request.body.is_empty() {
            let body = StampedBody::new(request.body.clone(), grant);
            *outbound.body_mut() = Some(reqwest::Body::wrap(body));
        }
        call(&self.stack, outbound).await
    }

    /// Posts a form to `base_url` itself, outside any account's limits, as a token endpoint wants it.
    pub(super) async fn post_form(&self, form: &str, authorization: Option<HeaderValue>) -> Result<Response, Fault> {
        self.admit(&self.base_url)?;
        let mut outbound = reqwest::Request::new(Method::POST, self.base_url.clone());
        let headers = outbound.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.extend(authorization.map(|value| (header::AUTHORIZATION, value)));
        *outbound.body_mut() = Some(form.to_owned().into());
        call(&self.stack, outbound).await
    }
}

fn stack_over(http: reqwest::Client, settings: &ClientSettings) -> Stack {
    #[cfg(any(test, feature = "proof"))]
    if let Some(carrier) = super::transport::installed() {
        return stack(carrier, settings.request_timeout, settings.max_body);
    }
    stack(http, settings.request_timeout, settings.max_body)
}

/// A client that goes where it is told and nowhere else: no redirects, no proxies of the environment, which would resolve
/// names behind the guard's back, and no retries of its own, which nobody would count.
fn builder(settings: &ClientSettings) -> ClientBuilder {
    install_crypto();
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .retry(retry::never())
        .referer(false)
        .tls_version_min(tls::Version::TLS_1_2)
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(Duration::from_secs(60))
        .tcp_keepalive(Duration::from_secs(30))
}

/// For clients that never use TLS: the default would load the machine's root certificates and fail where there are none,
/// as in a small container.
fn trusts_nobody() -> rustls::ClientConfig {
    rustls::ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
}

/// Makes ring the process's provider, which `reqwest` needs before it builds a client.
fn install_crypto() {
    // An error only says that a provider is installed already.
    let _installed = rustls::crypto::ring::default_provider().install_default().is_ok();
}
