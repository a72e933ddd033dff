//! Which `Host` a request may name.

use std::net::IpAddr;

use http::{HeaderMap, Uri, header::HOST, uri::Authority};

/// Whether the request names this machine's loopback by address or as `localhost`, at any port, and nothing else.
///
/// Names are compared whole and addresses are parsed: `127.evil.com` begins like an address and is none.
pub(super) fn is_allowed(headers: &HeaderMap, uri: &Uri) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    // An absolute request target replaces the header (RFC 9112, 3.2.2), so both must be right.
    host.to_str().is_ok_and(names_loopback) && uri.authority().is_none_or(|target| names_loopback(target.as_str()))
}

fn names_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host();
    if host != name && authority.port_u16().is_none_or(|port| host != format!("{name}:{port}")) {
        // A user name, or a port that is no number.
        return false;
    }
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_pass() {
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:8080", "127.8.9.1", "[::1]", "[::1]:8080"] {
            assert!(names_loopback(host), "{host}");
        }
        let refused =
            "127.evil.com 127.0.0.1.evil.com evil.com localhost.evil.com evil.localhost 10.0.0.1 0.0.0.0 [::2]
            2130706433 0x7f.1 127.1 user@localhost localhost:x localhost/ localhost. 127.0.0.1, ::1 [::1 :80";
        for host in refused.split_whitespace().chain(["", " ", "localhost localhost"]) {
            assert!(!names_loopback(host), "{host:?}");
        }
    }

    #[test]
    fn the_header_must_stand_once_and_agree_with_an_absolute_target() {
        let headers = |hosts: &[&'static str]| {
            hosts.iter().map(|host| (HOST, http::HeaderValue::from_static(host))).collect::<HeaderMap>()
        };
        let allowed = |hosts: &[&'static str], uri: &'static str| is_allowed(&headers(hosts), &Uri::from_static(uri));
        assert!(allowed(&["localhost"], "/healthz"));
        assert!(allowed(&["localhost"], "http://127.0.0.1/healthz"));
        assert!(!allowed(&["localhost"], "http://evil.com/healthz"));
        assert!(!allowed(&[], "/healthz"));
        assert!(!allowed(&["localhost", "localhost"], "/healthz"));
    }
}
