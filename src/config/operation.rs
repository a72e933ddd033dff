//! `[destinations.NAME.objects.OBJECT.OPERATION]`.

use std::collections::BTreeMap;

use super::{
    reader::Reader,
    tree::{Item, Node, Table},
    vendor,
};
use crate::{
    mapping::{Form, Template},
    model::{
        Operation, nearest,
        spec::{HttpBodySpec, HttpObjectSpec, HttpOperationSpec, HttpRecordsSpec, HttpStatuses, gives_ids},
    },
};

const OPERATIONS: [(&str, Operation); 5] = [
    ("upsert", Operation::Upsert),
    ("insert", Operation::Insert),
    ("update", Operation::Update),
    ("delete", Operation::Delete),
    ("clear", Operation::Clear),
];

/// The objects with settings of their own. `None` when one of them is wrong.
pub(super) fn objects(outer: &Reader<'_>) -> Option<BTreeMap<String, HttpObjectSpec>> {
    let Some(table) = table(outer, "objects", "[destinations.NAME.objects.OBJECT.upsert]")? else {
        return Some(BTreeMap::new());
    };
    let objects: Vec<_> =
        table.iter().map(|(name, entry)| Some((name.clone(), object(outer, name, &entry.node)?))).collect();
    objects.into_iter().collect()
}

fn object(outer: &Reader<'_>, name: &str, node: &Node) -> Option<HttpObjectSpec> {
    let what = format!("object `{name}` of {}", outer.what);
    let Item::Table(table) = &node.value else {
        let cause = format!("got {}, expected a table", node.value.kind());
        let hint = format!("write `[destinations.NAME.objects.{name}.upsert]`");
        outer.sink.error(&node.origin, format!("{what} is not a table"), cause, hint);
        return None;
    };
    let mut read = Vec::new();
    for (key, entry) in table {
        let Some((_, known)) = OPERATIONS.iter().find(|(known, _)| known == key) else {
            let names = OPERATIONS.map(|(name, _)| name);
            let all = names.map(|name| format!("`{name}`")).join(", ");
            let hint = nearest(key, names).map_or(format!("use {all}"), |near| format!("did you mean `{near}`?"));
            let message = format!("unknown operation `{key}` in {what}");
            outer.sink.error(&entry.key, message, format!("got `{key}`, expected {all}"), hint);
            continue;
        };
        let reader = Reader::of(&entry.node, format!("operation `{key}` of {what}"), outer.sink);
        read.extend(reader.map(|reader| (*known, operation(&reader, *known), reader)));
    }
    let whole = read.len() == table.len() && !read.is_empty();
    let specs: HttpObjectSpec =
        read.iter().filter_map(|(operation, spec, _)| Some((*operation, spec.clone()?))).collect();
    let by_id = gives_ids(&specs);
    let mut sound = whole && specs.len() == read.len();
    for (operation, _, reader) in read {
        if let Some(spec) = specs.get(&operation) {
            sound &= check(&reader, operation, spec, by_id);
        }
        reader.finish();
    }
    sound.then_some(specs)
}

/// The keys of one operation.
fn operation(reader: &Reader<'_>, operation: Operation) -> Option<HttpOperationSpec> {
    reader.require(&["path"], "\"/v1/{{ object }}\"");
    let path = vendor::path(reader, "path");
    let methods = ["POST", "PUT", "PATCH", "DELETE"].map(|method| (method, method));
    let method = reader.choice("method", &methods, &[]);
    let headers = texts(reader, "headers");
    let body = body(reader, operation);
    let (success, retryable, permanent) =
        (statuses(reader, "success"), statuses(reader, "retryable"), statuses(reader, "permanent"));
    let content_type = reader.text("content_type");
    let record_id = vendor::pointer(reader, "record_id");
    let results = reader.get("results").and_then(|node| vendor::results(reader, node));
    if (reader.has("results") && results.is_none()) || (reader.has("record_id") && record_id.is_none()) {
        return None;
    }
    let defaults = HttpOperationSpec::new(operation, &path?);
    let success = success?;
    Some(HttpOperationSpec {
        method: method.map_or(defaults.method, str::to_owned),
        headers: headers?,
        body: body?.unwrap_or(defaults.body),
        content_type: content_type.unwrap_or(defaults.content_type),
        success: if success.is_empty() { defaults.success } else { success },
        retryable: retryable?,
        permanent: permanent?,
        record_id,
        results,
        path: defaults.path,
    })
}

