//! Accounts of destinations: whose credential it is, and the limits that all syncs of the account share.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU32},
};

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    destination::{self, Destination, DestinationError, Identity},
    model::spec::{AuthSpec, DestinationSpec, SecretSpec, SyncSpec, TextSpec, VendorSpec},
    wire::{Account, Accounts, Auth, Fault, HoldReason, HoldState, ProvisionalAccount, SecretError, SecretProvider},
};

use super::{Engine, RunError, Secrets, strangers::Strangers};

/// A destination whose account has been asked for its name.
#[derive(Clone)]
pub struct Connected {
    /// The account: limits, hold, credentials.
    pub account: Account,
    /// The vendor's name of the account.
    pub identity: String,
    /// Batches of this account with durable intents that have not ended.
    pub(super) ahead: Arc<AtomicU32>,
    credential: u64,
    /// The settings that it was connected with.
    spec: Arc<DestinationSpec>,
}

/// All connected destinations of the process.
pub(super) struct Connections {
    pub(super) accounts: Accounts,
    /// Never held while somebody is asked.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    destinations: HashMap<String, Connected>,
    ahead: HashMap<String, Arc<AtomicU32>>,
    strangers: Strangers,
    /// By credential, held while the vendor is asked whose it is: a vendor that does not answer delays no other.
    turns: HashMap<u64, Arc<tokio::sync::Mutex<()>>>,
}

/// What the state keeps of a credential's account, so that a restart paces its first request too.
#[derive(Serialize, Deserialize)]
struct Remembered {
    account: String,
    zone: Option<String>,
}

