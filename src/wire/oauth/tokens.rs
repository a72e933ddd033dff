//! The access token of one credential: asked for once by however many requests, and ahead of its end.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{FutureExt as _, future::Shared};
use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{sync::oneshot, time::Instant};

use super::{
    OAuth, OAuthGrant,
    answer::{self, Issued},
    endpoint::Endpoint,
    secrets::{Refresh, Secrets, read, unreadable},
};
use crate::{
    telemetry::{self, event, events},
    wire::{
        fault::{Fault, FaultKind, Sent},
        locked,
        store::{GrantKey, SavedToken, TokenStore},
    },
};

/// The life of a token whose server does not tell it; a 401 ends a shorter one.
const DEFAULT_LIFE: Duration = Duration::from_secs(3600);
/// A token is refreshed at most so long before its end, and a fifth of its life before that at least.
const MARGIN: Duration = Duration::from_secs(60);
/// A token is not sent any more so long before its end at most: it must still be valid when it arrives.
const SKEW: Duration = Duration::from_secs(5);
/// After a failed early refresh, while the token still holds, the next one waits so long.
const EARLY_PAUSE: Duration = Duration::from_secs(10);
/// When the endpoint refuses a refresh token, another daemon may have traded it in and be about to save its successor.
const REREADS: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2)];

/// A token that could not be had.
#[derive(Debug, Clone)]
pub(in crate::wire) struct Trouble {
    /// Why. Never sent: the request that needs the token has not left.
    pub(in crate::wire) fault: Fault,
    /// The grant is dead: nothing helps but an operator.
    pub(in crate::wire) dead: bool,
}

/// An access token and its place in the order of tokens.
#[derive(Clone)]
pub(in crate::wire) struct AccessToken {
    /// `Bearer TOKEN`.
    pub(in crate::wire) header: HeaderValue,
    /// Grows with each token that differs from the one before.
    pub(in crate::wire) generation: u64,
}

/// The access tokens of one credential.
pub(in crate::wire) struct Tokens {
    settings: OAuth,
    endpoint: Box<dyn Endpoint>,
    store: Arc<dyn TokenStore>,
    state: Mutex<State>,
}

/// Ends as a refresh does. Those who wait for it go on in the order in which they came.
type Flight = Shared<oneshot::Receiver<Result<(), Trouble>>>;

#[derive(Default)]
struct State {
    current: Option<Current>,
    generation: u64,
    flight: Option<Flight>,
    /// No early refresh before this.
    not_before: Option<Instant>,
    /// The refresh token that this process got last.
    held: Option<Refresh>,
    /// That one is not durable.
    unsaved: bool,
    /// No refresh begins any more.
    closed: bool,
    /// What was refused for good, by digest.
    dead: Option<([u8; 32], Trouble)>,
}

struct Current {
    token: AccessToken,
    refresh_at: Instant,
    ends_at: Instant,
}

