//! Accounts that were asked for their name and did not give it.

use std::collections::HashMap;

use crate::{
    model::spec::DestinationSpec,
    wire::{HoldState, ProvisionalAccount},
};

/// What was asked and held meanwhile, by destination: the next question goes on from there.
#[derive(Default)]
pub(super) struct Strangers {
    asked: HashMap<String, Stranger>,
}

struct Stranger {
    credential: u64,
    spec: DestinationSpec,
    account: ProvisionalAccount,
}

impl Stranger {
    /// The same credential and settings; the destination's name does not matter.
    fn is(&self, credential: u64, spec: &DestinationSpec) -> bool {
        self.credential == credential && DestinationSpec { name: self.spec.name.clone(), ..spec.clone() } == self.spec
    }
}

impl Strangers {
    /// Keeps an account until it is asked again. Refused credentials are not kept: whether they are accepted by now shows
    /// only without the hold.
    pub(super) fn keep(&mut self, credential: u64, spec: &DestinationSpec, account: ProvisionalAccount) {
        if matches!(account.account().hold_state(), HoldState::Open | HoldState::Until { .. }) {
            self.asked.insert(spec.name.clone(), Stranger { credential, spec: spec.clone(), account });
        }
    }

    /// The account that was asked before with this credential and these settings.
    pub(super) fn take(&mut self, credential: u64, spec: &DestinationSpec) -> Option<ProvisionalAccount> {
        let name = self.asked.iter().find(|(_, before)| before.is(credential, spec)).map(|(name, _)| name.clone())?;
        self.asked.remove(&name).map(|before| before.account)
    }
}
