//! Queues by key: those who want the same thing take turns instead of colliding.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::OwnedMutexGuard;

/// One queue for each key that is wanted right now; keys that nobody wants take no space.
pub struct Queues<K> {
    waiting: Mutex<HashMap<K, Queue>>,
}

struct Queue {
    tag: [u8; 32],
    present: usize,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// Why there was no turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The queue is for another tag.
    OtherTag,
    /// The turn did not come in time.
    TimedOut,
}

/// A turn; ends when dropped.
pub struct Turn<'q, K: Eq + Hash + Copy> {
    place: Place<'q, K>,
    /// `None` only while waiting.
    guard: Option<OwnedMutexGuard<()>>,
    /// Others had their turns meanwhile.
    pub waited: bool,
}

struct Place<'q, K: Eq + Hash + Copy> {
    queues: &'q Queues<K>,
    key: K,
}

impl<K> Default for Queues<K> {
    fn default() -> Self {
        Self { waiting: Mutex::new(HashMap::new()) }
    }
}

impl<K: Eq + Hash + Copy> Queues<K> {
    /// Waits for a turn, in order of arrival. All in a queue at one time share a tag.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn enter(&self, key: K, tag: [u8; 32], limit: Duration) -> Result<Turn<'_, K>, Refused> {
        let turn = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let queue = match waiting.entry(key) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(Queue { tag, present: 0, turn: Arc::default() }),
            };
            if queue.tag != tag {
                return Err(Refused::OtherTag);
            }
            queue.present += 1;
            Arc::clone(&queue.turn)
        };
        // From here on the place is given up by drop, however this future ends.
        let mut entered = Turn { place: Place { queues: self, key }, guard: None, waited: false };
        let guard = match Arc::clone(&turn).try_lock_owned() {
            Ok(guard) => guard,
            Err(_taken) => {
                entered.waited = true;
                tokio::time::timeout(limit, turn.lock_owned()).await.or(Err(Refused::TimedOut))?
            }
        };
        entered.guard = Some(guard);
        Ok(entered)
    }
}

impl<K: Eq + Hash + Copy> Drop for Turn<'_, K> {
    fn drop(&mut self) {
        // The turn passes on before the place is given up.
        self.guard = None;
        let Place { queues, key } = &self.place;
        let mut waiting = queues.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = waiting.entry(*key) {
            entry.get_mut().present -= 1;
            if entry.get().present == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn turns_are_taken_one_at_a_time() {
        let queues = Arc::new(Queues::<u8>::default());
        let inside = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let visits = (0..50).map(|_| {
            let (queues, inside) = (Arc::clone(&queues), Arc::clone(&inside));
            tokio::spawn(async move {
                let _turn = queues.enter(1, [0; 32], LONG).await.unwrap();
                assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
            })
        });
        for visit in visits.collect::<Vec<_>>() {
            visit.await.unwrap();
        }
        assert!(queues.waiting.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn another_tag_and_a_late_turn_are_refused() {
        let queues = Queues::<u8>::default();
        let turn = queues.enter(1, [1; 32], LONG).await.unwrap();
        assert_eq!(queues.enter(1, [2; 32], LONG).await.err(), Some(Refused::OtherTag));
        assert_eq!(queues.enter(1, [1; 32], Duration::from_millis(5)).await.err(), Some(Refused::TimedOut));
        assert!(queues.enter(2, [2; 32], LONG).await.is_ok());
        drop(turn);
        assert!(queues.enter(1, [2; 32], LONG).await.is_ok());
        assert!(queues.waiting.lock().unwrap().is_empty());
    }
}
