//! Checks across tables: names that must exist, pairs that must fit, syncs that get in each other's way.

use super::{
    diagnostic::{Origin, Sink},
    layers::{Tree, singular},
    scalar,
    tree::{Entry, Item},
};
use crate::model::{
    Operation, nearest,
    spec::{DestinationSpec, HttpSpec, Mode, ModelSpec, OnRemoved, SourceSpec, Specs, SyncSpec, VendorSpec},
};

/// Runs every check.
pub(super) fn check(tree: &Tree, specs: &Specs, sink: &Sink) {
    let check = Check { tree, sink };
    for (name, entry) in tree.items("models") {
        check.reference("models", name, entry, "source", "sources");
    }
    for (name, entry) in tree.items("syncs") {
        check.reference("syncs", name, entry, "model", "models");
        check.reference("syncs", name, entry, "destination", "destinations");
    }
    for sync in &specs.syncs {
        check.match_field(sync);
        if let Some(destination) = specs.destination(&sync.destination) {
            check.late_window(sync, destination);
            check.removal(sync, destination, specs.model(&sync.model));
            check.repetition(sync, destination);
        }
    }
    check.accounts(&specs.destinations);
    check.owners(specs);
}

impl Specs {
    /// A source by name.
    pub fn source(&self, name: &str) -> Option<&SourceSpec> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// A model by name.
    pub fn model(&self, name: &str) -> Option<&ModelSpec> {
        self.models.iter().find(|model| model.name == name)
    }

    /// A destination by name.
    pub fn destination(&self, name: &str) -> Option<&DestinationSpec> {
        self.destinations.iter().find(|destination| destination.name == name)
    }

    /// A sync by name.
    pub fn sync(&self, name: &str) -> Option<&SyncSpec> {
        self.syncs.iter().find(|sync| sync.name == name)
    }
}

struct Check<'a> {
    tree: &'a Tree,
    sink: &'a Sink,
}

