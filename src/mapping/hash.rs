//! Hashes of field values, with and without a key.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::text::hex;
use crate::model::spec::HashEncoding;

/// Bytes of a block of SHA-256 (FIPS 180-4, section 1).
const BLOCK: usize = 64;

/// The keys of the fields that are hashed with one, by field name.
#[derive(Debug, Clone, Default)]
pub struct HashKeys {
    keys: BTreeMap<String, HashKey>,
}

/// A key of HMAC-SHA-256, and an identifier that tells it from other keys without revealing it.
#[derive(Clone)]
pub struct HashKey {
    mac: Hmac<Sha256>,
    id: String,
}

impl HashKey {
    /// A key. `id` must be a keyed hash of it: it stands in the text of the mapping.
    pub fn new(secret: &SecretString, id: String) -> Self {
        // A key longer than a block is hashed first, a shorter one filled up with zeros (RFC 2104, section 2).
        let secret = secret.expose_secret().as_bytes();
        let mut block = Zeroizing::new([0_u8; BLOCK]);
        if secret.len() > BLOCK {
            block.iter_mut().zip(Sha256::digest(secret)).for_each(|(byte, key)| *byte = key);
        } else {
            block.iter_mut().zip(secret).for_each(|(byte, key)| *byte = *key);
        }
        let mac = Hmac::new(&(*block).into());
        Self { mac, id }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HashKey").field(&self.id).finish()
    }
}

impl HashKeys {
    /// Sets the key of a field.
    pub fn insert(&mut self, field: &str, key: HashKey) {
        self.keys.insert(field.to_owned(), key);
    }

    pub(super) fn get(&self, field: &str) -> Option<&HashKey> {
        self.keys.get(field)
    }

    pub(super) fn with_id(&self, id: &str) -> Option<&HashKey> {
        self.keys.values().find(|key| key.id == id)
    }
}

/// A hash function with its key, and how the hash is written.
#[derive(Debug, Clone)]
pub(super) struct BoundHash {
    /// `None`: SHA-256; else HMAC-SHA-256.
    pub(super) key: Option<HashKey>,
    pub(super) encoding: HashEncoding,
}

impl BoundHash {
    pub(super) fn of(&self, text: &str) -> String {
        let hash: [u8; 32] = match &self.key {
            None => Sha256::digest(text.as_bytes()).into(),
            Some(key) => key.mac.clone().chain_update(text.as_bytes()).finalize().into_bytes().into(),
        };
        match self.encoding {
            HashEncoding::Hex => hex(&hash),
            HashEncoding::Base64 => BASE64_STANDARD.encode(hash),
        }
    }
}
