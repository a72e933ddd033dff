//! The vendors' own keys of `[destinations.NAME]`.

use super::{
    operation,
    reader::Reader,
    secret,
    tree::{Item, Node},
};
use crate::model::spec::{FileFormat, FileSpec, HttpIdentitySpec, HttpResultsSpec, HttpSpec, HubSpotSpec, SecretSpec};

/// HubSpot's keys.
pub(super) fn hubspot(reader: &Reader<'_>) -> HubSpotSpec {
    let objects_path = path(reader, "objects_path").unwrap_or_else(|| "/crm/v3/objects".to_owned());
    HubSpotSpec { objects_path }
}

/// The keys of the generic `http` destination.
pub(super) fn http(reader: &Reader<'_>) -> Option<HttpSpec> {
    reader.require(&["path", "objects"], "\"/v1/{object}\"");
    let upsert_path = path(reader, "path");
    let methods = ["POST", "PUT", "PATCH"].map(|method| (method, method));
    let method = reader.choice("method", &methods, &[]).unwrap_or("POST").to_owned();
    let delete_path = path(reader, "delete_path");
    let batch_size = reader.integer("batch_size", 1, 10_000).and_then(|size| u32::try_from(size).ok()).unwrap_or(1);
    let envelope = reader.text("envelope");
    if let (Some(_), 1, Some(node)) = (&envelope, batch_size, reader.get("envelope")) {
        let hint = "set `batch_size` above 1, or remove `envelope`";
        reader.refuse("envelope", node, "it wraps an array, and `batch_size` is 1", hint);
    }
    let idempotency_header = header(reader).unwrap_or_else(|| "Idempotency-Key".to_owned());
    let results = reader.get("results").and_then(|node| results(reader, node));
    let identity = reader.get("identity").and_then(|node| identity(reader, node));
    let idempotency_field = reader.text("idempotency_field");
    let constants = operation::constants(reader);
    let objects = operation::objects(reader);
    let signing = reader.get("signing").and_then(|node| signing(reader, node));
    // What is there but wrong is reported above; without it, checks across tables would report its consequences.
    if (reader.has("results") && results.is_none()) || (reader.has("delete_path") && delete_path.is_none()) {
        return None;
    }
    if (reader.has("path") && upsert_path.is_none()) || (reader.has("signing") && signing.is_none()) {
        return None;
    }
    Some(HttpSpec {
        path: upsert_path,
        method,
        delete_path,
        batch_size,
        envelope,
        idempotency_field,
        constants: constants?,
        idempotency_header,
        results,
        identity,
        objects: objects?,
        signing: signing.unwrap_or_default(),
    })
}

/// The keys of the `file` destination.
pub(super) fn file(reader: &Reader<'_>) -> Option<FileSpec> {
    let path = reader.required_text(&["path"], "\"out/{object}-{run}.jsonl\"");
    reader.require(&["format"], "\"jsonl\"");
    let format = reader.choice("format", &[("jsonl", FileFormat::JsonLines), ("csv", FileFormat::Csv)], &[]);
    if let (Some(path), Some(node)) = (&path, reader.get("path"))
        && !path.rsplit('/').next().is_some_and(|name| name.contains("{run}"))
    {
        let hint = "write `{run}` into the file's name, such as \"out/{object}-{run}.jsonl\"";
        reader.refuse("path", node, "each run writes a file of its own", hint);
        return None;
    }
    Some(FileSpec { path: path?, format: format? })
}

/// `signing = { standard_webhooks = SECRET }`, or a list of secrets, the newest first.
fn signing(outer: &Reader<'_>, node: &Node) -> Option<Vec<SecretSpec>> {
    let reader = Reader::of(node, format!("`signing` of {}", outer.what), outer.sink)?;
    reader.require(&["standard_webhooks"], "{ env = \"WEBHOOK_SECRET\" }");
    let secrets = secret::secrets(&reader, "standard_webhooks");
    reader.finish();
    secrets
}

pub(super) fn path(reader: &Reader<'_>, key: &'static str) -> Option<String> {
    let (text, node) = (reader.text(key)?, reader.get(key)?);
    if text.starts_with('/') {
        return Some(text);
    }
    reader.refuse(key, node, format!("got `{text}`, expected a path below `base_url`"), "start it with `/`");
    None
}

fn header(reader: &Reader<'_>) -> Option<String> {
    let (text, node) = (reader.text("idempotency_header")?, reader.get("idempotency_header")?);
    if text.parse::<http::HeaderName>().is_ok() {
        return Some(text);
    }
    reader.refuse(
        "idempotency_header",
        node,
        format!("got `{text}`, expected a header name"),
        "use \"Idempotency-Key\"",
    );
    None
}

pub(super) fn pointer(reader: &Reader<'_>, key: &'static str) -> Option<String> {
    let (text, node) = (reader.text(key)?, reader.get(key)?);
    if text.starts_with('/') {
        return Some(text);
    }
    let cause = format!("got `{text}`, expected a JSON pointer (RFC 6901)");
    reader.refuse(key, node, cause, format!("write `{key} = \"/{}\"`", text.replace('.', "/")));
    None
}

fn required_pointer(reader: &Reader<'_>, keys: &'static [&'static str; 1]) -> Option<String> {
    reader.require(keys, "\"/…\"");
    let [key] = keys;
    pointer(reader, key)
}

pub(super) fn results(outer: &Reader<'_>, node: &Node) -> Option<HttpResultsSpec> {
    let reader = Reader::of(node, format!("`results` of {}", outer.what), outer.sink)?;
    let rows = required_pointer(&reader, &["rows"]);
    let status = required_pointer(&reader, &["status"]);
    let success = success(&reader);
    let key = pointer(&reader, "key");
    let record_id = pointer(&reader, "record_id");
    let error_code = pointer(&reader, "error_code");
    let error_message = pointer(&reader, "error_message");
    reader.finish();
    Some(HttpResultsSpec { rows: rows?, key, status: status?, success: success?, record_id, error_code, error_message })
}

/// The values of `status` that mean success, as JSON texts.
fn success(reader: &Reader<'_>) -> Option<Vec<String>> {
    const HINT: &str = "list the values, such as [\"ok\", true, 200]";
    let Some(node) = reader.get("success") else {
        reader.missing(&["success"], "[true]");
        return None;
    };
    let Item::Array(items) = &node.value else {
        reader.wrong("success", node, "a list", HINT);
        return None;
    };
    if items.is_empty() {
        reader.refuse("success", node, "got an empty list", HINT);
        return None;
    }
    items.iter().map(|item| json(reader, "success", item)).collect()
}

/// A constant as a JSON text.
pub(super) fn json(reader: &Reader<'_>, key: &str, item: &Node) -> Option<String> {
    match &item.value {
        Item::Text(text) => Some(serde_json::Value::from(text.as_str()).to_string()),
        Item::Int(integer) => Some(integer.to_string()),
        Item::Bool(truth) => Some(truth.to_string()),
        Item::Float(_) | Item::DateTime | Item::Array(_) | Item::Table(_) | Item::Environment(_) => {
            reader.wrong(key, item, "a text, an integer or a boolean", "write \"ok\", 200 or true");
            None
        }
    }
}

fn identity(outer: &Reader<'_>, node: &Node) -> Option<HttpIdentitySpec> {
    let reader = Reader::of(node, format!("`identity` of {}", outer.what), outer.sink)?;
    reader.require(&["path"], "\"/v1/me\"");
    let path = path(&reader, "path");
    let pointer = required_pointer(&reader, &["pointer"]);
    reader.finish();
    Some(HttpIdentitySpec { path: path?, pointer: pointer? })
}
