//! The seal on every record: no bytes are believed that were not sealed here, for this place.
//!
//! The store, the keyspace and the key are associated data, so a record that is whole but stands
//! where another belongs fails its seal too. Without an encryption key the seal is a keyed checksum
//! (its key lies beside the data: it finds faults of disks, not of enemies); with one it is an AEAD.

use std::borrow::Cow;

use aes_gcm_siv::{
    Aes256GcmSiv, Nonce,
    aead::{Aead as _, Generate as _, KeyInit as _, Payload},
};
use gateway_core::StoreError;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

const CHECKSUM: u8 = 1;
const ENCRYPTED: u8 = 2;
const MAC_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;

/// Seals records, and opens them.
pub(crate) struct Sealer {
    store: [u8; 16],
    mode: Mode,
    /// For [`Sealer::digest`].
    texts: Hmac<Sha256>,
}

enum Mode {
    Checksum(Hmac<Sha256>),
    Encrypted(Box<Aes256GcmSiv>),
}

impl Sealer {
    pub(crate) fn new(store: [u8; 16], checksum_key: &[u8; 32], encryption_key: Option<&[u8; 32]>) -> Self {
        let mode = match encryption_key {
            Some(key) => Mode::Encrypted(Box::new(Aes256GcmSiv::new(key.into()))),
            None => Mode::Checksum(keyed(checksum_key)),
        };
        let mut derived = keyed(encryption_key.unwrap_or(checksum_key));
        derived.update(b"texts in the keys of rows");
        Self { store, mode, texts: keyed(&derived.finalize().into_bytes().into()) }
    }

    /// Stands for a text in the key of a row, which no seal hides: it can be looked up, and not be read.
    pub(crate) fn digest(&self, text: &str) -> [u8; 16] {
        let mut mac = self.texts.clone();
        mac.update(&self.store);
        mac.update(text.as_bytes());
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        std::array::from_fn(|at| digest[at])
    }

    /// Seals what is to stand under a key of a keyspace.
    pub(crate) fn seal(&self, space: &str, key: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        match &self.mode {
            Mode::Checksum(mac) => {
                let tag = self.mac(mac, space, key, plain).finalize().into_bytes();
                let mut sealed = Vec::with_capacity(1 + MAC_BYTES + plain.len());
                sealed.push(CHECKSUM);
                sealed.extend_from_slice(&tag[..MAC_BYTES]);
                sealed.extend_from_slice(plain);
                Ok(sealed)
            }
            Mode::Encrypted(cipher) => {
                let nonce = Nonce::try_generate().map_err(|error| StoreError::Engine(Box::new(error)))?;
                let aad = self.place(space, key);
                let secret = cipher
                    .encrypt(&nonce, Payload { msg: plain, aad: &aad })
                    .map_err(|error| StoreError::Engine(error.to_string().into()))?;
                let mut sealed = Vec::with_capacity(1 + NONCE_BYTES + secret.len());
                sealed.push(ENCRYPTED);
                sealed.extend_from_slice(&nonce);
                sealed.extend_from_slice(&secret);
                Ok(sealed)
            }
        }
    }

