//! A scripted token endpoint and a store in memory.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

use crate::wire::{
    FaultKind, FixedSecret, GrantKey, NoStore, SavedToken, SecretProvider, Sent, StoreError, TokenStore,
    fault::Fault,
    locked,
    oauth::{
        ClientStyle, OAuth, OAuthGrant, Tokens, Trouble,
        endpoint::{Endpoint, TokenRequest},
    },
    request::Response,
};

/// Plays one answer after the other; when none is left it issues `access-N`, which lives 1000 s.
#[derive(Default)]
pub(super) struct Script {
    pub(super) answers: Mutex<VecDeque<Result<(u16, String), FaultKind>>>,
    pub(super) forms: Mutex<Vec<String>>,
    pub(super) authorizations: Mutex<Vec<Option<String>>>,
    /// Asked requests wait for a permit when it is set.
    pub(super) gate: Option<Semaphore>,
}

impl Script {
    pub(super) fn of(answers: &[Result<(u16, &str), FaultKind>]) -> Arc<Self> {
        let answers =
            answers.iter().map(|answer| answer.clone().map(|(status, body)| (status, body.to_owned()))).collect();
        Arc::new(Self { answers: Mutex::new(answers), ..Self::default() })
    }

    pub(super) fn asked(&self) -> usize {
        locked(&self.forms).len()
    }

    pub(super) fn form(&self, at: usize) -> String {
        locked(&self.forms)[at].clone()
    }
}

#[async_trait]
impl Endpoint for Arc<Script> {
    async fn ask(&self, request: TokenRequest) -> Result<Response, Fault> {
        let number = {
            let mut forms = locked(&self.forms);
            forms.push(request.form.to_string());
            forms.len()
        };
        let header = request.authorization.map(|value| value.to_str().unwrap().to_owned());
        locked(&self.authorizations).push(header);
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        let usual = || Ok((200, issued(&format!("access-{number}"), 1000, None)));
        let next = locked(&self.answers).pop_front();
        let (status, body) = next.unwrap_or_else(usual).map_err(|kind| Fault::new(kind, Sent::Maybe))?;
        Ok(Response::new(StatusCode::from_u16(status).unwrap(), HeaderMap::new(), Bytes::from(body)))
    }
}

pub(super) fn issued(token: &str, life: u32, refresh: Option<&str>) -> String {
    let refresh = refresh.map(|refresh| format!(r#", "refresh_token": "{refresh}""#)).unwrap_or_default();
    format!(r#"{{"access_token": "{token}", "token_type": "Bearer", "expires_in": {life}{refresh}}}"#)
}

/// Generation and token by grant, and a way to fail.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) saved: Mutex<Option<(i64, String)>>,
    pub(super) broken: Mutex<bool>,
    loads: AtomicU32,
    /// Saved by another process at this load.
    pub(super) other: Mutex<Option<(u32, i64, String)>>,
}

#[async_trait]
impl TokenStore for Memory {
    async fn load_token(&self, _grant: &GrantKey) -> Result<Option<SavedToken>, StoreError> {
        let load = self.loads.fetch_add(1, Ordering::Relaxed) + 1;
        let other = locked(&self.other).take_if(|(at, ..)| *at <= load);
        if let Some((_, generation, token)) = other {
            *locked(&self.saved) = Some((generation, token));
        }
        let saved = locked(&self.saved).clone();
        Ok(saved.map(|(generation, token)| SavedToken { generation, token: SecretString::from(token) }))
    }

    async fn save_token(&self, _grant: &GrantKey, after: i64, token: &SecretString) -> Result<bool, StoreError> {
        if *locked(&self.broken) {
            return Err("disk full".into());
        }
        let mut saved = locked(&self.saved);
        let stands = saved.as_ref().map_or(0, |(generation, _)| *generation);
        if stands == after {
            *saved = Some((after + 1, token.expose_secret().to_owned()));
        }
        Ok(stands == after)
    }
}

pub(super) fn fixed(text: &str) -> Arc<dyn SecretProvider> {
    Arc::new(FixedSecret(SecretString::from(text)))
}

pub(super) fn settings(grant: OAuthGrant) -> OAuth {
    OAuth {
        token_url: "https://auth.example.com/oauth/token".parse().unwrap(),
        allow_private: Vec::new(),
        client_id: fixed("client"),
        client_secret: fixed("hush"),
        grant,
        scope: Some("a b".to_owned()),
        audience: None,
        style: ClientStyle::Body,
        shared_as: 0,
    }
}

pub(super) fn client(script: &Arc<Script>) -> Arc<Tokens> {
    let settings = settings(OAuthGrant::ClientCredentials);
    Arc::new(Tokens::new(settings, Box::new(script.clone()), Arc::new(NoStore)))
}

pub(super) fn installed(script: &Arc<Script>, store: &Arc<Memory>) -> Arc<Tokens> {
    let settings = settings(OAuthGrant::RefreshToken(fixed("first")));
    Arc::new(Tokens::new(settings, Box::new(script.clone()), store.clone()))
}

pub(super) async fn header(tokens: &Arc<Tokens>) -> String {
    tokens.get().await.unwrap().header.to_str().unwrap().to_owned()
}

pub(super) async fn trouble(tokens: &Arc<Tokens>) -> Trouble {
    tokens.get().await.map(|token| token.generation).unwrap_err()
}
