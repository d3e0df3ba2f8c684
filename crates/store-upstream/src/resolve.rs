//! What came of a request whose answer was lost, or of one that another gateway left behind.

use std::time::Duration;

use gateway_core::{LedgerKey, LedgerRecord, StoreError, Timestamp, UserId, UserStore};
use http::{HeaderValue, header};
use tokio::time::Instant;

use crate::{
    UpstreamStore,
    call::Request,
    commit::Verdict,
    intent::{self, Kind, MOST_ATTEMPTS},
    vocabulary::Meaning,
};

/// How long it is tried to find out.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));
/// No service carries a request out so long after it was sent.
const OVER: time::Duration = time::Duration::minutes(2);

/// What stands under a ledger key.
pub(crate) enum Look {
    /// A record.
    Taken(LedgerRecord),
    /// Nothing; the next attempt would be this one.
    Free(u32),
    /// An attempt of which it is not known what came of it.
    Open(u32, LedgerRecord),
}

/// What was found out.
pub(crate) enum Found {
    /// It is done, and stands under this tag now.
    Done(Option<HeaderValue>),
    /// It is not done, and will not be.
    Not(Meaning),
    /// Nothing was found out.
    Unknown,
}

impl<L: UserStore> UpstreamStore<L> {
    /// Looks at a key.
    pub(crate) async fn look(&self, key: LedgerKey, now: Timestamp) -> Result<Look, StoreError> {
        let first = intent::place("intent", key, 0);
        let (record, intent) = tokio::join!(self.ledger.ledger(key, now), self.ledger.ledger(first, now));
        if let Some(record) = record? {
            return Ok(Look::Taken(record));
        }
        let mut intent = intent?;
        for attempt in 0..MOST_ATTEMPTS {
            let Some(open) = intent else { return Ok(Look::Free(attempt)) };
            let end = intent::place("end", key, attempt);
            if self.ledger.ledger(end, now).await?.is_none() {
                // It may have been settled since the first look.
                let record = self.ledger.ledger(key, now).await?;
                return Ok(record.map_or(Look::Open(attempt, open), Look::Taken));
            }
            intent = self.ledger.ledger(intent::place("intent", key, attempt + 1), now).await?;
        }
        Err(StoreError::Unavailable("upstream_attempts"))
    }

    /// Looks at a key under which no attempt is kept.
    pub(crate) async fn bare(&self, key: LedgerKey, now: Timestamp) -> Result<Look, StoreError> {
        Ok(self.ledger.ledger(key, now).await?.map_or(Look::Free(0), Look::Taken))
    }

    /// Looks at a key, and settles what is open. The caller has the key's turn.
    pub(crate) async fn settled(&self, key: LedgerKey, now: Timestamp) -> Result<Look, StoreError> {
        let (attempt, record) = match self.look(key, now).await? {
            Look::Open(attempt, record) => (attempt, record),
            look => return Ok(look),
        };
        let place = intent::place("intent", key, attempt);
        let found = match &record.answer {
            // The user is gone, and what was to be done with it.
            None => Found::Not(Meaning::Absent),
            Some(sealed) => match self.sealer.open(place, sealed) {
                Some(intent) => {
                    let target = (intent.kind, intent.user, intent.after);
                    let found = self.find_out(&intent.request, target, now - record.at > OVER).await;
                    if matches!(found, Found::Done(_)) {
                        self.memory.forget(intent.user);
                        self.settle(intent, now).await;
                    }
                    found
                }
                // Of another credential: it cannot be sent again.
                None => Found::Unknown,
            },
        };
        match found {
            Found::Unknown => return Ok(Look::Open(attempt, record)),
            Found::Done(_) => {}
            Found::Not(_) => self.end(key, attempt, record.at, now).await,
        }
        self.look(key, now).await
    }

    /// Finds out what came of a request: by sending it again with its key, or, where the service does not know
    /// it by that, by looking at the user. Such a request is never sent twice.
    pub(crate) async fn find_out(
        &self,
        request: &Request,
        target: (Kind, UserId, Option<[u8; 32]>),
        is_over: bool,
    ) -> Found {
        let deadline = Instant::now() + PATIENCE;
        let (mut pause, longest) = PAUSES;
        loop {
            tokio::time::sleep(pause).await;
            let found = if self.honours_keys {
                self.again(request, deadline).await
            } else {
                self.compare(request, target, is_over).await
            };
            pause = longest.min(pause * 2);
            if !matches!(found, Found::Unknown) || Instant::now() + pause >= deadline {
                return found;
            }
        }
    }

    async fn again(&self, request: &Request, deadline: Instant) -> Found {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.service.send(request, left).await.map(|reply| self.judge(&reply)) {
            Ok(Verdict::Done(tag)) => Found::Done(tag),
            // Nothing was done by this one; what the first one did is not known by it.
            Ok(Verdict::Not(Meaning::Unavailable) | Verdict::Shut(_) | Verdict::Open) | Err(_) => {
                Found::Unknown
            }
            Ok(Verdict::Not(meaning)) => Found::Not(meaning),
        }
    }

    /// Looks whether the user stands as it was to be. A user who stands as before may still be written, unless
    /// the request is long over; one who stands otherwise tells nothing.
    async fn compare(
        &self,
        request: &Request,
        (kind, id, after): (Kind, UserId, Option<[u8; 32]>),
        is_over: bool,
    ) -> Found {
        let Ok(current) = self.fetch(id).await else { return Found::Unknown };
        let not =
            |is_before: bool| if is_over && is_before { Found::Not(Meaning::Stale) } else { Found::Unknown };
        match (kind, current) {
            (Kind::Delete, None) => Found::Done(None),
            (Kind::Create, None) => not(true),
            (Kind::Update, None) => Found::Unknown,
            (_, Some(current)) => {
                if after.is_some_and(|after| self.speech.digest(&current.user) == after) {
                    return Found::Done(Some(current.tag));
                }
                not(request.headers.get(header::IF_MATCH) == Some(&current.tag))
            }
        }
    }
}
