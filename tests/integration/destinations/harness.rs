//! A simulated account, and a connector that talks to it over loopback.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use secrecy::SecretString;
use syncline::{
    clock::Clock,
    destination::{self, Batch, BatchRow, Delivery, Destination, Outcome},
    model::{
        Operation, Value, encode_field,
        spec::{AuthSpec, DestinationSpec, LimitsSpec, SecretSpec, VendorSpec, WindowSpec},
    },
    shutdown::Shutdown,
    simulator::{Simulator, VendorConfig, parse_faults},
    wire::{Account, Accounts, Class, Fault, FixedSecret, NoStore, Request},
};
use tokio::net::TcpListener;

const TOKEN: &str = "secret-token";

/// The pair, up until it is dropped.
pub(super) struct Pair {
    pub(super) simulator: Simulator,
    pub(super) destination: Box<dyn Destination>,
    pub(super) account: Account,
    pub(super) match_field: &'static str,
    pub(super) object: &'static str,
    origin: String,
    _stop: Stop,
}

/// Stops the simulator when dropped.
struct Stop(Shutdown);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

pub(super) async fn start(
    mut config: VendorConfig,
    vendor: VendorSpec,
    object: &'static str,
    match_field: &'static str,
) -> Pair {
    config.common.token = Some(TOKEN.to_owned());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let simulator = Simulator::new(config);
    let stop = Shutdown::new();
    tokio::spawn(simulator.clone().serve(listener, stop.clone()));
    let spec = DestinationSpec {
        base_url: Some(format!("http://{address}")),
        allow_private: vec!["127.0.0.1/32".into()],
        auth: AuthSpec::Bearer(SecretSpec::Env("TOKEN".into())),
        limits: LimitsSpec {
            windows: vec![WindowSpec { requests: 1000, per: Duration::from_secs(1), smooth: false }],
            ..LimitsSpec::default()
        },
        request_timeout: Duration::from_secs(10),
        ..DestinationSpec::new("d", vendor)
    };
    let secret = |_: &SecretSpec| Arc::new(FixedSecret(SecretString::from(TOKEN))) as _;
    let settings = destination::client_settings(&spec, secret).unwrap();
    let limits = destination::limits(&spec, None).unwrap();
    let accounts = Accounts::new(Clock::system(), Arc::new(NoStore), stop.clone());
    let stranger = accounts.provisional(settings, limits, destination::ONE).unwrap();
    let destination = destination::open(&spec).unwrap();
    let identity = destination.check(stranger.account()).await.unwrap();
    let account = accounts.adopt(stranger, &identity.account).await.unwrap();
    Pair {
        simulator,
        destination,
        account,
        match_field,
        object,
        origin: format!("http://{address}"),
        _stop: Stop(stop),
    }
}

/// The canonical record of some text fields, which stand in order.
pub(super) fn record(fields: &[(&str, &str)]) -> Bytes {
    let mut out = Vec::new();
    for (name, value) in fields {
        let value = if value.is_empty() { Value::Null } else { Value::Text(value) };
        encode_field(name, value, &mut out).unwrap();
    }
    out.into()
}

/// A row: the record id, if it is known, and the fields.
pub(super) type RowOf<'a> = (Option<&'a str>, &'a [(&'a str, &'a str)]);

impl Pair {
    pub(super) async fn try_deliver(&self, operation: Operation, rows: &[RowOf<'_>]) -> Result<Vec<Outcome>, Fault> {
        let row = |(at, (id, fields)): (usize, &RowOf<'_>)| BatchRow {
            correlation: 1000 + at as u64,
            record_id: id.map(Into::into),
            idempotency_key: None,
            record: record(fields),
        };
        let batch = Batch {
            run: syncline::model::RunId(1),
            fields: [].into(),
            object: self.object.into(),
            operation,
            match_fields: vec![self.match_field.into()],
            rows: rows.iter().enumerate().map(row).collect(),
            idempotency_key: batch_key(rows, operation),
        };
        let delivery = self.destination.deliver(&self.account, &batch).await?;
        assert!(matches!(delivery, Delivery::Rows(_)), "a job was not expected: {delivery:?}");
        let Delivery::Rows(outcomes) = delivery else { return Ok(Vec::new()) };
        Ok(outcomes)
    }

    /// Delivers and prints each outcome in a word, with the record ids as the simulator gave them.
    pub(super) async fn deliver(&self, operation: Operation, rows: &[RowOf<'_>]) -> Vec<String> {
        self.try_deliver(operation, rows).await.unwrap().iter().map(brief).collect()
    }

    pub(super) fn fault(&self, script: &str) {
        self.simulator.add_faults(parse_faults(script).unwrap());
    }

    /// What a human does in the portal.
    pub(super) async fn control(&self, command: &str, body: serde_json::Value) {
        let url = format!("{}/_sim/{command}", self.origin).parse().unwrap();
        let request = Request::new(http::Method::POST, url, Class::Read, "/_sim").json(body.to_string());
        let response = self.account.send(request).await.unwrap();
        assert!(response.status.is_success(), "{}", response.body.escape_ascii());
    }

    /// What the simulator holds.
    pub(super) fn records(&self) -> serde_json::Value {
        serde_json::from_str(&self.simulator.records(self.object).unwrap()).unwrap()
    }
}

/// Different batches need different keys.
fn batch_key(rows: &[RowOf<'_>], operation: Operation) -> u128 {
    use std::hash::{Hash, Hasher};
    let mut hasher = std::hash::DefaultHasher::new();
    (rows, operation.code()).hash(&mut hasher);
    hasher.finish().into()
}

fn brief(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Delivered { record_id } => format!("delivered {}", record_id.as_deref().unwrap_or("-")),
        Outcome::Rejected(why) if why.conflict => format!("conflict {}", why.code),
        Outcome::Rejected(why) => format!("rejected {} {}", why.code, why.field.as_deref().unwrap_or("-")),
        Outcome::Exists { record_id } => format!("exists {}", record_id.as_deref().unwrap_or("-")),
        Outcome::Gone => "gone".to_owned(),
        Outcome::Retry(why) => format!("retry {}", why.code),
        Outcome::Unknown => "unknown".to_owned(),
    }
}

/// The record id in such a word.
pub(super) fn id(brief: &str) -> &str {
    brief.strip_prefix("delivered ").unwrap()
}
