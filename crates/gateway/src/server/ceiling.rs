//! How many connections are open at once: in all, and from one peer.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::figures::{Figures, Full};

/// The places of a listener.
pub(super) struct Ceiling {
    all: u32,
    free: Arc<Semaphore>,
    per_peer: usize,
    peers: Mutex<HashMap<IpAddr, usize>>,
    figures: Arc<Figures>,
}

/// A connection's place, free again when dropped.
pub(super) struct Place {
    ceiling: Arc<Ceiling>,
    peer: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Ceiling {
    pub(super) fn new(all: usize, per_peer: usize, figures: Arc<Figures>) -> Arc<Self> {
        let all = u32::try_from(all.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let free = Arc::new(Semaphore::new(all as usize));
        Arc::new(Self { all, free, per_peer, peers: Mutex::default(), figures })
    }

    /// A place for one more connection of a peer.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Place, Full> {
        let permit = Arc::clone(&self.free).try_acquire_owned().map_err(|_none_left| Full::All)?;
        let peer = peer(address);
        let mut peers = self.peers();
        let open = peers.entry(peer).or_default();
        if *open >= self.per_peer {
            return Err(Full::Peer);
        }
        *open += 1;
        self.figures.open.inc();
        Ok(Place { ceiling: Arc::clone(self), peer, _permit: permit })
    }

    /// Waits until every place is free.
    pub(super) async fn emptied(&self) {
        // An error would mean that the semaphore was closed, which nobody does.
        drop(self.free.acquire_many(self.all).await);
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.ceiling.figures.open.dec();
        let mut peers = self.ceiling.peers();
        if let Some(open) = peers.get_mut(&self.peer) {
            *open -= 1;
            if *open == 0 {
                peers.remove(&self.peer);
            }
        }
    }
}

/// Who counts as one: an IPv4 address, or the network that one IPv6 customer has.
fn peer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ceiling(all: usize, per_peer: usize) -> Arc<Ceiling> {
        Ceiling::new(all, per_peer, Arc::new(Figures::new().unwrap()))
    }

    #[test]
    fn places_are_counted_in_all_and_by_peer() {
        let ceiling = ceiling(3, 2);
        let enter = |address: &str| ceiling.enter(address.parse().unwrap());
        let first = enter("10.0.0.1").ok();
        let _second = enter("::ffff:10.0.0.1").ok();
        assert_eq!(enter("10.0.0.1").err(), Some(Full::Peer));
        let _third = enter("2001:db8::1").ok();
        assert_eq!(enter("10.0.0.2").err(), Some(Full::All));
        assert_eq!(ceiling.figures.open.get(), 3);
        drop(first);
        assert!(enter("10.0.0.1").is_ok());
        assert_eq!(ceiling.figures.open.get(), 2);
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer_and_nobody_is_kept() {
        let ceiling = ceiling(9, 1);
        let place = ceiling.enter("2001:db8::1".parse().unwrap());
        assert_eq!(ceiling.enter("2001:db8::2:1".parse().unwrap()).err(), Some(Full::Peer));
        assert!(ceiling.enter("2001:db8:0:1::1".parse().unwrap()).is_ok());
        drop(place);
        assert!(ceiling.peers().is_empty());
    }
}
