//! Checks of `schedule = { after = […] }`: its syncs must exist, run, and not wait for each other.

use super::{
    diagnostic::{Origin, Sink},
    layers::Tree,
    tree::Item,
};
use crate::model::{
    nearest,
    spec::{Schedule, Specs, SyncSpec},
};

/// Checks every sync that runs after others.
pub(super) fn check(tree: &Tree, specs: &Specs, sink: &Sink) {
    let broken = sink.names_are_lost() || tree.misspelt.contains("syncs");
    for sync in specs.syncs.iter().filter(|_| !broken) {
        for parent in parents(sync) {
            parent_exists(tree, specs, sync, parent, sink);
        }
        if let Some(ring) = ring(specs, sync) {
            let message = format!("sync `{}` waits for itself", sync.name);
            let cause = format!("each of these runs after the next: {}", ring.join(" -> "));
            let hint = "give one of them a schedule of its own";
            sink.error(&origin(tree, sync), message, cause, hint);
        }
    }
}

fn parent_exists(tree: &Tree, specs: &Specs, sync: &SyncSpec, parent: &str, sink: &Sink) {
    let message = || format!("sync `{}` runs after `{parent}`", sync.name);
    match specs.sync(parent) {
        Some(found) if found.enabled || !sync.enabled => {}
        Some(_) => {
            let cause = format!("sync `{parent}` is not enabled, so `{}` would never run", sync.name);
            sink.error(&origin(tree, sync), message(), cause, "enable it, or remove it from `after`");
        }
        None if tree.names("syncs").any(|name| name == parent) => {}
        None => {
            let near = nearest(parent, tree.names("syncs"));
            let hint = near.map_or_else(|| format!("add `[syncs.{parent}]`"), |name| format!("did you mean `{name}`?"));
            sink.error(&origin(tree, sync), message(), "no such sync is configured", hint);
        }
    }
}

fn parents(sync: &SyncSpec) -> &[String] {
    match &sync.schedule {
        Schedule::After(names) => names,
        Schedule::Manual | Schedule::Every(_) | Schedule::Cron(_) => &[],
    }
}

/// The way from a sync over what it waits for back to itself.
fn ring<'a>(specs: &'a Specs, sync: &'a SyncSpec) -> Option<Vec<&'a str>> {
    let mut ways: Vec<Vec<&str>> = vec![vec![&sync.name]];
    let mut seen = std::collections::BTreeSet::new();
    while let Some(way) = ways.pop() {
        let last = way.last().and_then(|name| specs.sync(name));
        for parent in last.map(parents).unwrap_or_default() {
            let longer = [way.as_slice(), &[parent.as_str()]].concat();
            if *parent == sync.name {
                return Some(longer);
            }
            if seen.insert(parent.as_str()) {
                ways.push(longer);
            }
        }
    }
    None
}

/// Where the sync's `after` stands; of the defaults when it has none of its own.
fn origin(tree: &Tree, sync: &SyncSpec) -> Origin {
    let schedule = |entry: Option<&super::tree::Entry>| {
        let Item::Table(table) = &entry?.node.value else { return None };
        let node = &table.get("schedule")?.node;
        let Item::Table(inner) = &node.value else { return Some(node.origin.clone()) };
        Some(inner.get("after").map_or_else(|| node.origin.clone(), |entry| entry.node.origin.clone()))
    };
    let own = tree.named.get("syncs").and_then(|syncs| syncs.get(&sync.name));
    schedule(own)
        .or_else(|| schedule(tree.top.get("defaults")))
        .unwrap_or_else(|| Origin::Path(sync.name.clone().into()))
}
