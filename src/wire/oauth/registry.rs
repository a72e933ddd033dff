//! All credentials with access tokens of this process.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, Mutex},
};

use super::{OAuth, Tokens, endpoint::HttpEndpoint};
use crate::wire::{locked, settings::SettingsError, store::TokenStore};

/// All credentials with access tokens of this process. Two destinations of one credential share its tokens: a refresh by
/// one must not void the other's.
pub(in crate::wire) struct TokenRegistry {
    store: Arc<dyn TokenStore>,
    known: Mutex<BTreeMap<u64, Arc<Tokens>>>,
}

impl TokenRegistry {
    pub(in crate::wire) fn new(store: Arc<dyn TokenStore>) -> Self {
        Self { store, known: Mutex::default() }
    }

    /// Waits for the refreshes under way and lets none begin any more.
    pub(in crate::wire) async fn settle(&self) {
        let known: Vec<_> = locked(&self.known).values().cloned().collect();
        futures_util::future::join_all(known.iter().map(|tokens| tokens.settle())).await;
    }

    /// The tokens of a credential.
    pub(in crate::wire) fn tokens(&self, settings: OAuth) -> Result<Arc<Tokens>, SettingsError> {
        match locked(&self.known).entry(settings.shared_as) {
            Entry::Occupied(known) => Ok(known.get().clone()),
            Entry::Vacant(vacant) => {
                let endpoint = Box::new(HttpEndpoint::new(&settings)?);
                Ok(vacant.insert(Arc::new(Tokens::new(settings, endpoint, self.store.clone()))).clone())
            }
        }
    }
}
