//! One operation of one object, checked and compiled.

use http::{HeaderName, HeaderValue, Method, header};

use super::{
    config::{HttpSettingsError, Results, check_pointer, problem},
    path::Path,
};
use crate::{
    mapping::{Form, Template},
    model::{
        Operation,
        spec::{HttpBodySpec, HttpOperationSpec, HttpRecordsSpec, HttpStatuses},
    },
};

/// How an operation is sent and its answer read.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: Path,
    /// Named instead of the path in logs.
    pub(super) route: &'static str,
    pub(super) headers: Vec<(HeaderName, Template)>,
    pub(super) body: Body,
    pub(super) content_type: HeaderValue,
    pub(super) batch_size: usize,
    /// The path names the record's id.
    pub(super) by_id: bool,
    pub(super) success: Vec<HttpStatuses>,
    pub(super) retryable: Vec<HttpStatuses>,
    pub(super) permanent: Vec<HttpStatuses>,
    /// JSON pointer to the record's id.
    pub(super) record_id: Option<String>,
    /// It makes records that only their ids address: without one in the answer a record is not delivered.
    pub(super) needs_id: bool,
    pub(super) results: Option<Results>,
}

/// What a request carries.
#[derive(Debug, Clone)]
pub(super) enum Body {
    None,
    Template(Template),
    Records(Records),
}

/// Records in a body.
#[derive(Debug, Clone)]
pub(super) struct Records {
    pub(super) envelope: Option<String>,
    pub(super) idempotency_field: Option<String>,
    pub(super) constants: Vec<(String, serde_json::Value)>,
}

/// Headers that others set: the client, the account, the signature.
const RESERVED: [HeaderName; 10] = [
    header::AUTHORIZATION,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("webhook-id"),
    HeaderName::from_static("webhook-signature"),
    HeaderName::from_static("webhook-timestamp"),
];

impl Call {
    /// Compiles an operation. `table` names it in errors, `by_id` says that the object's records have ids.
    pub(super) fn new(
        table: &str,
        operation: Operation,
        spec: &HttpOperationSpec,
        by_id: bool,
    ) -> Result<Self, HttpSettingsError> {
        let key = |name: &str| if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") };
        let batch_size = usize::try_from(spec.batch_size()).unwrap_or(usize::MAX);
        if batch_size == 0 {
            return Err(problem(key("batch_size"), "expected at least 1", "0"));
        }
        let known = |in_body| spec.variables(operation, by_id, in_body);
        let path = Path::new(&spec.path).map_err(|why| problem(key("path"), &why, &spec.path))?;
        check_names(&key("path"), path.names(), known(false))?;
        let names_id = path.names().iter().any(|name| name == "record_id");
        if by_id && operation.is_removal() && !names_id {
            let why = "records are known by their ids; expected `{{ record_id }}` in it";
            return Err(problem(key("path"), why, &spec.path));
        }
        if let Some(pointer) = &spec.record_id {
            check_pointer(&key("record_id"), pointer)?;
        }
        check_statuses(&key("success"), spec)?;
        Ok(Self {
            method: method(&key("method"), &spec.method)?,
            path,
            route: route(operation),
            headers: headers(&key("headers"), spec, known(false))?,
            body: body(&key("body"), spec, known(true))?,
            content_type: HeaderValue::try_from(&spec.content_type)
                .map_err(|_| problem(key("content_type"), "expected a media type", &spec.content_type))?,
            batch_size,
            by_id: names_id,
            success: spec.success.clone(),
            retryable: spec.retryable.clone(),
            permanent: spec.permanent.clone(),
            record_id: spec.record_id.clone(),
            needs_id: by_id && matches!(operation, Operation::Upsert | Operation::Insert) && names_ids(spec),
            results: spec.results.as_ref().map(|results| Results::new(&key("results"), results)).transpose()?,
        })
    }
}

fn names_ids(spec: &HttpOperationSpec) -> bool {
    spec.record_id.is_some() || spec.results.as_ref().is_some_and(|results| results.record_id.is_some())
}

const fn route(operation: Operation) -> &'static str {
    match operation {
        Operation::Upsert => "{upsert.path}",
        Operation::Insert => "{insert.path}",
        Operation::Update => "{update.path}",
        Operation::Clear => "{clear.path}",
        Operation::Delete => "{delete.path}",
    }
}

fn method(key: &str, text: &str) -> Result<Method, HttpSettingsError> {
    match text {
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        other => Err(problem(key.to_owned(), "expected `POST`, `PUT`, `PATCH` or `DELETE`", other)),
    }
}

fn check_names(key: &str, names: &[String], known: &[&str]) -> Result<(), HttpSettingsError> {
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(problem(key.to_owned(), &format!("knows {} only", list(known)), name)),
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn headers(
    key: &str,
    spec: &HttpOperationSpec,
    known: &[&str],
) -> Result<Vec<(HeaderName, Template)>, HttpSettingsError> {
    let one = |(name, text): (&String, &String)| {
        let key = format!("{key}.{name}");
        let header = HeaderName::try_from(name).ok().filter(|header| !RESERVED.contains(header));
        let header = header.ok_or_else(|| problem(key.clone(), "expected a header that nothing else sets", name))?;
        let template = Template::compile(text).map_err(|error| problem(key.clone(), &error.reason, text))?;
        check_names(&key, template.names(), known)?;
        Ok((header, template))
    };
    spec.headers.iter().map(one).collect()
}

fn body(key: &str, spec: &HttpOperationSpec, known: &[&str]) -> Result<Body, HttpSettingsError> {
    Ok(match &spec.body {
        HttpBodySpec::None => Body::None,
        HttpBodySpec::Records(records) => Body::Records(Records::new(key, records)?),
        HttpBodySpec::Template { text, .. } => {
            let template =
                Template::compile_as(text, Form::Json).map_err(|error| problem(key.to_owned(), &error.reason, text))?;
            check_names(key, template.names(), known)?;
            Body::Template(template)
        }
    })
}

fn check_statuses(key: &str, spec: &HttpOperationSpec) -> Result<(), HttpSettingsError> {
    let lists = [&spec.success, &spec.retryable, &spec.permanent];
    for (at, list) in lists.iter().enumerate() {
        for range in *list {
            let later = lists.iter().skip(at + 1).flat_map(|list| list.iter());
            if later.into_iter().any(|other| range.overlaps(*other)) {
                let got = format!("{}-{}", range.first, range.last);
                return Err(problem(key.to_owned(), "expected each status in one list", &got));
            }
        }
    }
    Ok(())
}

impl Records {
    pub(super) fn new(key: &str, spec: &HttpRecordsSpec) -> Result<Self, HttpSettingsError> {
        let parse = |(name, text): (&String, &String)| {
            let value = serde_json::from_str(text)
                .map_err(|_| problem(format!("{key}.static.{name}"), "expected a JSON text", text))?;
            Ok((name.clone(), value))
        };
        Ok(Self {
            envelope: spec.envelope.clone(),
            idempotency_field: spec.idempotency_field.clone(),
            constants: spec.constants.iter().map(parse).collect::<Result<_, _>>()?,
        })
    }
}
