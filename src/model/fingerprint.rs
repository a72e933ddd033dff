//! Keyed hashes of canonical forms.

use std::{fmt, hash::Hasher as _};

use siphasher::sip128::{Hasher128 as _, SipHasher24};

/// A keyed 128-bit hash of a record's canonical form. Says nothing about the record without the installation key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// From stored bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Takes fingerprints (SipHash-2-4-128) under a key of one sync, so that equal records of two syncs do not look equal.
#[derive(Clone)]
pub struct Fingerprinter {
    hasher: SipHasher24,
}

impl Fingerprinter {
    /// A fingerprinter under a 128-bit key.
    pub fn new(key: &[u8; 16]) -> Self {
        Self { hasher: SipHasher24::new_with_key(key) }
    }

    /// The fingerprint of canonical bytes.
    pub fn of(&self, canonical: &[u8]) -> Fingerprint {
        let mut hasher = self.hasher;
        hasher.write(canonical);
        Fingerprint(hasher.finish128().as_bytes())
    }

    /// A keyed 64-bit hash, for the owner index.
    pub fn short(&self, bytes: &[u8]) -> u64 {
        let mut hasher = self.hasher;
        hasher.write(bytes);
        hasher.finish128().h1
    }
}

impl fmt::Debug for Fingerprinter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprinter(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_vector_and_key_separation() {
        let key: [u8; 16] = std::array::from_fn(|i| i as u8);
        // The published SipHash-2-4-128 test vector for the empty input.
        let empty = Fingerprinter::new(&key).of(b"");
        assert_eq!(format!("{empty:?}"), "a3817f04ba25a8e66df67214c7550293");
        assert_ne!(Fingerprinter::new(&[1; 16]).of(b"x"), Fingerprinter::new(&[2; 16]).of(b"x"));
    }
}
