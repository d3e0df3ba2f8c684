//! The clients: they create, change, delete and repeat in all dialects until the gateway is gone.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use gateway_testkit::client::Connection;

use super::{
    oracle::{Kind, Op, Oracle, Sent, Subject},
    rng::Rng,
};
use crate::party::Party;

/// Users that many clients write at once, in each dialect.
const SHARED: usize = 3;
/// A client knows so many users of its own; then it forgets the oldest.
const OWN: usize = 8;
/// A shared user that was written so often is left alone: each check repeats all of its writes.
const RETIRED: usize = 60;
/// After so many answers that do not tell, a client gives up: the store has stopped.
const PATIENCE: usize = 6;

/// Where the store goes on, a client that is told to come back does so after this.
const PAUSE: Duration = Duration::from_millis(20);

/// Clients at work.
pub(crate) struct Clients {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// The users that clients write, from one life of the gateway to the next.
#[derive(Clone, Default)]
pub(crate) struct Users(Arc<Pools>);

#[derive(Default)]
struct Pools {
    /// Written by many clients at once; by the dialect of their maker.
    shared: [Mutex<Vec<Arc<Subject>>>; 4],
    /// By client.
    own: Mutex<BTreeMap<usize, Vec<Arc<Subject>>>>,
}

/// A write, and the user it is for.
type Request = (Arc<Subject>, Arc<Op>);

/// What clients share.
struct Common {
    oracle: Arc<Oracle>,
    users: Users,
    stop: Arc<AtomicBool>,
    /// The latest request of each dialect: another client sends it, too, while it is in flight.
    hot: [Mutex<Option<Request>>; 4],
}

impl Clients {
    /// Starts them.
    pub(crate) fn start(
        oracle: &Arc<Oracle>,
        users: &Users,
        addresses: &[SocketAddr],
        count: usize,
        rng: &mut Rng,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let common = Arc::new(Common {
            oracle: Arc::clone(oracle),
            users: users.clone(),
            stop: Arc::clone(&stop),
            hot: Default::default(),
        });
        let threads = (0..count)
            .map(|client| {
                let (common, rng) = (Arc::clone(&common), Rng::new(rng.next()));
                // Where there are several gateways, each has clients of every dialect.
                let at = client % Party::ALL.len();
                let address = addresses[client / Party::ALL.len() % addresses.len()];
                std::thread::spawn(move || {
                    let Ok(connection) = Connection::open(address) else { return };
                    let own = common.users.0.own.lock().unwrap().remove(&client).unwrap_or_default();
                    let own = Client { common: &common, at, connection, rng, own }.run();
                    common.users.0.own.lock().unwrap().insert(client, own);
                })
            })
            .collect();
        Self { stop, threads }
    }

    /// Tells them to stop, and waits until they have.
    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
    }

    /// Waits until they have given up.
    pub(crate) fn is_over(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }
}

struct Client<'a> {
    common: &'a Common,
    /// Which dialect.
    at: usize,
    connection: Connection,
    rng: Rng,
    /// Users that nobody else writes, and nobody is asked about whose last write is not known.
    own: Vec<Arc<Subject>>,
}

impl Client<'_> {
    fn party(&self) -> Party {
        Party::ALL[self.at]
    }

    /// Until told to stop; gives back the users of its own.
    fn run(mut self) -> Vec<Arc<Subject>> {
        let mut doubts = 0;
        while doubts < PATIENCE && !self.common.stop.load(Ordering::Relaxed) {
            match self.step() {
                Some(Sent::Gone) => break,
                Some(Sent::Unknown) if self.common.oracle.lasts => std::thread::sleep(PAUSE),
                Some(Sent::Unknown) => doubts += 1,
                Some(Sent::Acked { .. } | Sent::Refused) => doubts = 0,
                None => {}
            }
        }
        self.own
    }

    fn step(&mut self) -> Option<Sent> {
        match self.rng.below(100) {
            0..25 => Some(self.create(false)),
            25..60 => self.change_own(Kind::Update),
            60..63 if self.party() == Party::JsonApi => self.change_own(Kind::Delete),
            60..85 => self.change_shared(),
            85..92 => self.repeat_hot(),
            _ => self.repeat_own(),
        }
    }

    fn create(&mut self, shared: bool) -> Sent {
        let oracle = &self.common.oracle;
        let subject = oracle.subject(self.party());
        let op = oracle.op(&subject, self.party(), Kind::Create, true);
        let sent = self.send(&subject, &op);
        if let Sent::Acked { .. } = sent {
            if shared {
                self.common.users.0.shared[self.at].lock().unwrap().push(subject);
            } else {
                self.own.push(subject);
                let forgotten = self.own.len().saturating_sub(OWN);
                self.own.drain(..forgotten);
            }
        }
        sent
    }

    /// One write at a time to a user of its own, most of them with a key.
    fn change_own(&mut self, kind: Kind) -> Option<Sent> {
        let subject = Arc::clone(self.rng.pick(&self.own)?);
        let keyed = kind == Kind::Delete || self.rng.chance(70);
        let op = self.common.oracle.op(&subject, self.party(), kind, keyed);
        let sent = self.send(&subject, &op);
        if kind == Kind::Delete || !matches!(sent, Sent::Acked { .. }) {
            self.own.retain(|own| !Arc::ptr_eq(own, &subject));
        }
        Some(sent)
    }

    /// Writes a user that others write at the same time, `jsonapi` also one that a partner made.
    fn change_shared(&mut self) -> Option<Sent> {
        let maker = if self.party() == Party::JsonApi && self.rng.chance(50) { 0 } else { self.at };
        let pool = &self.common.users.0.shared[maker];
        if maker == self.at && pool.lock().unwrap().len() < SHARED {
            return Some(self.create(true));
        }
        let subject = Arc::clone(self.rng.pick(&pool.lock().unwrap())?);
        let deletes = self.party() == Party::JsonApi && self.rng.chance(4);
        let kind = if deletes { Kind::Delete } else { Kind::Update };
        let op = self.common.oracle.op(&subject, self.party(), kind, true);
        let sent = self.send(&subject, &op);
        if deletes || sent == Sent::Refused || subject.ops().len() > RETIRED {
            pool.lock().unwrap().retain(|shared| !Arc::ptr_eq(shared, &subject));
        }
        Some(sent)
    }

    /// Sends what another client has sent and maybe waits for.
    fn repeat_hot(&mut self) -> Option<Sent> {
        let (subject, op) = self.common.hot[self.at].lock().unwrap().take()?;
        Some(self.common.oracle.send(&mut self.connection, &subject, &op))
    }

    /// Sends again what was acknowledged.
    fn repeat_own(&mut self) -> Option<Sent> {
        let subject = Arc::clone(self.rng.pick(&self.own)?);
        let ops = subject.ops();
        let op = self.rng.pick(&ops)?;
        op.key?;
        Some(self.common.oracle.send(&mut self.connection, &subject, op))
    }

    fn send(&mut self, subject: &Arc<Subject>, op: &Arc<Op>) -> Sent {
        if op.key.is_some() {
            *self.common.hot[self.at].lock().unwrap() = Some((Arc::clone(subject), Arc::clone(op)));
        }
        self.common.oracle.send(&mut self.connection, subject, op)
    }
}
