//! `[destinations.NAME]`.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;
use url::{Host, Url};

use super::{
    auth,
    diagnostic::Sink,
    limits,
    reader::Reader,
    tree::{Entry, Item, Node},
    vendor,
};
use crate::model::spec::{DestinationSpec, VendorSpec};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const LATER: [&str; 12] = [
    "salesforce",
    "klaviyo",
    "marketo",
    "google_ads",
    "google_sheets",
    "slack",
    "attio",
    "intercom",
    "braze",
    "customerio",
    "mailchimp",
    "pipedrive",
];

#[derive(Clone, Copy)]
enum Vendor {
    HubSpot,
    Http,
    File,
}

/// Decodes a destination.
pub(super) fn destination(name: &str, entry: &Entry, sink: &Sink) -> Option<DestinationSpec> {
    let reader = Reader::of(&entry.node, format!("destination `{name}`"), sink)?;
    reader.require(&["type"], "\"hubspot\"");
    let vendors = [("hubspot", Vendor::HubSpot), ("http", Vendor::Http), ("file", Vendor::File)];
    let Some(vendor) = reader.choice("type", &vendors, &LATER) else {
        reader.abandon();
        return None;
    };
    let (vendor, auth) = match vendor {
        Vendor::HubSpot => {
            reader.require(&["token", "auth"], "{ env = \"HUBSPOT_TOKEN\" }");
            (Some(VendorSpec::HubSpot(vendor::hubspot(&reader))), auth::hubspot(&reader))
        }
        Vendor::Http => {
            reader.require(&["base_url"], "\"https://api.example.com\"");
            (vendor::http(&reader).map(|spec| VendorSpec::Http(Box::new(spec))), auth::http(&reader))
        }
        // No request goes to a folder, so it has no address, limits or credentials.
        Vendor::File => {
            let (file, account) = (vendor::file(&reader), reader.text("account"));
            reader.finish();
            return Some(DestinationSpec { account, ..DestinationSpec::new(name, VendorSpec::File(file?)) });
        }
    };
    let allow_private = allow_private(&reader);
    let base_url = base_url(&reader, &allow_private);
    let account = reader.text("account");
    let limits = limits::limits(&reader);
    let hour = Duration::from_secs(3600);
    let request_timeout = reader.duration("request_timeout", Duration::from_secs(1), hour).unwrap_or(REQUEST_TIMEOUT);
    reader.finish();
    Some(DestinationSpec {
        base_url,
        allow_private: allow_private.iter().map(ToString::to_string).collect(),
        account,
        auth: auth?,
        limits,
        request_timeout,
        ..DestinationSpec::new(name, vendor?)
    })
}

pub(super) fn allow_private(reader: &Reader<'_>) -> Vec<IpNet> {
    const HINT: &str = "write ranges as \"127.0.0.1/32\" or \"10.0.0.0/8\"";
    let Some(node) = reader.get("allow_private") else { return Vec::new() };
    let Item::Array(items) = &node.value else {
        reader.wrong("allow_private", node, "a list", HINT);
        return Vec::new();
    };
    let mut ranges = Vec::new();
    for item in items {
        let Some(text) = reader.as_text("allow_private", item) else { continue };
        match text.parse::<IpNet>() {
            Ok(range) => ranges.push(range),
            Err(_) => {
                reader.refuse("allow_private", item, format!("got `{text}`, expected an address range (CIDR)"), HINT);
            }
        }
    }
    ranges
}

fn base_url(reader: &Reader<'_>, allowed: &[IpNet]) -> Option<String> {
    let (text, node) = (reader.text("base_url")?, reader.get("base_url")?);
    let url = parsed_url(reader, "base_url", &text, node)?;
    if url.query().is_some() {
        refuse_parts(reader, "base_url", node);
        return None;
    }
    reachable(reader, "base_url", node, &url, allowed)?;
    if url.scheme() == "http" && allowed.is_empty() {
        let cause = "plain `http` reaches only what `allow_private` names";
        reader.refuse("base_url", node, cause, "use `https`, or allow the range of a server of your own");
        return None;
    }
    Some(text)
}

/// A URL without credentials and fragment.
pub(super) fn parsed_url(reader: &Reader<'_>, key: &'static str, text: &str, node: &Node) -> Option<Url> {
    let hint = format!("write `{key} = \"https://HOST\"`");
    let Ok(url) = Url::parse(text) else {
        reader.refuse(key, node, "it cannot be parsed as a URL", hint);
        return None;
    };
    if !matches!(url.scheme(), "http" | "https") {
        reader.refuse(key, node, format!("got scheme `{}`, expected `https` or `http`", url.scheme()), hint);
        return None;
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        refuse_parts(reader, key, node);
        return None;
    }
    Some(url)
}

fn refuse_parts(reader: &Reader<'_>, key: &'static str, node: &Node) {
    let cause = "it has credentials, a query or a fragment";
    reader.refuse(key, node, cause, "keep scheme, host and path; credentials belong into `token` or `auth`");
}

/// Refuses an address that is plainly loopback or private and not allowed.
pub(super) fn reachable(
    reader: &Reader<'_>,
    key: &'static str,
    node: &Node,
    url: &Url,
    allowed: &[IpNet],
) -> Option<()> {
    let private = private_host(url).filter(|address| !allowed.iter().any(|range| range.contains(address)));
    let Some(address) = private else { return Some(()) };
    let cause = format!("{address} is a loopback or private address");
    let hint = format!("allow it with `allow_private = [\"{address}/{}\"]`", bits(address));
    reader.refuse(key, node, cause, hint);
    None
}

/// The address when the host is plainly loopback or private. Names are judged when they are resolved.
fn private_host(url: &Url) -> Option<IpAddr> {
    let address = match url.host()? {
        Host::Domain("localhost") => return Some(IpAddr::from([127, 0, 0, 1])),
        Host::Domain(_) => return None,
        Host::Ipv4(address) => IpAddr::V4(address),
        Host::Ipv6(address) => IpAddr::V6(address).to_canonical(),
    };
    let private = match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified(),
    };
    private.then_some(address)
}

const fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}