impl Connections {
    pub(super) fn new(accounts: Accounts) -> Self {
        Self { accounts, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn turn(&mut self, credential: u64) -> Arc<tokio::sync::Mutex<()>> {
        self.turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        self.turns.entry(credential).or_default().clone()
    }
}

impl Engine {
    /// The connector of a destination, checked against what the sync asks of it. No network.
    pub(super) fn connector(&self, spec: &DestinationSpec, sync: &SyncSpec) -> Result<Arc<dyn Destination>, RunError> {
        #[cfg(any(test, feature = "proof"))]
        if let Some(destination) = &self.stand_ins.destination {
            return Ok(destination.clone());
        }
        destination::check_sync(spec, sync).map_err(|problem| RunError::Connector {
            destination: spec.name.clone(),
            reason: format!("sync `{}`: {problem}", sync.name),
            hint: problem.hint,
        })?;
        Ok(Arc::from(destination::open(spec).map_err(|error| unusable(spec, &error))?))
    }

    /// The account of a destination. The vendor is asked once for each credential whose it is.
    ///
    /// # Errors
    /// When the settings or the credential cannot be used, the vendor cannot be asked, or it names another account than
    /// the configuration.
    pub async fn connect(&self, spec: &DestinationSpec, connector: &dyn Destination) -> Result<Connected, RunError> {
        let credential = self.credential_hash(spec).await?;
        let turn = self.connections.known().turn(credential);
        let _turn = turn.lock().await;
        let before = self.connections.known().destinations.get(&spec.name).cloned();
        if let Some(connected) = before.filter(|known| known.credential == credential && *known.spec == *spec) {
            return Ok(connected);
        }
        let (account, identity) = self.identify(spec, connector, credential).await?;
        check_pin(spec, &identity)?;
        let mut known = self.connections.known();
        if known.destinations.get(&spec.name).is_some_and(|before| before.spec.limits != spec.limits) {
            self.relimit(&known, &account, spec)?;
        }
        let ahead = known.ahead.entry(account.identity().to_owned()).or_default().clone();
        let connected = Connected { account, identity, ahead, credential, spec: Arc::new(spec.clone()) };
        known.destinations.insert(spec.name.clone(), connected.clone());
        Ok(connected)
    }

    /// Gives an account the limits of a changed destination, joined with those of the other destinations that it has. What
    /// it has sent still counts.
    fn relimit(&self, known: &Known, account: &Account, spec: &DestinationSpec) -> Result<(), RunError> {
        let limits_of =
            |spec: &DestinationSpec| destination::limits(spec, None).map_err(|error| unusable(spec, &error));
        let mut limits = limits_of(spec)?;
        for other in known.destinations.values().filter(|other| other.account.identity() == account.identity()) {
            let name = &other.spec.name;
            if let Some(other) = self.parts.specs.destination(name).filter(|other| other.name != spec.name) {
                limits = limits.narrowest(&limits_of(other)?);
            }
        }
        account.relimit(&limits);
        Ok(())
    }

    /// Asks the vendor. What the state remembers of the credential only paces the question; the answer counts.
    async fn identify(
        &self,
        spec: &DestinationSpec,
        connector: &dyn Destination,
        credential: u64,
    ) -> Result<(Account, String), RunError> {
        let remembered = self.state().identity(credential).await?;
        let remembered = remembered.and_then(|text| serde_json::from_str::<Remembered>(&text).ok());
        let asking = match &remembered {
            Some(known) => {
                let provisional = self.provisional(spec, known.zone.as_deref(), credential)?;
                self.adopt(spec, provisional, &known.account).await?
            }
            None => return self.introduce(spec, connector, credential).await,
        };
        // Other credentials were refused: whether these are accepted shows without the hold.
        if asking.hold_state() == HoldState::Shut(HoldReason::Credentials) {
            return self.introduce(spec, connector, credential).await;
        }
        let identity = self.ask(spec, connector, &asking).await?;
        if remembered.is_some_and(|known| known.account == identity.account) {
            return Ok((asking, identity.account));
        }
        self.introduce(spec, connector, credential).await
    }

    /// First contact: the limiter that asked is merged into the account's. A question without an answer leaves it for the
    /// next one, with the hold that the vendor asked for.
    async fn introduce(
        &self,
        spec: &DestinationSpec,
        connector: &dyn Destination,
        credential: u64,
    ) -> Result<(Account, String), RunError> {
        let before = self.connections.known().strangers.take(credential, spec);
        let stranger = match before {
            Some(before) => before,
            None => self.provisional(spec, None, credential)?,
        };
        let counted = self.count_where_it_was(spec).await;
        let asked = match counted {
            Ok(_counted) => self.ask(spec, connector, stranger.account()).await,
            Err(error) => Err(error),
        };
        let identity = match asked {
            Ok(identity) => identity,
            Err(error) => {
                self.connections.known().strangers.keep(credential, spec, stranger);
                return Err(error);
            }
        };
        let zoned = self.provisional(spec, identity.time_zone.as_deref(), credential)?;
        let account = self.adopt(spec, zoned, &identity.account).await?;
        account.credentials_accepted();
        self.adopt(spec, stranger, &identity.account).await?;
        let Identity { account: name, time_zone: zone } = identity;
        let text = serde_json::to_string(&Remembered { account: name.clone(), zone }).unwrap_or_default();
        if self.state().is_writable() {
            self.state().writer().save_identity(credential, &text).await?;
        }
        Ok((account, name))
    }

    /// With a new credential a destination most likely has the account that it had, so the question counts there too. What
    /// refused the old credential says nothing of the new one.
    async fn count_where_it_was(&self, spec: &DestinationSpec) -> Result<Option<impl Drop + Send + use<>>, RunError> {
        let before = self.connections.known().destinations.get(&spec.name).map(|known| known.account.clone());
        match before.filter(|account| account.hold_state() != HoldState::Shut(HoldReason::Credentials)) {
            Some(account) => {
                let counted = account.count_another().await;
                counted.map(Some).map_err(|fault| request_failed(spec, "ask whose credential this is", fault))
            }
            None => Ok(None),
        }
    }

    async fn ask(
        &self,
        spec: &DestinationSpec,
        connector: &dyn Destination,
        account: &Account,
    ) -> Result<Identity, RunError> {
        let asked = connector.check(account).await.inspect_err(|fault| account.heed(fault));
        asked.map_err(|fault| request_failed(spec, "ask whose credential this is", fault))
    }

    fn provisional(
        &self,
        spec: &DestinationSpec,
        zone: Option<&str>,
        credential: u64,
    ) -> Result<ProvisionalAccount, RunError> {
        let provider = |secret: &SecretSpec| -> Arc<dyn SecretProvider> {
            Arc::new(Provider { secrets: self.parts.secrets.clone(), secret: secret.clone() })
        };
        let mut settings = destination::client_settings(spec, provider).map_err(|error| unusable(spec, &error))?;
        if let Auth::OAuth(oauth) = &mut settings.auth {
            // Tokens that other secrets were traded for are not this credential's.
            oauth.shared_as = credential;
        }
        let limits = destination::limits(spec, zone).map_err(|error| unusable(spec, &error))?;
        let provisional = self.connections.accounts.provisional(settings, limits, NonZeroU32::MIN);
        provisional.map_err(|source| RunError::Settings { destination: spec.name.clone(), source })
    }

    async fn adopt(
        &self,
        spec: &DestinationSpec,
        provisional: ProvisionalAccount,
        identity: &str,
    ) -> Result<Account, RunError> {
        let name = format!("{}:{identity}", spec.vendor.type_name());
        self.connections.accounts.adopt(provisional, &name).await.map_err(RunError::Grants)
    }

    async fn credential_hash(&self, spec: &DestinationSpec) -> Result<u64, RunError> {
        let address = match &spec.vendor {
            VendorSpec::File(file) => file.path.as_str(),
            VendorSpec::HubSpot(_) | VendorSpec::Http(_) => spec.base_url.as_deref().unwrap_or_default(),
        };
        let mut parts = Zeroizing::new(Vec::new());
        let mut put = |part: &str| crate::model::put_bytes(part.as_bytes(), &mut parts);
        put(spec.vendor.type_name());
        put(address);
        for secret in self.secrets_of(&spec.auth).await? {
            put(secret.expose_secret());
        }
        Ok(self.state().installation_hasher().short(&parts))
    }

    /// Everything that makes up a credential, as it is now.
    async fn secrets_of(&self, auth: &AuthSpec) -> Result<Vec<SecretString>, RunError> {
        let plain = |text: &str| TextSpec::Plain(text.to_owned());
        let secret = |secret: &SecretSpec| TextSpec::Secret(secret.clone());
        let parts = match auth {
            AuthSpec::None => vec![plain("")],
            AuthSpec::Bearer(token) => vec![secret(token)],
            AuthSpec::Basic { user, password } => vec![user.clone(), secret(password)],
            AuthSpec::Header { name, value } => vec![plain("header"), plain(name), secret(value)],
            AuthSpec::Query { name, value } => vec![plain("query"), plain(name), secret(value)],
            AuthSpec::OAuth(oauth) => {
                let token_url = plain(oauth.token_url.as_deref().unwrap_or_default());
                let mut parts = vec![plain("oauth"), token_url, oauth.client_id.clone(), secret(&oauth.client_secret)];
                parts.extend(oauth.refresh_token.as_ref().map(secret));
                parts.extend([&oauth.scope, &oauth.audience].map(|text| plain(text.as_deref().unwrap_or_default())));
                parts
            }
        };
        let mut read = Vec::with_capacity(parts.len());
        for part in parts {
            read.push(match part {
                TextSpec::Plain(text) => SecretString::from(text),
                TextSpec::Secret(secret) => self.parts.secrets.read(&secret).await?,
            });
        }
        Ok(read)
    }
}

/// The account that the configuration names must be the one that the vendor names.
fn check_pin(spec: &DestinationSpec, identity: &str) -> Result<(), RunError> {
    match spec.account.as_deref().filter(|pinned| *pinned != identity) {
        None => Ok(()),
        Some(pinned) => Err(RunError::Refused {
            reason: format!("destination `{}` is account `{identity}`, the configuration says `{pinned}`", spec.name),
            hint: "use the credential of the right account, or correct `account`".to_owned(),
        }),
    }
}

pub(super) fn unusable(spec: &DestinationSpec, error: &DestinationError) -> RunError {
    RunError::Connector {
        destination: spec.name.clone(),
        reason: error.to_string(),
        hint: "correct the destination's settings".to_owned(),
    }
}

pub(super) fn request_failed(spec: &DestinationSpec, action: &'static str, fault: Fault) -> RunError {
    RunError::Request { destination: spec.name.clone(), action, fault: Box::new(fault) }
}

/// Reads one secret whenever the wire asks for it.
struct Provider {
    secrets: Arc<dyn Secrets>,
    secret: SecretSpec,
}

#[async_trait]
impl SecretProvider for Provider {
    async fn read(&self) -> Result<SecretString, SecretError> {
        let failed = |failure: super::SecretFailure| SecretError {
            reference: self.secret.to_string(),
            source: Some(std::io::Error::other(failure)),
        };
        self.secrets.read(&self.secret).await.map_err(failed)
    }
}
