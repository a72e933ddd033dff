//! The installation key: what is derived from it, and sealing.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use hkdf::Hkdf;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::StateError;
use crate::model::Fingerprinter;

const SEAL_VERSION: u8 = 1;
const NONCE: usize = 24;
/// Shortest key text: 128 bits in hexadecimal.
const SHORTEST: usize = 32;

/// Derives keys from the installation key, and seals with it.
pub(super) struct Keyring {
    root: Hkdf<Sha256>,
    cipher: XChaCha20Poly1305,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyring(..)")
    }
}

impl Keyring {
    pub(super) fn new(key: &SecretString) -> Result<Self, StateError> {
        let root = Hkdf::<Sha256>::new(None, key.expose_secret().trim().as_bytes());
        let mut sealing = Zeroizing::new([0_u8; 32]);
        expand(&root, &[b"seal v1"], sealing.as_mut_slice())?;
        Ok(Self { cipher: XChaCha20Poly1305::new((&*sealing).into()), root })
    }

    /// Tells a wrong key from the right one without revealing either.
    pub(super) fn check(&self) -> Result<Vec<u8>, StateError> {
        let mut check = vec![0; 16];
        expand(&self.root, &[b"key check v1"], &mut check)?;
        Ok(check)
    }

    /// A keyed hasher for one purpose, and one sync if any.
    pub(super) fn hasher(&self, sync: &[u8], label: &[u8]) -> Fingerprinter {
        let mut key = [0; 16];
        // 16 bytes are far below the limit of HKDF-SHA256 (8,160), the only error there is.
        expand(&self.root, &[sync, label], &mut key).unwrap_or(());
        Fingerprinter::new(&key)
    }

    pub(super) fn seal(&self, context: &str, plain: &[u8]) -> Result<Box<[u8]>, StateError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| StateError::Contract("the system gives no randomness".to_owned()))?;
        let payload = Payload { msg: plain, aad: context.as_bytes() };
        let body = self.cipher.encrypt(&XNonce::from(nonce), payload);
        let body = body.map_err(|_| StateError::Contract("a value is too large to seal".to_owned()))?;
        Ok([&[SEAL_VERSION][..], &nonce, &body].concat().into_boxed_slice())
    }

    pub(super) fn unseal(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, StateError> {
        let damaged = || StateError::damaged("a sealed value does not open with the installation key");
        let (&version, rest) = sealed.split_first().ok_or_else(damaged)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE>().ok_or_else(damaged)?;
        if version != SEAL_VERSION {
            return Err(damaged());
        }
        let payload = Payload { msg: body, aad: context.as_bytes() };
        self.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| damaged())
    }
}

fn expand(root: &Hkdf<Sha256>, info: &[&[u8]], out: &mut [u8]) -> Result<(), StateError> {
    root.expand_multi_info(info, out).map_err(|_| StateError::Contract("a derived key is too long".to_owned()))
}

/// The key file beside a state file.
pub(super) fn key_path(state: &Path) -> PathBuf {
    super::open::beside(state, ".key")
}

/// The given key, else that of the file; `make`: a new state may make the file.
pub(super) fn load(given: Option<&SecretString>, state: &Path, make: bool) -> Result<SecretString, StateError> {
    let path = key_path(state);
    let key = match given {
        Some(key) => key.clone(),
        None if make && !path.exists() => make_key_file(&path)?,
        None => read(&path)?,
    };
    if key.expose_secret().trim().len() < SHORTEST {
        return Err(StateError::Key { path, reason: format!("it is shorter than {SHORTEST} characters") });
    }
    Ok(key)
}

fn read(path: &Path) -> Result<SecretString, StateError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| StateError::Key { path: path.to_owned(), reason: error.kind().to_string() })?;
    Ok(SecretString::from(text))
}

/// Makes a file with a new installation key that only its owner can read, and gives the key.
///
/// # Errors
/// When the file is there already or cannot be written, or the system gives no randomness.
pub fn make_key_file(path: &Path) -> Result<SecretString, StateError> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    getrandom::fill(bytes.as_mut_slice())
        .map_err(|error| StateError::Key { path: path.to_owned(), reason: error.to_string() })?;
    let text = Zeroizing::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let mut file = super::open::create_private(path).map_err(StateError::io("make the key file", path))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(StateError::io("write the key file", path))?;
    Ok(SecretString::from(text.to_string()))
}
