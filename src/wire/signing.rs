//! Signatures of requests as Standard Webhooks wants them (<https://www.standardwebhooks.com>, specification 1.0): three
//! headers, made anew for each attempt over the exact bytes that leave.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use tokio::{sync::Mutex, time::Instant};
use zeroize::Zeroizing;

use super::{
    fault::{Fault, FaultKind, Sent},
    secret::SecretProvider,
};
use crate::model::Timestamp;

/// The headers, in the specification's spelling.
const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Length of a key in bytes: "between 24 bytes (192 bits) and 64 bytes (512 bits)".
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Secrets are read again after this long, so that a changed file counts soon; a command is not run for each request.
const MAX_AGE: Duration = Duration::from_secs(60);

/// The secrets that requests are signed with, the newest first. Several are several signatures, for a change of secret
/// without a gap.
#[derive(Clone, Default)]
pub struct SigningSecrets(pub Vec<Arc<dyn SecretProvider>>);

impl fmt::Debug for SigningSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningSecrets({})", self.0.len())
    }
}

/// Signs the requests of one destination.
pub(super) struct Signer {
    secrets: SigningSecrets,
    read: Mutex<Option<(Instant, Arc<[Key]>)>>,
}

/// A decoded secret.
struct Key(Zeroizing<Vec<u8>>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Signer {
    pub(super) fn new(secrets: SigningSecrets) -> Self {
        Self { secrets, read: Mutex::new(None) }
    }

    /// Sets the headers of a request with this id and body that leaves at `now`.
    ///
    /// # Errors
    /// A fault of the credentials, when a secret cannot be read or is none; a fault of the settings without secrets.
    pub(super) async fn sign(
        &self,
        headers: &mut HeaderMap,
        id: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), Fault> {
        let keys = self.keys().await?;
        if keys.is_empty() {
            return Err(Fault::new(FaultKind::Settings, Sent::No).because("there is no secret to sign with"));
        }
        let seconds = now.as_micros().div_euclid(1_000_000);
        let signatures = keys.iter().map(|key| key.sign(id, seconds, body)).collect::<Vec<_>>().join(" ");
        for (name, text) in [(ID, id.to_owned()), (TIMESTAMP, seconds.to_string()), (SIGNATURE, signatures)] {
            let value = HeaderValue::try_from(text)
                .map_err(|error| Fault::new(FaultKind::Settings, Sent::No).because(error))?;
            headers.insert(name, value);
        }
        Ok(())
    }

    /// Reads the secrets again before the next request: the last one was refused.
    pub(super) async fn forget(&self) {
        *self.read.lock().await = None;
    }

    /// Locked while reading, so that requests at once lead to one read.
    async fn keys(&self) -> Result<Arc<[Key]>, Fault> {
        let mut read = self.read.lock().await;
        if let Some((_, keys)) = read.as_ref().filter(|(at, _)| at.elapsed() < MAX_AGE) {
            return Ok(keys.clone());
        }
        let failed = || Fault::new(FaultKind::Credentials, Sent::No);
        let mut keys = Vec::with_capacity(self.secrets.0.len());
        for provider in &self.secrets.0 {
            let secret = provider.read().await.map_err(|error| failed().because(error))?;
            keys.push(Key::decode(&secret).map_err(|problem| failed().because(problem))?);
        }
        let keys: Arc<[Key]> = keys.into();
        *read = Some((Instant::now(), keys.clone()));
        Ok(keys)
    }
}

impl Key {
    /// `whsec_` and base64.
    fn decode(secret: &SecretString) -> Result<Self, &'static str> {
        let text = secret.expose_secret().trim();
        let encoded = text.strip_prefix("whsec_").ok_or("a signing secret begins with `whsec_`")?;
        let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| "after `whsec_` comes base64")?);
        if !KEY_BYTES.contains(&bytes.len()) {
            return Err("a signing secret has 24 to 64 bytes");
        }
        Ok(Self(bytes))
    }

    /// `v1,` and the base64 of HMAC-SHA256 over `ID.TIMESTAMP.BODY`.
    fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        for part in [id.as_bytes(), b".", seconds.to_string().as_bytes(), b".", body] {
            mac.update(part);
        }
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::FixedSecret;

    /// The vector that the specification's own libraries are tested with.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const EXPECTED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    async fn signed(secrets: &[&str]) -> Result<HeaderMap, Fault> {
        let provider = |text: &&str| Arc::new(FixedSecret(SecretString::from(*text))) as Arc<dyn SecretProvider>;
        let signer = Signer::new(SigningSecrets(secrets.iter().map(provider).collect()));
        let mut headers = HeaderMap::new();
        let now = Timestamp::from_micros(1_614_265_330_999_999);
        let body = br#"{"test": 2432232314}"#;
        signer.sign(&mut headers, "msg_p5jXN8AQM9LWM0D4loKWxJek", body, now).await.map(|()| headers)
    }

    #[tokio::test]
    async fn the_published_vector() {
        let headers = signed(&[SECRET]).await.unwrap();
        assert_eq!(headers["webhook-id"], "msg_p5jXN8AQM9LWM0D4loKWxJek");
        assert_eq!(headers["webhook-timestamp"], "1614265330");
        assert_eq!(headers["webhook-signature"], EXPECTED);
    }

    #[tokio::test]
    async fn each_secret_signs() {
        let other = format!("whsec_{}", STANDARD.encode([7; 32]));
        let headers = signed(&[&other, SECRET]).await.unwrap();
        let signatures: Vec<_> = headers["webhook-signature"].to_str().unwrap().split(' ').collect();
        assert_eq!((signatures.len(), signatures[1]), (2, EXPECTED));
        assert_ne!(signatures[0], EXPECTED);
    }

    #[tokio::test]
    async fn what_is_no_secret_is_refused_without_showing_it() {
        let short = format!("whsec_{}", STANDARD.encode([7; 23]));
        for secret in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_canary!", &short] {
            let fault = signed(&[secret]).await.unwrap_err();
            assert_eq!((&fault.kind, fault.sent), (&FaultKind::Credentials, Sent::No));
            assert!(!format!("{fault:?}").contains("canary"));
        }
        assert_eq!(signed(&[]).await.unwrap_err().kind, FaultKind::Settings);
    }
}
