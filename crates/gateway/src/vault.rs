//! The secret document of a user, sealed before it reaches a store or a cache (decision 29):
//! AES-256-GCM-SIV, with the user's id, the attribute and the version that wrote it as associated
//! data, so that no sealed document can stand in another's place.

use aes_gcm_siv::{
    Aes256GcmSiv, Nonce,
    aead::{Aead as _, Generate as _, KeyInit as _, Payload},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use gateway_core::{Attr, Change, Error, ErrorKind, User, UserId, Value};

/// What a sealed document begins with; a plain one begins with `{`.
const SEALED: &str = "sealed:1:";
const NONCE_BYTES: usize = 12;

/// Seals secret documents, where there is a key.
#[derive(Default)]
pub struct Vault {
    cipher: Option<Box<Aes256GcmSiv>>,
}

impl Vault {
    /// A vault with a key, or one that leaves documents as they are.
    #[must_use]
    pub fn new(key: Option<&[u8; 32]>) -> Self {
        Self { cipher: key.map(|key| Box::new(Aes256GcmSiv::new(key.into()))) }
    }

    /// Seals the secret document that changes would set, for the version that they make; a document
    /// equal to the one that is there is no change (decision 5), which only the vault can tell.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] where there is no randomness.
    pub fn seal(&self, id: UserId, before: Option<&User>, changes: &mut Vec<Change>) -> Result<(), Error> {
        let Some(cipher) = &self.cipher else { return Ok(()) };
        let version = before.map_or(1, |user| user.version.saturating_add(1));
        let stored = before.and_then(|user| user.profile.text_of_document(Attr::SecureMetadata));
        let current = stored.and_then(|stored| open(cipher, id, stored));
        let is_same = |change: &Change| match &change.value {
            Some(Value::Document(plain)) => current.as_deref() == Some(plain.as_bytes()),
            _ => false,
        };
        changes.retain(|change| change.attr != Attr::SecureMetadata || !is_same(change));
        for change in changes.iter_mut().filter(|change| change.attr == Attr::SecureMetadata) {
            if let Some(Value::Document(plain)) = &mut change.value {
                *plain = seal(cipher, id, version, plain)?.into();
            }
        }
        Ok(())
    }

    /// True where the secret document of a user is this one.
    #[must_use]
    pub fn holds(&self, user: &User, plain: &str) -> bool {
        let Some(stored) = user.profile.text_of_document(Attr::SecureMetadata) else { return false };
        match &self.cipher {
            Some(cipher) => open(cipher, user.id, stored).as_deref() == Some(plain.as_bytes()),
            None => stored == plain,
        }
    }
}

fn place(id: UserId, version: u64) -> Vec<u8> {
    [id.as_bytes().as_slice(), &[Attr::SecureMetadata.code()], &version.to_be_bytes()].concat()
}

fn seal(cipher: &Aes256GcmSiv, id: UserId, version: u64, plain: &str) -> Result<String, Error> {
    let failed = |why: String| Error::new(ErrorKind::Internal).cause("sealing").source(why);
    let nonce = Nonce::try_generate().map_err(|error| failed(error.to_string()))?;
    let secret = cipher.encrypt(&nonce, Payload { msg: plain.as_bytes(), aad: &place(id, version) });
    let secret = secret.map_err(|error| failed(error.to_string()))?;
    Ok(format!("{SEALED}{version}:{}", STANDARD.encode([&nonce[..], &secret].concat())))
}

/// The plain document; `None` where the seal does not hold. One that was stored before there was a
/// key is plain.
fn open(cipher: &Aes256GcmSiv, id: UserId, stored: &str) -> Option<Vec<u8>> {
    let Some(sealed) = stored.strip_prefix(SEALED) else { return Some(stored.as_bytes().to_vec()) };
    let (version, text) = sealed.split_once(':')?;
    let bytes = STANDARD.decode(text).ok()?;
    let (nonce, secret) = bytes.split_at_checked(NONCE_BYTES)?;
    let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
    cipher.decrypt(&nonce.into(), Payload { msg: secret, aad: &place(id, version.parse().ok()?) }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_core::Status;
    use time::macros::utc_datetime;

    const ID: [u8; 16] = [7; 16];

    fn set(plain: &str) -> Vec<Change> {
        vec![Change::set(Attr::SecureMetadata, Value::Document(plain.to_owned().into()))]
    }

    fn sealed(vault: &Vault, before: &User, plain: &str) -> Option<User> {
        let mut changes = set(plain);
        vault.seal(before.id, Some(before), &mut changes).unwrap();
        before.changed(&changes, before.updated_at)
    }

    #[test]
    fn what_is_stored_is_sealed_and_the_same_again_is_no_change() {
        let vault = Vault::new(Some(&[1; 32]));
        let user = User::new(UserId::from_bytes(ID), Status::Active, utc_datetime!(2026-01-01 0:00));
        let with = sealed(&vault, &user, r#"{"ssn":"123"}"#).unwrap();
        let stored = with.profile.text_of_document(Attr::SecureMetadata).unwrap().to_owned();
        assert!(stored.starts_with("sealed:1:2:") && !stored.contains("123"), "{stored}");
        assert_eq!(sealed(&vault, &with, r#"{"ssn":"123"}"#), None);
        assert!(sealed(&vault, &with, r#"{"ssn":"124"}"#).is_some());
        assert!(vault.holds(&with, r#"{"ssn":"123"}"#) && !vault.holds(&with, r#"{"ssn":"124"}"#));
        assert!(!vault.holds(&user, "{}"));
    }

    #[test]
    fn a_seal_holds_for_one_user_one_version_and_one_key() {
        let cipher = Aes256GcmSiv::new((&[1; 32]).into());
        let (mine, other) = (UserId::from_bytes(ID), UserId::from_bytes([8; 16]));
        let text = seal(&cipher, mine, 2, "{}").unwrap();
        assert_eq!(open(&cipher, mine, &text).as_deref(), Some(b"{}".as_slice()));
        assert_eq!(open(&cipher, other, &text), None);
        assert_eq!(open(&cipher, mine, &text.replace(":2:", ":3:")), None);
        assert_eq!(open(&Aes256GcmSiv::new((&[2; 32]).into()), mine, &text), None);
    }

    #[test]
    fn without_a_key_documents_stay_as_they_are() {
        let user = User::new(UserId::from_bytes(ID), Status::Active, utc_datetime!(2026-01-01 0:00));
        let with = sealed(&Vault::default(), &user, "{}").unwrap();
        assert_eq!(with.profile.text_of_document(Attr::SecureMetadata), Some("{}"));
        assert_eq!(sealed(&Vault::default(), &with, "{}"), None);
        assert!(Vault::default().holds(&with, "{}") && !Vault::default().holds(&with, "{ }"));
    }
}