    /// What was sealed under this very key of this very keyspace of this very store; `None` where
    /// the seal does not hold.
    pub(crate) fn open<'a>(&self, space: &str, key: &[u8], sealed: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let (&form, rest) = sealed.split_first()?;
        match &self.mode {
            Mode::Checksum(mac) if form == CHECKSUM => {
                let (tag, plain) = rest.split_at_checked(MAC_BYTES)?;
                self.mac(mac, space, key, plain).verify_truncated_left(tag).ok()?;
                Some(Cow::Borrowed(plain))
            }
            Mode::Encrypted(cipher) if form == ENCRYPTED => {
                let (nonce, secret) = rest.split_at_checked(NONCE_BYTES)?;
                let aad = self.place(space, key);
                let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
                cipher.decrypt(&nonce.into(), Payload { msg: secret, aad: &aad }).ok().map(Cow::Owned)
            }
            Mode::Checksum(_) | Mode::Encrypted(_) => None,
        }
    }

    fn mac(&self, keyed: &Hmac<Sha256>, space: &str, key: &[u8], plain: &[u8]) -> Hmac<Sha256> {
        let mut mac = keyed.clone();
        for part in [&self.store, space.as_bytes(), &[0], &(key.len() as u64).to_be_bytes(), key, plain] {
            mac.update(part);
        }
        mac
    }

    /// Names no two places alike: a keyspace's name holds no zero byte, and the length of the key
    /// keeps it apart from what follows.
    fn place(&self, space: &str, key: &[u8]) -> Vec<u8> {
        let mut place = Vec::with_capacity(16 + space.len() + 1 + 8 + key.len());
        place.extend_from_slice(&self.store);
        place.extend_from_slice(space.as_bytes());
        place.push(0);
        place.extend_from_slice(&(key.len() as u64).to_be_bytes());
        place.extend_from_slice(key);
        place
    }
}

/// A key is one block of the hash, and a shorter one is filled up with zeros.
fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    Hmac::new(&block.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both() -> [Sealer; 2] {
        [Sealer::new([1; 16], &[2; 32], None), Sealer::new([1; 16], &[2; 32], Some(&[3; 32]))]
    }

    #[test]
    fn a_sealed_record_opens_where_it_was_sealed_and_nowhere_else() {
        for sealer in both() {
            let sealed = sealer.seal("users", b"key", b"value").unwrap();
            assert_eq!(sealer.open("users", b"key", &sealed).as_deref(), Some(b"value".as_slice()));
            assert_eq!(sealer.open("keys", b"key", &sealed), None);
            assert_eq!(sealer.open("users", b"kez", &sealed), None);
            assert_eq!(sealer.open("users", b"ke", &sealed), None);
        }
        let other = Sealer::new([9; 16], &[2; 32], None);
        assert_eq!(other.open("users", b"key", &both()[0].seal("users", b"key", b"v").unwrap()), None);
    }

    #[test]
    fn no_flipped_bit_and_no_truncation_opens() {
        for sealer in both() {
            let sealed = sealer.seal("users", b"key", b"value").unwrap();
            for bit in 0..sealed.len() * 8 {
                let mut flipped = sealed.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(sealer.open("users", b"key", &flipped), None, "bit {bit}");
            }
            for length in 0..sealed.len() {
                assert_eq!(sealer.open("users", b"key", &sealed[..length]), None, "length {length}");
            }
        }
    }

    #[test]
    fn an_encrypted_record_does_not_show_its_text() {
        let [plain, encrypted] = both();
        let shows = |sealed: Vec<u8>| sealed.windows(5).any(|window| window == b"value");
        assert!(shows(plain.seal("users", b"key", b"value").unwrap()));
        assert!(!shows(encrypted.seal("users", b"key", b"value").unwrap()));
    }

    #[test]
    fn a_digest_is_that_of_a_text_in_a_store_under_a_key() {
        let [plain, encrypted] = both();
        let others = [Sealer::new([9; 16], &[2; 32], None), Sealer::new([1; 16], &[2; 32], Some(&[4; 32]))];
        let mut digests: Vec<_> = [&plain, &encrypted].iter().map(|sealer| sealer.digest("jane")).collect();
        assert_eq!(digests[0], both()[0].digest("jane"));
        digests.extend(others.iter().map(|sealer| sealer.digest("jane")));
        digests.extend([plain.digest("janet"), plain.digest("")]);
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), 6);
    }

    #[test]
    fn one_mode_does_not_open_the_other() {
        let [plain, encrypted] = both();
        assert_eq!(plain.open("users", b"k", &encrypted.seal("users", b"k", b"v").unwrap()), None);
        assert_eq!(encrypted.open("users", b"k", &plain.seal("users", b"k", b"v").unwrap()), None);
    }
}
