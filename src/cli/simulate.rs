//! `syncline simulate`: a stand-in vendor API to try a configuration against.

use std::{io::Write, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use tokio::net::TcpSocket;

use crate::{
    clock::Clock,
    shutdown::Shutdown,
    simulator::{
        self, Chaos, CommonOptions, HttpOptions, HubSpotOptions, PropertySpec, Rotation, TokenOptions, VendorConfig,
        VendorOptions, Window, parse_duration, parse_faults,
    },
};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Arguments of `simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    #[command(subcommand)]
    vendor: VendorArgs,
}

#[derive(Debug, Subcommand)]
enum VendorArgs {
    /// HubSpot's CRM API v3
    Hubspot(HubSpotArgs),
    /// A plain JSON endpoint
    Http(HttpArgs),
}

#[derive(Args)]
struct CommonArgs {
    /// Loopback address to listen on; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:8901")]
    listen: SocketAddr,
    /// Bearer token to demand; without it every request is accepted
    #[arg(long)]
    token: Option<String>,
    /// Client of a token endpoint at /oauth/…/token; its access tokens are demanded instead of --token
    #[arg(long, value_name = "ID:SECRET")]
    oauth_client: Option<String>,
    /// First refresh token of the token endpoint; without it the grant is client credentials
    #[arg(long, value_name = "TOKEN", requires = "oauth_client")]
    refresh_token: Option<String>,
    /// How long an access token is accepted
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "30m")]
    token_life: Duration,
    /// What a refresh does to the refresh token: off, strict (the old one is void at once) or overlap (void once the new
    /// one is used)
    #[arg(long, value_name = "HOW", default_value = "off")]
    rotate: Rotation,
    /// Rate window such as 100/10s, repeatable; `none` for no limit
    #[arg(long = "limit", value_name = "N/WINDOW")]
    limits: Vec<String>,
    /// Requests allowed per day
    #[arg(long, value_name = "N")]
    daily: Option<u64>,
    /// Time zone of the account: its day ends at midnight there
    #[arg(long, default_value = "UTC")]
    time_zone: String,
    /// Wait before each answer, such as 50ms
    #[arg(long, value_parser = parse_duration, default_value = "0")]
    latency: Duration,
    /// Scripted faults, JSON or TOML
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Seeded random faults such as p=0.05,seed=7,kinds=5xx,close,drop_answer,429
    #[arg(long)]
    chaos: Option<Chaos>,
    /// Keep request bodies in the request log
    #[arg(long)]
    keep_bodies: bool,
    /// Versions kept of each record
    #[arg(long, value_name = "N", default_value_t = 8)]
    history: usize,
}

impl std::fmt::Debug for CommonArgs {
    /// Leaves the token out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommonArgs").field("listen", &self.listen).field("limits", &self.limits).finish_non_exhaustive()
    }
}

#[derive(Debug, Args)]
struct HubSpotArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Account id
    #[arg(long, default_value_t = 4242)]
    portal: u64,
    /// Custom object, repeatable
    #[arg(long = "object", value_name = "NAME")]
    objects: Vec<String>,
    /// Custom property [OBJECT.]NAME:TYPE[:unique], repeatable
    #[arg(long = "property", value_name = "SPEC")]
    properties: Vec<PropertySpec>,
    /// Make a property identify records: [OBJECT.]NAME, repeatable
    #[arg(long, value_name = "NAME")]
    unique: Vec<String>,
    /// Declare unknown properties as strings instead of refusing them
    #[arg(long)]
    accept_any_property: bool,
}

#[derive(Debug, Args)]
struct HttpArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// JSON pointer from a record to its key
    #[arg(long, default_value = "/id")]
    key_pointer: String,
    /// JSON pointer from an envelope to its records
    #[arg(long, default_value = "/records")]
    array_pointer: String,
    /// JSON pointer from a row to its own idempotency key.
    #[arg(long, value_name = "POINTER", default_value = "/idempotency_key")]
    row_key_pointer: String,
    /// Paths that begin with this are an append log: every row of a POST without a known idempotency key adds an event.
    #[arg(long, value_name = "PATH")]
    log_path: Option<String>,
    /// POST only creates (409 for what exists) and PATCH only updates (404 for what does not).
    #[arg(long)]
    strict: bool,
}

/// Serves the vendor until `shutdown`; prints its address as one JSON line once it is ready.
///
/// # Errors
/// When an argument does not fit, the fault file cannot be read, or the address cannot be bound.
pub async fn run(args: SimulateArgs, shutdown: Shutdown) -> anyhow::Result<()> {
    let (vendor, args, default_limits) = match args.vendor {
        VendorArgs::Hubspot(args) => {
            let HubSpotArgs { common, portal, objects, properties, unique, accept_any_property } = args;
            let options = HubSpotOptions { portal, objects, properties, unique, accept_any_property };
            (VendorOptions::HubSpot(options), common, vec![Window::HUBSPOT])
        }
        VendorArgs::Http(HttpArgs { common, key_pointer, array_pointer, row_key_pointer, log_path, strict }) => {
            let options = HttpOptions { key_pointer, array_pointer, row_key_pointer, log_path, strict };
            (VendorOptions::Http(options), common, Vec::new())
        }
    };
    let listen = args.listen;
    ensure!(listen.ip().is_loopback(), "got the address `{listen}`, expected a loopback address such as `127.0.0.1:0`");
    let config = VendorConfig { vendor, common: args.options(default_limits)? };
    let socket = if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(listen).with_context(|| format!("could not bind `{listen}`"))?;
    let listener = socket.listen(BACKLOG)?;
    announce(listener.local_addr()?)?;
    simulator::serve(listener, config, shutdown).await.context("the simulator stopped")
}

fn announce(address: SocketAddr) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::json!({ "listening": format!("http://{address}") }))?;
    Ok(out.flush()?)
}

impl CommonArgs {
    fn options(self, default_limits: Vec<Window>) -> anyhow::Result<CommonOptions> {
        let limits = match self.limits.as_slice() {
            [] => default_limits,
            [none] if none == "none" => Vec::new(),
            given => given.iter().map(|text| text.parse()).collect::<Result<_, _>>()?,
        };
        let faults = match &self.faults {
            Some(path) => {
                let shown = path.display();
                let text = std::fs::read_to_string(path).with_context(|| format!("could not read `{shown}`"))?;
                parse_faults(&text).with_context(|| format!("in `{shown}`"))?
            }
            None => Vec::new(),
        };
        let zone = &self.time_zone;
        let time_zone =
            TimeZone::get(zone).with_context(|| format!("got the time zone `{zone}`, expected an IANA name"))?;
        let tokens = match &self.oauth_client {
            Some(client) => {
                let (id, secret) = client.split_once(':').context("expected `--oauth-client ID:SECRET`")?;
                let (client_id, client_secret) = (id.to_owned(), secret.to_owned());
                let (refresh_token, life, rotation) = (self.refresh_token, self.token_life, self.rotate);
                Some(TokenOptions { client_id, client_secret, refresh_token, life, rotation })
            }
            None => None,
        };
        Ok(CommonOptions {
            token: self.token.filter(|_| tokens.is_none()),
            tokens,
            limits,
            daily: self.daily,
            time_zone,
            latency: self.latency,
            faults,
            chaos: self.chaos,
            keep_bodies: self.keep_bodies,
            log_requests: CommonOptions::default().log_requests,
            history: self.history,
            clock: Clock::system(),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct Simulate {
        #[command(flatten)]
        args: SimulateArgs,
    }

    fn parse(line: &str) -> Result<SimulateArgs, clap::Error> {
        Simulate::try_parse_from(["simulate"].into_iter().chain(line.split(' '))).map(|parsed| parsed.args)
    }

    #[test]
    fn arguments_are_understood() {
        Simulate::command().debug_assert();
        let line = "hubspot --listen 127.0.0.1:0 --token T --portal 7 --object things --property mrr:number \
            --property ref:string:unique --unique phone --accept-any-property --limit 10/1s --limit 100/10s --daily 9 \
            --time-zone UTC --latency 5ms --chaos p=0.1,seed=3,kinds=5xx,close --keep-bodies --history 0";
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let VendorArgs::Hubspot(args) = parse(&line).unwrap().vendor else { panic!("expected HubSpot") };
        assert_eq!((args.portal, args.properties.len()), (7, 2));
        assert!(!format!("{args:?}").contains("\"T\""));
        let options = args.common.options(vec![Window::HUBSPOT]).unwrap();
        assert_eq!((options.limits.len(), options.daily, options.history), (2, Some(9), 0));
        for wrong in ["hubspot --chaos nonsense", "hubspot --property x", "http --latency 5", "salesfarce"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_default_to_the_vendors_and_can_be_switched_off() {
        let limits = |line: &str| {
            let VendorArgs::Hubspot(args) = parse(line).unwrap().vendor else { panic!("expected HubSpot") };
            args.common.options(vec![Window::HUBSPOT]).map(|options| options.limits)
        };
        assert_eq!(limits("hubspot").unwrap(), [Window::HUBSPOT]);
        assert_eq!(limits("hubspot --limit none").unwrap(), []);
        assert!(limits("hubspot --limit 5").is_err());
    }

    #[tokio::test]
    async fn an_address_beyond_loopback_is_refused() {
        let error = run(parse("http --listen 0.0.0.0:0").unwrap(), Shutdown::new()).await.unwrap_err();
        assert!(error.to_string().contains("loopback"));
    }
}
