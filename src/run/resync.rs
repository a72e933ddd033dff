//! What operators do to a sync between its runs: resync, trust, pause.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    model::{Key, spec::OnRemoved, spec::SyncSpec},
    state::{SyncRecord, Target},
    telemetry::{event, events},
};

use super::{Engine, RunError, prepare::target_changes};

/// What a resync sends again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resync {
    /// Every key of the snapshot.
    Whole,
    /// These keys, as `rejected` prints them.
    Keys(Vec<String>),
    /// Every key, under the configuration's target, which is taken as the sync's own from now on.
    Target,
    /// Nothing: an operator says that a suspect state is right as it is.
    Trust,
}

impl Resync {
    /// The stable name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Keys(_) => "keys",
            Self::Target => "target",
            Self::Trust => "trust",
        }
    }
}

impl fmt::Debug for Resync {
    /// Keys are values of rows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Refuses a run of a sync that an operator has paused.
pub(super) fn refuse_paused(record: &SyncRecord) -> Result<(), RunError> {
    if !record.paused {
        return Ok(());
    }
    Err(RunError::Refused {
        reason: format!("sync `{}` is paused", record.name),
        hint: format!("`syncline resume {}` lets it run again", record.name),
    })
}

impl Engine {
    /// Asks for keys to be sent again, whatever was acknowledged: the sync's next run sends them in full.
    ///
    /// # Errors
    /// Refused when the sync has not run yet, its mode cannot send a row twice, a key is not in the snapshot, or the new
    /// target cannot be accepted; and when the state fails.
    pub async fn resync(&self, name: &str, what: &Resync) -> Result<(), RunError> {
        let sync = self.sync(name).ok_or_else(|| RunError::unknown("sync", name))?;
        let record = self.known(name).await?;
        if *what != Resync::Trust && !sync.mode.can_repeat() {
            return Err(RunError::Refused {
                reason: format!(
                    "sync `{name}` has mode `{}`: a row sent again would stand there twice",
                    sync.mode.name()
                ),
                hint: "a new sync with another mode can mend what is wrong at the destination".to_owned(),
            });
        }
        match what {
            Resync::Whole => self.state().resync(record.id, None).await?,
            Resync::Keys(texts) => {
                let keys = self.keys(&record, texts).await?;
                self.state().resync_keys(record.id, keys).await?;
            }
            Resync::Target => {
                let target = self.new_target(sync, &record)?;
                self.state().resync(record.id, Some(target)).await?;
            }
            Resync::Trust => {
                self.state().trust(record.id).await?;
                event!(events::STATE_TRUSTED, sync = name, by = "operator");
                return Ok(());
            }
        }
        event!(events::RESYNC_REQUESTED, sync = name, what = what.name());
        Ok(())
    }

    /// Pauses a sync, or lets it run again.
    ///
    /// # Errors
    /// Refused when the sync has not run yet; and when the state fails.
    pub async fn pause(&self, name: &str, paused: bool) -> Result<(), RunError> {
        let record = self.known(name).await?;
        self.state().set_paused(record.id, paused).await?;
        event!(events::SYNC_PAUSED, sync = name, paused);
        Ok(())
    }

    async fn known(&self, name: &str) -> Result<SyncRecord, RunError> {
        self.state().sync(name).await?.ok_or_else(|| RunError::Refused {
            reason: format!("the state knows no sync named `{name}`: it has not run yet"),
            hint: "its first run sends everything; `enabled = false` keeps it from running".to_owned(),
        })
    }

    async fn keys(&self, record: &SyncRecord, texts: &[String]) -> Result<Vec<Key>, RunError> {
        let mut keys = Vec::with_capacity(texts.len());
        for (position, text) in (1..).zip(texts) {
            let key = Key::from_text(text, &record.target.key.kinds).map_err(|problem| RunError::Refused {
                reason: format!("the key in place {position} cannot be read: {problem}"),
                hint: format!("give it as `rejected` prints it; key columns: {}", record.target.key.columns.join(", ")),
            })?;
            let held = self.state().held(record.id, &key).await?;
            if held.entry.is_none() && held.dirty.is_empty() && held.rejected.is_none() {
                return Err(RunError::Refused {
                    reason: format!("sync `{}` has sent nothing for the key in place {position} yet", record.name),
                    hint: "a key that is new in the model needs no resync: the next run sends it".to_owned(),
                });
            }
            keys.push(key);
        }
        Ok(keys)
    }

    /// The configuration's target, if the snapshot still holds for it. Another match is: entries keep their record ids, and
    /// every key is sent in full. Another object, vendor or key is not: record ids and keys would mean other things, and a
    /// removal could hit a record that this sync never wrote. The account is checked by every run.
    fn new_target(&self, sync: &SyncSpec, record: &SyncRecord) -> Result<Target, RunError> {
        let spec = self.destination(sync)?;
        let refused = |reason: String| RunError::Refused {
            reason,
            hint: "set it back, or give the changed sync a new name: then it starts with a first run".to_owned(),
        };
        let changes = target_changes(record, sync, spec, self.model(sync)?);
        if let Some(what) = changes.into_iter().find(|what| *what != "match") {
            return Err(refused(format!(
                "sync `{}`: its {what} is another one, for which the snapshot's keys and record ids mean nothing",
                sync.name
            )));
        }
        let ids = self.connector(spec, sync)?.capabilities(&sync.object).record_ids;
        if sync.on_removed != OnRemoved::Keep && !ids {
            return Err(refused(format!(
                "sync `{}` removes records, and this destination gives no record ids: by another match a removal could \
                 find a record that this sync never wrote",
                sync.name
            )));
        }
        Ok(Target { match_fields: sync.match_fields.clone(), ..record.target.clone() })
    }
}
