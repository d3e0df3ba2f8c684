//! Everything in the engine as it was at one moment, to be copied as it is stored.

use fjall::{Keyspace, Readable as _};
use gateway_core::StoreError;

use super::{Engine, Place, SEQ, Stamp, fault, view};
use crate::{lock, marker::Marker};

/// The engine at a moment. Keyspaces that are dropped later stay readable in here.
pub(crate) struct Frozen<'a> {
    engine: &'a Engine,
    pub(crate) marker: Marker,
    snapshot: fjall::Snapshot,
    keyspaces: Vec<(Place, Keyspace)>,
}

impl Engine {
    /// Holds up commits for as long as it takes to look.
    pub(crate) fn freeze(&self) -> Frozen<'_> {
        let inventory = lock(&self.inventory);
        let keyspaces = self.places().into_iter().filter_map(|place| Some((place, self.keyspace(place)?)));
        Frozen {
            engine: self,
            marker: inventory.clone(),
            keyspaces: keyspaces.collect(),
            snapshot: self.db.snapshot(),
        }
    }
}

impl Frozen<'_> {
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        self.keyspaces.iter().map(|(place, _)| *place)
    }

    /// The last batch; 0 before the first.
    pub(crate) fn seq(&self) -> Result<u64, StoreError> {
        let Some(sealed) = self.snapshot.get(&self.engine.meta, SEQ).map_err(fault)? else {
            return Ok(0);
        };
        let damaged = || StoreError::Damaged("batch number");
        let plain = self.engine.sealer.open(&Place::Meta.name(), SEQ, &sealed).ok_or_else(damaged)?;
        Stamp::decode(&plain).map(|stamp| stamp.seq).ok_or_else(damaged)
    }

    /// The records of a keyspace in the order of their keys, sealed as they are. A damaged one is an error:
    /// it would be found when it is too late.
    pub(crate) fn each<E: From<StoreError>>(
        &self,
        place: Place,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for (_, keyspace) in self.keyspaces.iter().filter(|(own, _)| *own == place) {
            for item in self.snapshot.iter(keyspace) {
                let (key, sealed) = item.into_inner().map_err(fault)?;
                if self.engine.sealer.open(&place.name(), &key, &sealed).is_none() {
                    return Err(view::damaged(place).into());
                }
                each(&key, &sealed)?;
            }
        }
        Ok(())
    }
}
