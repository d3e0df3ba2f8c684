//! Passwords that are kept as Argon2id hashes (RFC 9106): slow to check, so off the runtime's
//! threads, few at a time, and once in five minutes for a good one.

use std::sync::{Arc, Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Params, PasswordHash, Version};
use gateway_core::{Error, ErrorKind, Timestamp};
use subtle::ConstantTimeEq;
use time::Duration;
use tokio::{sync::Semaphore, task::spawn_blocking};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::credential::{Digested, Keyed, keyed, mac};

/// How many checks of a mount run at once: each takes a core, and memory.
const AT_ONCE: usize = 2;
/// How long a good password is remembered.
const REMEMBERED: Duration = Duration::minutes(5);
/// The most memory of a check, in KiB, and the most passes: a hash that costs more is a mistake.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
const MAX_PASSES: u32 = 64;

/// A client's password, hashed.
pub(crate) struct Hashed {
    params: Params,
    salt: Vec<u8>,
    output: Vec<u8>,
    /// The mark of the one good password, and when it was presented.
    good: Mutex<Option<(Digested, Timestamp)>>,
}

impl Hashed {
    /// Reads `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
    ///
    /// # Errors
    /// What it is not, without a word of it.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "an Argon2id hash: $argon2id$v=19$m=..,t=..,p=..$salt$hash";
        let hash = PasswordHash::new(text).map_err(|_malformed| FORM)?;
        let params = Params::try_from(&hash).map_err(|_malformed| FORM)?;
        let (Some(salt), Some(output)) = (&hash.salt, &hash.hash) else { return Err(FORM) };
        if hash.algorithm != argon2::ARGON2ID_IDENT || hash.version != Some(Version::V0x13.into()) {
            return Err(FORM);
        }
        if output.len() < 16 || salt.len() < argon2::MIN_SALT_LEN {
            return Err("a hash of at least 16 bytes, with a salt of at least 8");
        }
        if params.m_cost() > MAX_MEMORY_KIB || params.t_cost() > MAX_PASSES {
            return Err("a hash of at most 256 MiB (m=262144) and 64 passes");
        }
        Ok(Self { params, salt: salt.to_vec(), output: output.as_bytes().to_vec(), good: Mutex::new(None) })
    }

    /// One that nobody has the password of, as costly as this one.
    fn dummy(&self) -> Self {
        Self {
            params: self.params.clone(),
            salt: random()[..16].to_vec(),
            output: random().to_vec(),
            good: Mutex::new(None),
        }
    }

    fn cost(&self) -> u64 {
        u64::from(self.params.m_cost()) * u64::from(self.params.t_cost())
    }

    fn is_hash_of(&self, password: &[u8]) -> bool {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone());
        let mut output = Zeroizing::new(vec![0; self.output.len()]);
        let hashed = argon2.hash_password_into(password, &self.salt, &mut output);
        hashed.is_ok() && output.ct_eq(&self.output).into()
    }

    /// True where the good password was presented a while ago, and this is it again.
    pub(crate) fn remembers(&self, mark: &Digested, now: Timestamp) -> bool {
        let good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        good.is_some_and(|(good, at)| {
            let is_fresh = at <= now && now - at < REMEMBERED;
            is_fresh & bool::from(good.ct_eq(mark))
        })
    }

    fn remember(&self, mark: Digested, now: Timestamp) {
        *self.good.lock().unwrap_or_else(PoisonError::into_inner) = Some((mark, now));
    }
}

/// Checks the hashed passwords of a mount.
pub(crate) struct Checks {
    permits: Arc<Semaphore>,
    marks: Keyed,
    dummy: Arc<Hashed>,
}

impl Checks {
    /// For a mount with such clients.
    pub(crate) fn of<'h>(hashes: impl Iterator<Item = &'h Arc<Hashed>>) -> Option<Self> {
        let costliest = hashes.max_by_key(|hashed| hashed.cost())?;
        Some(Self {
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            marks: keyed(&random()),
            dummy: Arc::new(costliest.dummy()),
        })
    }

    /// Stands in for an unknown user.
    pub(crate) const fn dummy(&self) -> &Arc<Hashed> {
        &self.dummy
    }

    /// What a credential is remembered by: nobody can compute it outside of this process.
    pub(crate) fn mark(&self, credential: &[u8]) -> Digested {
        mac(&self.marks, &[credential])
    }

    /// True where this is the password.
    ///
    /// # Errors
    /// [`Internal`](ErrorKind::Internal) where the check could not be made.
    pub(crate) async fn check(
        &self,
        hashed: &Arc<Hashed>,
        password: Zeroizing<Vec<u8>>,
        mark: Digested,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let failed = || Error::new(ErrorKind::Internal).cause("password_check");
        let permits = Arc::clone(&self.permits);
        let permit = permits.acquire_owned().await.map_err(|_closed| failed())?;
        // Others with the same password may have been waited for.
        if hashed.remembers(&mark, now) {
            return Ok(true);
        }
        let hashed = Arc::clone(hashed);
        let check = spawn_blocking(move || {
            // Held by the work, not by the one who waits for it and may go away.
            let _permit = permit;
            let is_good = hashed.is_hash_of(&password);
            if is_good {
                hashed.remember(mark, now);
            }
            is_good
        });
        check.await.map_err(|error| failed().source(error))
    }
}

/// 244 random bits in 32 bytes.
fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    bytes[16..].copy_from_slice(Uuid::new_v4().as_bytes());
    bytes
}