/// A rotated refresh token that is not durable.
#[derive(Debug, thiserror::Error)]
#[error("the new refresh token cannot be saved, so the access token that came with it is not used")]
struct NotSaved(#[source] crate::wire::StoreError);

/// A refresh that ended without a result.
#[derive(Debug, thiserror::Error)]
#[error("the refresh of the access token ended in a defect of Syncline; see the log")]
struct Defect;

fn defective() -> Trouble {
    Trouble { fault: unreadable().because(Defect), dead: false }
}

impl Tokens {
    pub(super) fn new(settings: OAuth, endpoint: Box<dyn Endpoint>, store: Arc<dyn TokenStore>) -> Self {
        Self { settings, endpoint, store, state: Mutex::default() }
    }

    /// The token to send now. One that ends soon is refreshed beside; the requests do not wait while it still holds.
    pub(in crate::wire) async fn get(self: &Arc<Self>) -> Result<AccessToken, Trouble> {
        match self.at_hand() {
            Ok(token) => Ok(token),
            Err(flight) => self.landed(flight).await,
        }
    }

    /// The token at hand, or the refresh to wait for.
    fn at_hand(self: &Arc<Self>) -> Result<AccessToken, Flight> {
        let mut state = locked(&self.state);
        let now = Instant::now();
        let usable = state.current.as_ref().filter(|current| now < current.ends_at);
        let Some((token, due)) = usable.map(|current| (current.token.clone(), now >= current.refresh_at)) else {
            return Err(self.launch(&mut state));
        };
        if due && state.not_before.is_none_or(|at| at <= now) {
            drop(self.launch(&mut state));
        }
        Ok(token)
    }

    /// A newer token than the one that was refused, if there is one.
    pub(in crate::wire) async fn newer_than(self: &Arc<Self>, refused: u64) -> Result<Option<AccessToken>, Trouble> {
        let flight = {
            let mut state = locked(&self.state);
            match &mut state.current {
                Some(current) if current.token.generation > refused => return Ok(Some(current.token.clone())),
                // Kept for comparison: an endpoint may give the same one again.
                Some(current) => current.ends_at = Instant::now(),
                None => {}
            }
            self.launch(&mut state)
        };
        self.landed(flight).await.map(|token| (token.generation > refused).then_some(token))
    }

    /// Begins a refresh, unless one is under way. It has a task of its own: an answer with a rotated token must not be
    /// lost because the request that wanted it is given up.
    fn launch(self: &Arc<Self>, state: &mut State) -> Flight {
        if let Some(flight) = state.flight.as_ref().filter(|flight| Flight::clone(flight).now_or_never().is_none()) {
            return flight.clone();
        }
        let (sender, flight) = oneshot::channel();
        let flight = flight.shared();
        if state.closed {
            // Without a sender it never lands: whoever waits for it is told that the process stops.
            return flight;
        }
        state.flight = Some(flight.clone());
        let tokens = self.clone();
        tokio::spawn(async move {
            let result = tokens.refresh().await;
            tokens.log(&result);
            {
                let mut state = locked(&tokens.state);
                state.flight = None;
                state.not_before = result.is_err().then(|| Instant::now() + EARLY_PAUSE);
            }
            // Nobody may wait any more.
            drop(sender.send(result));
        });
        flight
    }

    async fn landed(&self, flight: Flight) -> Result<AccessToken, Trouble> {
        let stopped = || Trouble { fault: Fault::new(FaultKind::Stopped, Sent::No), dead: false };
        // Closed, or its task has panicked, which is logged: the next request begins another.
        let lost = |_| if locked(&self.state).closed { stopped() } else { defective() };
        flight.await.map_err(lost)??;
        locked(&self.state).current.as_ref().map(|current| current.token.clone()).ok_or_else(stopped)
    }

    /// Waits for a refresh under way and lets none begin any more; saves a refresh token that could not be saved before.
    pub(super) async fn settle(&self) {
        let flight = {
            let mut state = locked(&self.state);
            state.closed = true;
            state.flight.clone()
        };
        if let Some(flight) = flight {
            // How it ended is logged.
            drop(flight.await);
        }
        let saved = self.save_held().await;
        if saved.is_err() {
            self.log(&saved);
        }
    }

    /// One refresh. Secrets are read again first.
    async fn refresh(&self) -> Result<(), Trouble> {
        self.save_held().await?;
        let mut secrets = self.secrets().await?;
        let known = locked(&self.state).dead.clone().filter(|(digest, _)| *digest == secrets.digest());
        if let Some((_, trouble)) = known {
            return Err(trouble);
        }
        loop {
            let started = Instant::now();
            match self.ask(&secrets).await {
                Ok(issued) => return self.accept(&secrets, issued, started).await,
                Err(trouble) if trouble.dead => match self.successor(&secrets).await? {
                    Some(successor) => secrets.refresh = Some(successor),
                    None => {
                        locked(&self.state).dead = Some((secrets.digest(), trouble.clone()));
                        return Err(trouble);
                    }
                },
                Err(trouble) => return Err(trouble),
            }
        }
    }

    async fn secrets(&self) -> Result<Secrets, Trouble> {
        let id = read(self.settings.client_id.as_ref()).await?;
        let secret = read(self.settings.client_secret.as_ref()).await?;
        let refresh = match &self.settings.grant {
            OAuthGrant::ClientCredentials => None,
            OAuthGrant::RefreshToken(first) => {
                let first = read(first.as_ref()).await?;
                Some(self.latest(GrantKey::new(&self.settings.token_url, &id, &first), first).await?)
            }
        };
        Ok(Secrets { id, secret, refresh })
    }

    /// The latest refresh token of a grant: this process's own, a saved one, or the configured one.
    async fn latest(&self, grant: GrantKey, first: SecretString) -> Result<Refresh, Trouble> {
        let saved = self.saved(&grant).await?;
        let held = locked(&self.state).held.clone().filter(|held| held.grant == grant);
        Ok(match (held, saved) {
            (Some(held), Some(saved)) if saved.generation > held.generation => saved,
            (Some(held), _) => held,
            (None, Some(saved)) => saved,
            (None, None) => Refresh { grant, generation: 0, token: first },
        })
    }

    async fn saved(&self, grant: &GrantKey) -> Result<Option<Refresh>, Trouble> {
        let saved = self.store.load_token(grant).await.map_err(|error| unreadable().because(error));
        let saved = saved.map_err(|fault| Trouble { fault, dead: false })?;
        Ok(saved.map(|SavedToken { generation, token }| Refresh { grant: grant.clone(), generation, token }))
    }

    /// The refresh token that another daemon has saved since, if any.
    async fn successor(&self, secrets: &Secrets) -> Result<Option<Refresh>, Trouble> {
        let Some(used) = &secrets.refresh else { return Ok(None) };
        for wait in REREADS {
            tokio::time::sleep(wait).await;
            let saved = self.saved(&used.grant).await?;
            if let Some(saved) = saved.filter(|saved| saved.generation > used.generation) {
                return Ok(Some(saved));
            }
        }
        Ok(None)
    }

    async fn ask(&self, secrets: &Secrets) -> Result<Issued, Trouble> {
        let transient = |mut fault: Fault| {
            // The endpoint may have seen it, but the request that waits for the token has not left.
            fault.sent = Sent::No;
            Trouble { fault, dead: false }
        };
        let answer = self.endpoint.ask(secrets.request(&self.settings)?).await.map_err(transient)?;
        answer::read(&answer)
    }

    /// Makes a rotated refresh token durable, then the access token known.
    async fn accept(&self, secrets: &Secrets, issued: Issued, started: Instant) -> Result<(), Trouble> {
        let Issued { header, life, refresh_token } = issued;
        if let (Some(used), Some(token)) = (&secrets.refresh, refresh_token)
            && token.expose_secret() != used.token.expose_secret()
        {
            self.keep(used, token).await?;
        }
        let life = life.unwrap_or(DEFAULT_LIFE);
        let margin = MARGIN.min(life / 5);
        let jitter = margin.mul_f64(fastrand::f64() / 2.0);
        let mut state = locked(&self.state);
        let same = state.current.as_ref().is_some_and(|current| current.token.header == header);
        state.generation += u64::from(!same);
        state.dead = None;
        state.current = Some(Current {
            token: AccessToken { header, generation: state.generation },
            refresh_at: started + (life - margin - jitter),
            ends_at: started + (life - SKEW.min(life / 10)),
        });
        Ok(())
    }

    /// Saves the successor of a refresh token.
    async fn keep(&self, used: &Refresh, token: SecretString) -> Result<(), Trouble> {
        {
            // In memory first: should the save fail, the vendor may not take the old one again.
            let mut state = locked(&self.state);
            state.held = Some(Refresh { token, ..used.clone() });
            state.unsaved = true;
        }
        self.save_held().await
    }

    /// Saves the refresh token that is not durable yet, if there is one. When another daemon was faster, or an earlier
    /// try did land, the saved one stays and is used next.
    async fn save_held(&self) -> Result<(), Trouble> {
        let unsaved = {
            let state = locked(&self.state);
            state.held.clone().filter(|_| state.unsaved)
        };
        let Some(held) = unsaved else { return Ok(()) };
        let saved = self.store.save_token(&held.grant, held.generation, &held.token).await;
        let ours = saved.map_err(|error| Trouble { fault: unreadable().because(NotSaved(error)), dead: false })?;
        let mut state = locked(&self.state);
        state.unsaved = false;
        state.held = ours.then(|| Refresh { generation: held.generation + 1, ..held });
        Ok(())
    }

    fn log(&self, result: &Result<(), Trouble>) {
        let host = self.settings.token_url.host_str();
        match result {
            Ok(()) => {
                let state = locked(&self.state);
                let ends = state.current.as_ref().map(|current| current.ends_at);
                let left = ends.map(|at| at.saturating_duration_since(Instant::now()).as_secs());
                event!(events::TOKEN_REFRESHED, host, generation = state.generation, usable_s = left);
            }
            Err(Trouble { fault, dead }) => {
                event!(events::TOKEN_FAILED, host, fault = telemetry::display(fault), dead = *dead);
            }
        }
    }
}