/// What a request carries: a template, or records. The inner `None` is the operation's default.
fn body(reader: &Reader<'_>, operation: Operation) -> Option<Option<HttpBodySpec>> {
    let text = reader.text("body");
    let batch_size = reader.integer("batch_size", 1, 10_000).and_then(|size| u32::try_from(size).ok());
    let envelope = reader.text("envelope");
    let idempotency_field = reader.text("idempotency_field");
    let constants = constants(reader)?;
    if let (true, Some(node)) = (operation != Operation::Insert, reader.get("idempotency_field")) {
        let cause = "only inserted rows have idempotency keys of their own";
        reader.refuse("idempotency_field", node, cause, "remove it; the request has one in its header");
        return None;
    }
    if reader.has("body") {
        for key in ["envelope", "idempotency_field", "static"] {
            if let Some(node) = reader.get(key) {
                reader.refuse(key, node, "it shapes records, and `body` is a template", "write it into the template");
                return None;
            }
        }
        return Some(Some(HttpBodySpec::Template { text: text?, batch_size: batch_size.unwrap_or(1) }));
    }
    if let (Some(node), None | Some(1)) = (reader.get("envelope"), batch_size) {
        reader.refuse("envelope", node, "it wraps an array, and `batch_size` is 1", "set `batch_size` above 1");
        return None;
    }
    let records = ["batch_size", "envelope", "idempotency_field", "static"].iter().any(|key| reader.has(key));
    let spec = HttpRecordsSpec { batch_size: batch_size.unwrap_or(1), envelope, idempotency_field, constants };
    Some(records.then_some(HttpBodySpec::Records(spec)))
}

/// `static`: fields with the same value in all records, as JSON texts.
pub(super) fn constants(reader: &Reader<'_>) -> Option<BTreeMap<String, String>> {
    let Some(table) = table(reader, "static", "static = { source = \"warehouse\" }")? else {
        return Some(BTreeMap::new());
    };
    table.iter().map(|(name, entry)| Some((name.clone(), vendor::json(reader, name, &entry.node)?))).collect()
}

fn texts(reader: &Reader<'_>, key: &'static str) -> Option<BTreeMap<String, String>> {
    let Some(table) = table(reader, key, "headers = { X-Source = \"syncline\" }")? else {
        return Some(BTreeMap::new());
    };
    table.iter().map(|(name, entry)| Some((name.clone(), reader.as_text(name, &entry.node)?))).collect()
}

/// The table of a key: the outer `None` when it is something else, the inner when it is not there.
fn table<'a>(reader: &Reader<'a>, key: &'static str, hint: &str) -> Option<Option<&'a Table>> {
    match reader.get(key).map(|node| (node, &node.value)) {
        None => Some(None),
        Some((_, Item::Table(table))) => Some(Some(table)),
        Some((node, _)) => {
            reader.wrong(key, node, "a table", format!("write `{hint}`"));
            None
        }
    }
}

/// A list of statuses: numbers, or ranges such as `"500-599"`.
fn statuses(reader: &Reader<'_>, key: &'static str) -> Option<Vec<HttpStatuses>> {
    const HINT: &str = "list statuses and ranges, such as [409, \"500-599\"]";
    let Some(node) = reader.get(key) else { return Some(Vec::new()) };
    let Item::Array(items) = &node.value else {
        reader.wrong(key, node, "a list", HINT);
        return None;
    };
    if items.is_empty() {
        reader.refuse(key, node, "got an empty list", HINT);
        return None;
    }
    let one = |item: &Node| {
        let range = match &item.value {
            Item::Int(status) => u16::try_from(*status).ok().map(|status| (status, status)),
            Item::Text(text) => text.split_once('-').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?))),
            _ => None,
        };
        let range = range.filter(|(first, last)| 200 <= *first && first <= last && *last <= 599);
        if range.is_none() {
            reader.refuse(key, item, "expected a status from 200 to 599, or a range of them", HINT);
        }
        range.map(|(first, last)| HttpStatuses { first, last })
    };
    items.iter().map(one).collect()
}

