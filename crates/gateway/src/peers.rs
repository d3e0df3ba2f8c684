//! How often each peer has failed to prove who it is, in bounded memory.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use gateway_core::{Error, ErrorKind};

use crate::{config::RateLimit, forwarded::wide};

/// The most peers in a generation; there are two, of some 4 MiB each.
const GENERATION: usize = 65_536;
/// The part of an IPv6 address that one customer has: the rest is his to choose.
const V6_SITE: u128 = u128::MAX << 64;

/// A limiter of failed authentications. A rate limiter's library would count what it is asked about;
/// here asking (each request) and counting (each failure) are two things.
pub struct FailedAuth {
    limit: RateLimit,
    begun: Instant,
    /// False until the first failure: whoever has no failures waits for no lock.
    any: AtomicBool,
    seen: Mutex<Generations>,
}

/// By peer, when all its failures will be forgotten (GCRA's theoretical arrival time). When the young
/// generation is full, the old one is dropped.
#[derive(Default)]
struct Generations {
    young: HashMap<u128, Duration>,
    old: HashMap<u128, Duration>,
}

impl FailedAuth {
    /// Nobody has failed yet.
    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        Self { limit, begun: Instant::now(), any: AtomicBool::new(false), seen: Mutex::default() }
    }

    /// The limit that it keeps.
    #[must_use]
    pub const fn limit(&self) -> RateLimit {
        self.limit
    }

    /// Refuses a peer that has failed too often of late.
    ///
    /// # Errors
    /// [`ErrorKind::RateLimited`], with the whole seconds to wait.
    pub fn check(&self, peer: IpAddr) -> Result<(), Error> {
        let wait = self.wait(peer, self.begun.elapsed());
        if wait.is_zero() {
            return Ok(());
        }
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        Err(Error::new(ErrorKind::RateLimited).retry_after(seconds).cause("failed_auth"))
    }

    /// Counts a failure.
    pub fn failed(&self, peer: IpAddr) {
        self.note(peer, self.begun.elapsed());
    }

    fn wait(&self, peer: IpAddr, now: Duration) -> Duration {
        if !self.any.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let free = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(key(peer));
        let spare = self.interval() * (self.limit.burst.get() - 1);
        free.unwrap_or_default().saturating_sub(now).saturating_sub(spare)
    }

    fn note(&self, peer: IpAddr, now: Duration) {
        let (key, interval) = (key(peer), self.interval());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let free = seen.get(key).unwrap_or_default().max(now).saturating_add(interval);
        seen.set(key, free);
        self.any.store(true, Ordering::Relaxed);
    }

    fn interval(&self) -> Duration {
        self.limit.per / self.limit.requests.get()
    }
}

impl Generations {
    fn get(&self, key: u128) -> Option<Duration> {
        self.young.get(&key).or_else(|| self.old.get(&key)).copied()
    }

    fn set(&mut self, key: u128, free: Duration) {
        if self.young.len() >= GENERATION && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, free);
    }
}

fn key(peer: IpAddr) -> u128 {
    match peer.to_canonical() {
        IpAddr::V4(_) => wide(peer),
        IpAddr::V6(address) => address.to_bits() & V6_SITE,
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv6Addr, num::NonZeroU32};

    use super::*;

    fn limiter(requests: u32, per_s: u64, burst: u32) -> FailedAuth {
        let number = |number| NonZeroU32::new(number).unwrap();
        let per = Duration::from_secs(per_s);
        FailedAuth::new(RateLimit { requests: number(requests), per, burst: number(burst) })
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_peer_waits_after_its_burst_and_others_do_not() {
        let limiter = limiter(6, 60, 3);
        let (peer, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for _ in 0..3 {
            assert_eq!(limiter.wait(peer, at(5)), Duration::ZERO);
            limiter.note(peer, at(5));
        }
        assert_eq!(limiter.wait(peer, at(5)), at(10));
        assert_eq!(limiter.wait(peer, at(12)), at(3));
        assert_eq!(limiter.wait(other, at(5)), Duration::ZERO);
        assert_eq!(limiter.wait("::ffff:192.0.2.1".parse().unwrap(), at(5)), at(10));
        // One more try for each ten seconds.
        assert_eq!(limiter.wait(peer, at(15)), Duration::ZERO);
        limiter.note(peer, at(15));
        assert_eq!(limiter.wait(peer, at(15)), at(10));
        assert_eq!(limiter.wait(peer, at(60)), Duration::ZERO);
    }

    #[test]
    fn an_error_says_the_whole_seconds() {
        let limiter = limiter(1, 60, 1);
        let peer = "2001:db8::1".parse().unwrap();
        limiter.check(peer).unwrap();
        limiter.failed(peer);
        let refused = limiter.check("2001:db8::2".parse().unwrap()).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::RateLimited);
        assert!(refused.retry_after_s.is_some_and(|seconds| (1..=60).contains(&seconds)));
        limiter.check("2001:db8:0:1::1".parse().unwrap()).unwrap();
    }

    #[test]
    fn a_million_peers_take_bounded_memory() {
        let limiter = limiter(1, 60, 1);
        for n in 0..1_000_000u128 {
            limiter.note(IpAddr::V6(Ipv6Addr::from_bits((n + 1) << 64)), at(0));
        }
        let seen = limiter.seen.lock().unwrap();
        assert!(seen.young.len() <= GENERATION && seen.old.len() <= GENERATION);
        assert!(seen.get(1_000_000 << 64).is_some());
    }
}