impl Check<'_> {
    /// Where a key of an item stands, or else the item.
    fn origin(&self, kind: &'static str, name: &str, key: &str) -> Origin {
        let entry = self.tree.named.get(kind).and_then(|items| items.get(name));
        let value = entry.and_then(|entry| match &entry.node.value {
            Item::Table(table) => table.get(key).map(|entry| &entry.node.origin),
            _ => None,
        });
        value.or(entry.map(|entry| &entry.key)).cloned().unwrap_or_else(|| Origin::Path(name.into()))
    }

    fn reference(&self, kind: &'static str, name: &str, entry: &Entry, key: &str, target: &'static str) {
        let Item::Table(table) = &entry.node.value else { return };
        let Some(Item::Text(wanted)) = table.get(key).map(|entry| &entry.node.value) else { return };
        // With a misspelt `[model.NAME]` the names are not known; the misspelling has been reported.
        let lost = self.sink.names_are_lost() || self.tree.misspelt.contains(target);
        if lost || self.tree.names(target).any(|name| name == wanted) {
            return;
        }
        let hint = nearest(wanted, self.tree.names(target))
            .map_or_else(|| format!("add `[{target}.{wanted}]`"), |name| format!("did you mean `{name}`?"));
        let message = format!("{} `{name}` names {key} `{wanted}`", singular(kind));
        self.sink.error(&self.origin(kind, name, key), message, format!("no such {key} is configured"), hint);
    }

    fn match_field(&self, sync: &SyncSpec) {
        for name in &sync.match_fields {
            let origin = self.origin("syncs", &sync.name, "match");
            match sync.fields.iter().find(|field| field.name == *name) {
                Some(field) => {
                    if field.source.is_constant() {
                        let message = format!("match field `{name}` of sync `{}` is a constant", sync.name);
                        let cause = "every row would be the same record";
                        self.sink.error(&origin, message, cause, "map it from a column that identifies the record");
                    }
                }
                // `"*"` may map it: that is known once the model's columns are.
                // A field that is there but wrong has been reported.
                None if sync.star.is_some() || sync.fields.is_empty() || self.names_field(sync, name) => {}
                None => {
                    let near = nearest(name, sync.fields.iter().map(|field| field.name.as_str()));
                    let hint = near.map_or_else(
                        || format!("add `{name}` to the fields"),
                        |name| format!("did you mean `{name}`?"),
                    );
                    let message = format!("match field `{name}` of sync `{}` is not mapped", sync.name);
                    self.sink.error(&origin, message, "no field of the sync has this name", hint);
                }
            }
        }
    }

    fn names_field(&self, sync: &SyncSpec, name: &str) -> bool {
        let table = |entry: &Entry| match &entry.node.value {
            Item::Table(table) => Some(table.clone()),
            _ => None,
        };
        let entry = self.tree.named.get("syncs").and_then(|syncs| syncs.get(&sync.name));
        let fields = entry.and_then(table).and_then(|keys| keys.get("fields").and_then(table));
        fields.is_some_and(|fields| fields.contains_key(name))
    }

    fn late_window(&self, sync: &SyncSpec, destination: &DestinationSpec) {
        let Some(window) = sync.late_window.filter(|window| *window < destination.request_timeout) else { return };
        self.sink.warning(
            &self.origin("syncs", &sync.name, "late_window"),
            format!("`late_window` of sync `{}` is shorter than a request may take", sync.name),
            format!(
                "got {}, and `request_timeout` of destination `{}` is {}",
                scalar::duration_text(window),
                destination.name,
                scalar::duration_text(destination.request_timeout)
            ),
            "make it longer, or remove it: the default is the request timeout and 60 s",
        );
    }

    fn removal(&self, sync: &SyncSpec, destination: &DestinationSpec, model: Option<&ModelSpec>) {
        let (http, gives_ids) = match &destination.vendor {
            VendorSpec::HubSpot(_) => return,
            VendorSpec::Http(http) => (Some(http), http.gives_ids(&sync.object)),
            VendorSpec::File(_) => (None, false),
        };
        let origin = || self.origin("syncs", &sync.name, "on_removed");
        let name = &destination.name;
        if let Some(http) = http {
            self.operations(sync, name, http);
        }
        let from_key = model.is_none_or(|model| match_is_key(sync, model));
        if sync.on_removed != OnRemoved::Keep && !gives_ids && !from_key {
            let message = format!("sync `{}` could not find the records of removed rows", sync.name);
            let cause = "a removed row is known only by its key; the match is not the model's primary key, and the \
                destination gives no record id";
            let hint = "match on the primary key's column, or use `on_removed = \"keep\"`";
            self.sink.error(&origin(), message, cause, hint);
        }
    }

    /// The operations that a sync needs of a generic destination.
    fn operations(&self, sync: &SyncSpec, name: &str, http: &HttpSpec) {
        let removal = match sync.on_removed {
            OnRemoved::Keep => None,
            OnRemoved::Clear => Some(("on_removed", Operation::Clear)),
            OnRemoved::Delete => Some(("on_removed", Operation::Delete)),
        };
        for (key, operation) in [Some(("object", sync.mode.operation(false))), removal].into_iter().flatten() {
            if http.can(&sync.object, operation) {
                continue;
            }
            let (object, verb) = (&sync.object, operation.name());
            let (cause, hint) = if http.objects.contains_key(object) {
                let table = format!("objects.{object}.{verb}");
                (format!("destination `{name}` has no `{table}`"), format!("add `[destinations.{name}.{table}]`"))
            } else if operation == Operation::Delete {
                let hint = "add `delete_path`, or use mode `upsert` with `on_removed = \"keep\"`";
                (format!("destination `{name}` has no `delete_path`"), hint.to_owned())
            } else {
                let hint = format!("add `path`, or `[destinations.{name}.objects.{object}.{verb}]`");
                (format!("destination `{name}` has no `path`, and no object `{object}`"), hint)
            };
            let message = format!("sync `{}` needs to {verb} records, which destination `{name}` cannot", sync.name);
            self.sink.error(&self.origin("syncs", &sync.name, key), message, cause, hint);
        }
    }

    /// A sync that creates records once must be able to name a repetition, or to find what an unanswered request made.
    fn repetition(&self, sync: &SyncSpec, destination: &DestinationSpec) {
        if !sync.mode.creates_once() {
            return;
        }
        let (name, mode) = (&sync.name, sync.mode.name());
        let origin = self.origin("syncs", name, "mode");
        match &destination.vendor {
            VendorSpec::HubSpot(_) if sync.mode == Mode::Append => self.sink.error(
                &origin,
                format!("sync `{name}` cannot be of mode `{mode}`"),
                "HubSpot takes no idempotency keys, so an event whose answer is lost could be added twice",
                "use mode `insert` and match by a property with unique values that holds the event's key",
            ),
            VendorSpec::Http(http) if !http.names_rows(&sync.object, Operation::Insert) => self.sink.warning(
                &origin,
                format!("sync `{name}` may create a record twice after a crash"),
                "a batch of which a part must be sent again goes under another idempotency key",
                "set `idempotency_field` or `batch_size = 1`, or match by a field that the API keeps unique",
            ),
            // HubSpot: created records are found by their match, which is unique there.
            VendorSpec::HubSpot(_) | VendorSpec::Http(_) | VendorSpec::File(_) => {}
        }
    }

    /// One account has one limiter, so its limits must be the same under every name.
    fn accounts(&self, destinations: &[DestinationSpec]) {
        for (index, second) in destinations.iter().enumerate() {
            let earlier = destinations.iter().take(index);
            if let Some(first) =
                earlier.into_iter().find(|first| same_account(first, second) && first.limits != second.limits)
            {
                self.sink.error(
                    &self.origin("destinations", &second.name, "limits"),
                    format!(
                        "destinations `{}` and `{}` are one account with different limits",
                        first.name, second.name
                    ),
                    "all destinations of an account share one budget",
                    "give both the same `limits`",
                );
            }
        }
    }

    /// Two syncs that write one field of one object overwrite each other, or share the work by `where`: a warning.
    fn owners(&self, specs: &Specs) {
        let enabled: Vec<_> = specs.syncs.iter().filter(|sync| sync.enabled).collect();
        for (index, second) in enabled.iter().enumerate() {
            for first in enabled.iter().take(index) {
                let (Some(a), Some(b)) =
                    (specs.destination(&first.destination), specs.destination(&second.destination))
                else {
                    continue;
                };
                if first.object == second.object && (a.name == b.name || same_account(a, b)) {
                    self.owner(first, second);
                }
            }
        }
    }

    fn owner(&self, first: &SyncSpec, second: &SyncSpec) {
        let shared: Vec<_> = first
            .fields
            .iter()
            .map(|field| &field.name)
            .filter(|name| second.fields.iter().any(|field| field.name == **name))
            .filter(|name| !(first.match_fields.contains(name) && second.match_fields.contains(name)))
            .map(|name| format!("`{name}`"))
            .collect();
        let both_star = first.star.is_some() && second.star.is_some();
        if shared.is_empty() && !both_star {
            return;
        }
        let fields = if shared.is_empty() { "`*`".to_owned() } else { shared.join(", ") };
        self.sink.warning(
            &self.origin("syncs", &second.name, "fields"),
            format!("syncs `{}` and `{}` write the same fields of `{}`", first.name, second.name, second.object),
            format!("both write {fields}; the later run wins where both have a record"),
            "let one sync own each field, or split the rows with `where`",
        );
    }
}

fn same_account(a: &DestinationSpec, b: &DestinationSpec) -> bool {
    let one_account = a.account.is_some() && a.account == b.account;
    one_account && a.vendor.type_name() == b.vendor.type_name() && a.base_url == b.base_url
}

/// True when the match field is the only key column, as it is.
fn match_is_key(sync: &SyncSpec, model: &ModelSpec) -> bool {
    let ([key], [name]) = (model.primary_key.as_slice(), sync.match_fields.as_slice()) else { return false };
    match sync.fields.iter().find(|field| field.name == *name).map(|field| &field.source) {
        Some(source) => source.plain_column() == Some(key.as_str()),
        None => sync.star.is_some() && name == key,
    }
}
