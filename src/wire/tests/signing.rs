//! Signed requests as they leave.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::SecretString;
use sha2::Sha256;

use crate::{
    clock::Clock,
    model::Timestamp,
    shutdown::Shutdown,
    wire::{Accounts, Auth, Class, ClientSettings, FixedSecret, Limits, NoStore, Request, SigningSecrets},
};

use super::server::{Server, answer};

fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let prefix = format!("{name}: ");
    request.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap()
}

/// Two attempts of one message: the id stays, the time moves, and each signature is of the bytes that came.
#[tokio::test]
async fn each_attempt_is_signed_over_its_bytes_and_time() {
    let key = [9_u8; 32];
    let secret = SecretString::from(format!("whsec_{}", STANDARD.encode(key)));
    let server = Server::start(vec![answer("503 Busy", ""), answer("200 OK", "")]).await;
    let signing = SigningSecrets(vec![Arc::new(FixedSecret(secret))]);
    let settings = ClientSettings { signing, ..server.settings(Auth::None) };
    let clock = Clock::following_tokio(Timestamp::from_micros(1_700_000_000_000_000));
    let accounts = Accounts::new(clock, Arc::new(NoStore), Shutdown::new());
    let provisional = accounts.provisional(settings, Limits::default(), NonZeroU32::MIN).unwrap();
    let url: url::Url = format!("http://{}/hook", server.address).parse().unwrap();
    let mut request = Request::new(http::Method::POST, url, Class::Write, "/hook").json("{\"a\": 1}");
    request.sign_as = Some("00ab".to_owned());
    provisional.account().send(request.clone()).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(2)).await;
    tokio::time::resume();
    provisional.account().send(request).await.unwrap();
    let sent = server.requests();
    let times: Vec<&str> = sent.iter().map(|request| header(request, "webhook-timestamp")).collect();
    assert!(times[0] < times[1], "{times:?}");
    for request in &sent {
        let body = request.split_once("\r\n\r\n").unwrap().1;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("00ab.{}.{body}", header(request, "webhook-timestamp")).as_bytes());
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!((header(request, "webhook-id"), header(request, "webhook-signature")), ("00ab", expected.as_str()));
    }
}