/// What needs the other operations too: the names that templates know, and what cannot go together.
fn check(reader: &Reader<'_>, operation: Operation, spec: &HttpOperationSpec, by_id: bool) -> bool {
    let (around, within) = (spec.variables(operation, by_id, false), spec.variables(operation, by_id, true));
    let mut sound = template(reader, "path", reader.get("path"), &spec.path, Form::Segment, around);
    if let HttpBodySpec::Template { text, .. } = &spec.body {
        sound &= template(reader, "body", reader.get("body"), text, Form::Json, within);
    }
    if let Some(Item::Table(headers)) = reader.get("headers").map(|node| &node.value) {
        for (name, text) in &spec.headers {
            let node = headers.get(name).map(|entry| &entry.node);
            sound &= template(reader, name, node, text, Form::Text, around);
        }
    }
    if let (Some(node), true) = (reader.get("record_id"), spec.batch_size() > 1) {
        let hint = "use `results.record_id`, or `batch_size = 1`";
        reader.refuse("record_id", node, "an answer to several records names none of them", hint);
        return false;
    }
    if let (Some(node), true) = (reader.get("batch_size"), by_id && operation.is_removal() && spec.batch_size() > 1) {
        let cause = "a removed record is known by its id alone, which stands in the path";
        reader.refuse("batch_size", node, cause, "remove it");
        return false;
    }
    if let (Some(node), true) = (reader.get("path"), by_id && operation.is_removal() && sound)
        && !spec.path.contains("record_id")
    {
        let cause = "the object's records have ids, and a removed record is known by its id alone";
        reader.refuse("path", node, cause, "use `{{ record_id }}` in it");
        return false;
    }
    sound & lists(reader, spec)
}

fn lists(reader: &Reader<'_>, spec: &HttpOperationSpec) -> bool {
    let lists = [("success", &spec.success), ("retryable", &spec.retryable), ("permanent", &spec.permanent)];
    for (at, (first, statuses)) in lists.iter().enumerate() {
        for (second, others) in lists.iter().skip(at + 1) {
            let shared = statuses.iter().any(|one| others.iter().any(|other| one.overlaps(*other)));
            if let (true, Some(node)) = (shared, reader.get(second)) {
                let cause = format!("a status stands in `{first}` and in `{second}`");
                let hint = "put each into one list; without `success` all of 200 to 299 mean success";
                reader.refuse(second, node, cause, hint);
                return false;
            }
        }
    }
    true
}

/// Compiles a template and looks at its names.
fn template(reader: &Reader<'_>, key: &str, node: Option<&Node>, text: &str, form: Form, known: &[&str]) -> bool {
    let Some(node) = node else { return false };
    let names = match Template::compile_as(text, form) {
        Ok(template) => template.names().to_vec(),
        Err(error) => {
            reader.refuse(key, node, format!("the template is wrong: {error}"), "write values as `{{ name }}`");
            return false;
        }
    };
    let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) else { return true };
    let all = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let hint = if unknown == "record_id" {
        "ids are known where an answer names them (`record_id` or `results.record_id`), for `update`, `clear` and `delete`"
            .to_owned()
    } else {
        nearest(unknown, known.iter().copied())
            .map_or_else(|| "a record's fields are `record.NAME`".to_owned(), |near| format!("did you mean `{near}`?"))
    };
    reader.refuse(key, node, format!("it names `{unknown}`, and knows {all} here"), hint);
    false
}
