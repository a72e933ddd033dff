//! Targets of the fuzzer: `Retry-After`, and the check of addresses.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, header::RETRY_AFTER};
use url::{Host, Url};

use super::{MAX_RETRY_AFTER, address::Policy, oauth, retry_after};
use crate::{model::Timestamp, proof::Target};

pub(crate) const FUZZ_TARGETS: &[Target] = &[
    Target::of_text("retry-after", wait),
    Target::of_text("url", url),
    Target::new("address", address, addresses),
    oauth::FUZZ_TARGET,
];

/// Never longer than an hour, whatever the clock says.
fn wait(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let headers = HeaderMap::from_iter([(RETRY_AFTER, value)]);
    for now in [i64::MIN, 0, 1_795_000_000_000_000, i64::MAX] {
        let wait = retry_after(&headers, Timestamp::from_micros(now));
        assert!(wait.is_none_or(|wait| wait <= MAX_RETRY_AFTER), "a wait without bound");
    }
    let seconds = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<u16>().ok());
    if let Some(seconds) = seconds.filter(|seconds| *seconds <= 3600) {
        let wait = retry_after(&headers, Timestamp::default());
        assert_eq!(wait, Some(Duration::from_secs(seconds.into())), "seconds are misread");
    }
}

/// A URL that may be reached holds no password and no address that another look finds to be special.
fn url(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(url) = Url::parse(&text) else { return };
    let (tls, plain) = (Policy::new(Vec::new(), true), Policy::new(Vec::new(), false));
    if plain.check_url(&url).is_ok() {
        assert!(tls.check_url(&url).is_ok(), "less is allowed with TLS than without");
        assert!(matches!(url.host(), Some(Host::Domain(_)) | None), "an address without TLS");
    }
    if tls.check_url(&url).is_err() {
        return;
    }
    assert!(url.username().is_empty() && url.password().is_none(), "a password in a URL");
    match url.host() {
        Some(Host::Ipv4(address)) => assert!(is_open(address.into()), "a special address: {address}"),
        Some(Host::Ipv6(address)) => assert!(is_open(address.into()), "a special address: {address}"),
        // A special scheme's host that is all digits is an address in another notation, or no URL; with further dots behind it is
        // a name, and judged as the address.
        Some(Host::Domain(name)) => {
            let address = name.trim_end_matches('.').parse::<IpAddr>().ok();
            assert!(address.is_none_or(is_open), "a special address passes for a name: {name}");
        }
        None => {}
    }
}

/// Any address: what may be reached is open to a second look, also inside the notations that hold an IPv4 address; and a
/// range never allows a metadata address.
fn address(bytes: &[u8]) {
    let mut drawn = [0; 20];
    drawn.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
    let [a, b, c, d, last @ ..] = drawn;
    let (four, six) = (Ipv4Addr::new(a, b, c, d), Ipv6Addr::from(last));
    let pair = |high, low| u16::from_be_bytes([high, low]);
    let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, pair(a, b), pair(c, d));
    let policy = Policy::new(Vec::new(), true);
    let verdict = policy.check(four.into()).is_ok();
    for address in [IpAddr::V4(four), IpAddr::V6(six), IpAddr::V6(four.to_ipv6_mapped()), IpAddr::V6(nat64)] {
        assert!(policy.check(address).is_err() || is_open(address), "a special address: {address}");
    }
    assert_eq!(policy.check(four.to_ipv6_mapped().into()).is_ok(), verdict, "mapped, and judged otherwise");
    assert_eq!(policy.check(nat64.into()).is_ok(), verdict, "translated, and judged otherwise");
    let Ok(everything) = "0.0.0.0/0".parse() else { return };
    let metadata = [[169, 254, 169, 254], [169, 254, 170, 2], [168, 63, 129, 16], [100, 100, 100, 200]];
    let generous = Policy::new(vec![everything], true);
    assert_eq!(generous.check(four.into()).is_ok(), !metadata.contains(&four.octets()), "a range and {four}");
}

/// A second opinion, by the standard library's own words.
fn is_open(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let shared = first == 100 && (64..128).contains(&second);
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_unspecified()
                || shared
                || first == 0
                || first >= 240)
        }
        IpAddr::V6(v6) => {
            let [first, second, .., seventh, eighth] = v6.segments();
            let inner = Ipv4Addr::from((u32::from(seventh) << 16) | u32::from(eighth));
            let translated = (first, second) == (0x64, 0xff9b);
            let six_to_four = first == 0x2002;
            let local = v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback() || v6.is_unspecified();
            !(local || v6.is_multicast() || six_to_four || (translated && !is_open(inner.into())))
        }
    }
}

fn addresses() -> Vec<Vec<u8>> {
    let fours = [[8, 8, 8, 8], [169, 254, 169, 254], [100, 100, 100, 200], [127, 0, 0, 1], [10, 1, 2, 3]];
    let six = |text: &str| text.parse::<Ipv6Addr>().map(|address| address.octets()).unwrap_or_default();
    let sixes = ["2606:4700::1111", "fd00:ec2::254", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::"];
    fours.iter().zip(sixes).map(|(four, text)| [&four[..], &six(text)].concat()).collect()
}
