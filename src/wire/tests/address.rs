//! The address guard: URLs as an attacker would write them, and names whose answers change.

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use proptest::prelude::*;
use url::Url;

use crate::wire::{
    address::{Policy, Refused},
    client::Client,
    credential::Credentials,
    fault::{FaultKind, Sent},
    request::{Class, Request},
    resolver::Lookup,
    secret::Auth,
    settings::{ClientSettings, SettingsError},
    tests::{
        client::transmit,
        server::{Server, answer},
    },
};

/// With no private range allowed.
const REFUSED: [&str; 53] = [
    "https://127.0.0.1../",
    "https://127.0.0.1/",
    "https://127.0.0.1./",
    "https://127.1/",
    "https://127.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://0/",
    "https://0.0.0.0/",
    "https://0.1.2.3/",
    "https://%31%32%37.0.0.1/",
    "https://１２７.0.0.1/",
    "https://10.0.0.1/",
    "https://10.255.255.255/",
    "https://012.0.0.1/",
    "https://100.64.0.1/",
    "https://100.127.255.255/",
    "https://169.254.169.254/",
    "https://169.254.169.254./latest/meta-data",
    "https://2852039166/",
    "https://0xa9fea9fe/",
    "https://0251.0376.0251.0376/",
    "https://169.254.170.2/",
    "https://168.63.129.16/",
    "https://100.100.100.200/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.0.0.1/",
    "https://192.0.2.1/",
    "https://192.88.99.1/",
    "https://192.168.1.1/",
    "https://198.18.0.1/",
    "https://198.51.100.1/",
    "https://203.0.113.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://[::]/",
    "https://[::1]/",
    "https://[::127.0.0.1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[64:ff9b::10.0.0.1]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:db8::1]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1]/",
    "https://[ff02::1]/",
];

const ALLOWED: [&str; 10] = [
    "https://1.1.1.1/",
    "https://api.example.com/",
    "https://9.255.255.255/",
    "https://11.0.0.0/",
    "https://172.32.0.1/",
    "https://100.128.0.1/",
    "https://192.169.0.1/",
    "https://[2606:4700::1111]/",
    "https://[::ffff:1.1.1.1]/",
    "https://[64:ff9b::1.1.1.1]/",
];

fn policy(allow: &[&str]) -> Policy {
    Policy::new(allow.iter().map(|net| net.parse().unwrap()).collect(), true)
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

#[test]
fn special_addresses_are_refused_however_they_are_written() {
    for text in REFUSED {
        assert!(policy(&[]).check_url(&url(text)).is_err(), "{text}");
    }
    for text in ALLOWED {
        assert_eq!(policy(&[]).check_url(&url(text)), Ok(()), "{text}");
    }
}

#[test]
fn a_user_name_in_a_url_is_refused() {
    for text in ["https://user@api.example.com/", "https://api.example.com:80@10.0.0.1/", "https://:p@api.example.com/"]
    {
        assert_eq!(policy(&["0.0.0.0/0"]).check_url(&url(text)), Err(Refused::UserInfo), "{text}");
    }
}

#[test]
fn allowed_ranges_open_what_they_name_but_metadata_only_by_its_exact_address() {
    let check = |allow: &str, address: &str| policy(&[allow]).check(address.parse().unwrap()).is_ok();
    assert!(check("10.1.2.3/32", "10.1.2.3"));
    assert!(!check("10.1.2.3/32", "10.1.2.4"));
    assert!(check("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert!(!check("169.254.0.0/16", "169.254.169.254"));
    assert!(!check("0.0.0.0/0", "::ffff:169.254.169.254"));
    assert!(!check("0.0.0.0/0", "64:ff9b::a9fe:a9fe"));
    assert!(check("169.254.169.254/32", "169.254.169.254"));
    assert!(!check("::/0", "fd00:ec2::254"));
    assert!(check("fd00:ec2::254/128", "fd00:ec2::254"));
}

proptest! {
    /// The check agrees with the standard library's own notion of the plain cases.
    #[test]
    fn no_address_known_as_special_passes(bits in any::<u32>()) {
        let v4 = std::net::Ipv4Addr::from_bits(bits);
        if v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast() || v4.is_documentation() {
            prop_assert!(policy(&[]).check(v4.into()).is_err());
            prop_assert!(policy(&[]).check(v4.to_ipv6_mapped().into()).is_err());
        }
    }
}

/// Answers with one list after the other.
struct Flipping(Vec<Vec<IpAddr>>, AtomicUsize);

#[async_trait]
impl Lookup for Flipping {
    async fn lookup(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        let number = self.1.fetch_add(1, Ordering::Relaxed);
        Ok(self.0[number.min(self.0.len() - 1)].clone())
    }
}

fn named(server: &Server, allow: &str, answers: &[&[&str]]) -> Client {
    let parse = |list: &&[&str]| list.iter().map(|address| address.parse().unwrap()).collect();
    let base_url = url(&format!("http://inside.example:{}/", server.address.port()));
    let settings =
        ClientSettings { allow_private: vec![allow.parse().unwrap()], ..ClientSettings::new(base_url, Auth::None) };
    let lookup = Flipping(answers.iter().map(parse).collect(), AtomicUsize::new(0));
    Client::with_lookup(settings, Credentials::None, Arc::new(lookup)).unwrap()
}

fn request(server: &Server) -> Request {
    let url = url(&format!("http://inside.example:{}/", server.address.port()));
    Request::new(http::Method::GET, url, Class::Read, "/")
}

#[tokio::test]
async fn every_answer_of_the_resolver_is_checked_when_it_is_used() {
    let closing = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let server = Server::start(vec![super::server::Act::Answer(closing.to_owned())]).await;
    // The second answer is loopback too, but not the address that is allowed.
    let client = named(&server, "127.0.0.1/32", &[&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.2", "127.0.0.1"]]);
    assert!(transmit(&client, &request(&server)).await.is_ok());
    let fault = transmit(&client, &request(&server)).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::Blocked, Sent::No));
    assert!(transmit(&client, &request(&server)).await.is_ok(), "the allowed one of two answers is used");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn plain_http_reaches_only_allowed_private_addresses() {
    let server = Server::start(vec![answer("200 OK", "")]).await;
    let client = named(&server, "127.0.0.1/32", &[&["1.1.1.1"]]);
    let fault = transmit(&client, &request(&server)).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Blocked);
    let settings = ClientSettings::new(url("http://1.1.1.1/"), Auth::None);
    assert!(matches!(Client::new(settings, Credentials::None), Err(SettingsError::Address(Refused::PlainHttp(_)))));
    let settings = ClientSettings::new(url("ftp://1.1.1.1/"), Auth::None);
    assert!(matches!(Client::new(settings, Credentials::None), Err(SettingsError::Scheme(_))));
}
