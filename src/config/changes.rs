//! What differs between two configurations, by name.

use super::Loaded;
use crate::model::spec::{Settings, Specs};

/// What differs between two configurations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Items that only the later one has: ``sync `crm` ``.
    pub added: Vec<String>,
    /// Items that only the earlier one has.
    pub removed: Vec<String>,
    /// Items that both have, with other settings.
    pub changed: Vec<String>,
    /// Settings of the daemon that differ and that a running daemon cannot take over.
    pub kept: Vec<&'static str>,
}

impl Changes {
    /// What `after` changes of `before`.
    pub fn between(before: &Loaded, after: &Loaded) -> Self {
        let mut changes = Self { kept: kept(before, after), ..Self::default() };
        let (old, new): (&Specs, &Specs) = (&before.specs, &after.specs);
        changes.compare("source", &old.sources, &new.sources, |source| &source.name);
        changes.compare("model", &old.models, &new.models, |model| &model.name);
        changes.compare("destination", &old.destinations, &new.destinations, |destination| &destination.name);
        changes.compare("sync", &old.syncs, &new.syncs, |sync| &sync.name);
        if before.settings.scheduler != after.settings.scheduler {
            changes.changed.push("[scheduler]".to_owned());
        }
        changes
    }

    fn compare<T: PartialEq>(&mut self, kind: &str, old: &[T], new: &[T], name: impl Fn(&T) -> &String) {
        let find = |items: &'_ [T], wanted: &str| items.iter().position(|item| name(item) == wanted);
        for item in new {
            let what = || format!("{kind} {}", name(item));
            match find(old, name(item)).and_then(|at| old.get(at)) {
                None => self.added.push(what()),
                Some(before) if before != item => self.changed.push(what()),
                Some(_) => {}
            }
        }
        let gone = old.iter().filter(|item| find(new, name(item)).is_none());
        self.removed.extend(gone.map(|item| format!("{kind} {}", name(item))));
    }
}

fn kept(before: &Loaded, after: &Loaded) -> Vec<&'static str> {
    let (old, new): (&Settings, &Settings) = (&before.settings, &after.settings);
    let differs = [
        ("environment", before.specs.environment != after.specs.environment),
        ("state.url", old.state.url != new.state.url),
        ("state.key", old.state.key != new.state.key),
        ("state.folder", old.state.folder != new.state.folder),
        ("state.lease", old.state.lease != new.state.lease),
        ("http.listen", old.http != new.http),
        ("log.level", old.log.level != new.log.level),
        ("log.format", old.log.format != new.log.format),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}
