//! The oracle: every intent before it is sent and every answer after, in a file and in memory.
//!
//! It lives outside of the gateway, so that what kills the gateway, or cuts its disk, leaves it whole.

use std::{
    fmt,
    fs::File,
    io::Write as _,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use gateway_testkit::client::{Connection, RawResponse};
use uuid::Uuid;

use super::wire;
use crate::party::Party;

/// What must never be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// An acknowledged write is not there.
    Lost,
    /// One key, or one request, had two effects.
    Twice,
    /// A part of a write is there, or of a user.
    Half,
    /// An answer is wrong, and nothing says so.
    Silent,
    /// Something else that should not be.
    Other,
}

/// Something wrong, with what is known of it.
#[derive(Clone, Debug)]
pub struct Wrong {
    /// Which promise.
    pub fault: Fault,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.fault, self.what)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Create,
    Update,
    Delete,
}

/// A user, as its clients know it.
pub(crate) struct Subject {
    pub(crate) maker: Party,
    /// Its external id; its canonical one where `jsonapi` made it.
    pub(crate) name: Uuid,
    /// What a partner was told on creation.
    pub(crate) canonical: OnceLock<Uuid>,
    ops: Mutex<Vec<Arc<Op>>>,
    /// Written since it was last checked.
    touched: AtomicBool,
}

impl Subject {
    /// The id by which a party names it.
    pub(crate) fn id_for(&self, party: Party) -> Uuid {
        match (self.maker, party) {
            (Party::Partner, Party::JsonApi) => self.canonical.get().copied().unwrap_or(self.name),
            _ => self.name,
        }
    }

    /// True once after each time it was written.
    pub(crate) fn take_touched(&self) -> bool {
        self.touched.swap(false, Ordering::SeqCst)
    }

    pub(crate) fn ops(&self) -> Vec<Arc<Op>> {
        self.ops.lock().unwrap().clone()
    }
}

/// A write that a client wants.
pub(crate) struct Op {
    pub(crate) id: u64,
    pub(crate) party: Party,
    pub(crate) kind: Kind,
    pub(crate) key: Option<Uuid>,
    /// What it writes; nobody else writes the same.
    pub(crate) token: String,
    state: Mutex<State>,
}

/// How an operation stands.
#[derive(Clone)]
pub(crate) struct State {
    /// When it was first sent, by the oracle's own clock.
    pub(crate) sent: u64,
    pub(crate) end: End,
    /// It was answered 2xx, and not as a replay.
    fresh: bool,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// No answer yet, or one that does not tell.
    Unknown,
    /// Acknowledged, at this time.
    Acked { at: u64, status: u16, body: Vec<u8> },
    /// It did not happen, and never will.
    Refused,
}

impl Op {
    pub(crate) fn state(&self) -> State {
        self.state.lock().unwrap().clone()
    }

    pub(crate) fn is_acked(&self) -> bool {
        matches!(self.state.lock().unwrap().end, End::Acked { .. })
    }

    /// Settles an operation without a key, of which only the user can tell.
    pub(crate) fn settle(&self, happened: bool, now: u64) {
        let acked = End::Acked { at: now, status: 200, body: Vec::new() };
        self.state.lock().unwrap().end = if happened { acked } else { End::Refused };
    }
}

/// What came of sending an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    /// Acknowledged; as a replay, or not.
    Acked {
        replayed: bool,
    },
    Refused,
    /// Answered, but the end is not known.
    Unknown,
    /// No answer.
    Gone,
}

/// All that was asked and answered.
pub(crate) struct Oracle {
    file: Mutex<File>,
    clock: AtomicU64,
    next: AtomicU64,
    /// Tells one store's tokens from another's.
    run: u64,
    subjects: Mutex<Vec<Arc<Subject>>>,
    wrongs: Mutex<Vec<Wrong>>,
    pub(crate) acked: AtomicU64,
    pub(crate) unknown: AtomicU64,
    /// The first answer that said that the store does not know the outcome: the end of all writing, unless
    /// it lasts.
    first_unknown: AtomicU64,
    /// The store goes on after a fault, and so do its clients.
    pub(crate) lasts: bool,
}

impl Oracle {
    /// One that keeps its journal in this folder.
    pub(crate) fn new(folder: &Path, run: u64) -> Arc<Self> {
        Arc::new(Self::with(folder, run, false))
    }

    /// The same for a store that goes on after a fault.
    pub(crate) fn lasting(folder: &Path, run: u64) -> Arc<Self> {
        Arc::new(Self::with(folder, run, true))
    }

    fn with(folder: &Path, run: u64, lasts: bool) -> Self {
        let file = File::create(folder.join(format!("oracle-{run}.log"))).unwrap();
        Self {
            file: Mutex::new(file),
            clock: AtomicU64::new(1),
            next: AtomicU64::new(0),
            run,
            subjects: Mutex::default(),
            wrongs: Mutex::default(),
            acked: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            first_unknown: AtomicU64::new(u64::MAX),
            lasts,
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn subjects(&self) -> Vec<Arc<Subject>> {
        self.subjects.lock().unwrap().clone()
    }

    pub(crate) fn wrong(&self, fault: Fault, what: String) {
        self.line(&format!("wrong {fault:?} {what}"));
        self.wrongs.lock().unwrap().push(Wrong { fault, what });
    }

    pub(crate) fn wrongs(&self) -> usize {
        self.wrongs.lock().unwrap().len()
    }

    pub(crate) fn has_lost(&self) -> bool {
        self.wrongs.lock().unwrap().iter().any(|wrong| wrong.fault == Fault::Lost)
    }

    pub(crate) fn take_wrongs(&self) -> Vec<Wrong> {
        std::mem::take(&mut self.wrongs.lock().unwrap())
    }

    /// A restarted gateway takes writes again.
    pub(crate) fn restarted(&self) {
        self.first_unknown.store(u64::MAX, Ordering::SeqCst);
    }

    fn line(&self, text: &str) {
        let line = format!("{text}\n");
        self.file.lock().unwrap().write_all(line.as_bytes()).unwrap();
    }

    /// A new user of a party.
    pub(crate) fn subject(&self, maker: Party) -> Arc<Subject> {
        let subject = Arc::new(Subject {
            maker,
            name: Uuid::new_v4(),
            canonical: OnceLock::new(),
            ops: Mutex::default(),
            touched: AtomicBool::new(true),
        });
        self.subjects.lock().unwrap().push(Arc::clone(&subject));
        subject
    }

    /// A new operation on a user.
    pub(crate) fn op(&self, subject: &Subject, party: Party, kind: Kind, keyed: bool) -> Arc<Op> {
        let id = self.next.fetch_add(1, Ordering::SeqCst);
        let state = Mutex::new(State { sent: self.now(), end: End::Unknown, fresh: false });
        let token = format!("t{:x}n{id:x}", self.run);
        let op = Arc::new(Op { id, party, kind, key: keyed.then(Uuid::new_v4), token, state });
        self.line(&format!("op {id} {party:?} {kind:?} {} {:?} {}", subject.name, op.key, op.token));
        subject.ops.lock().unwrap().push(Arc::clone(&op));
        subject.touched.store(true, Ordering::SeqCst);
        op
    }

    /// Sends an operation, for the first time or again.
    pub(crate) fn send(&self, connection: &mut Connection, subject: &Subject, op: &Op) -> Sent {
        self.line(&format!("send {}", op.id));
        let sent = self.now();
        match connection.send(&wire::request(subject, op)) {
            Ok(answer) => self.note(subject, op, sent, &answer),
            Err(_) => {
                self.line(&format!("gone {}", op.id));
                Sent::Gone
            }
        }
    }

    fn note(&self, subject: &Subject, op: &Op, sent: u64, answer: &RawResponse) -> Sent {
        let replayed = answer.header("idempotency-replayed") == Some("true");
        self.line(&format!("answer {} {} {replayed}", op.id, answer.status));
        match answer.status {
            200..=202 => {
                if op.kind == Kind::Create && op.party == Party::Partner {
                    subject.canonical.get_or_init(|| wire::canonical(answer).unwrap_or(subject.name));
                }
                self.acknowledge(op, sent, replayed, answer);
                Sent::Acked { replayed }
            }
            404 => self.not_found(subject, op),
            // In flight for too long (decision 19), overloaded, or not known.
            409 if answer.header("retry-after").is_some() => Sent::Unknown,
            503 | 504 => {
                self.unknown.fetch_add(1, Ordering::SeqCst);
                if String::from_utf8_lossy(&answer.body).contains("outcome") {
                    self.first_unknown.fetch_min(self.now(), Ordering::SeqCst);
                }
                Sent::Unknown
            }
            400 | 409 if op.kind == Kind::Create => {
                self.wrong(Fault::Half, format!("op {}: the user is there, its record is not", op.id));
                Sent::Unknown
            }
            status => {
                let body = String::from_utf8_lossy(&answer.body);
                self.wrong(Fault::Other, format!("op {}: {:?} got {status} {body}", op.id, op.party));
                Sent::Unknown
            }
        }
    }

    /// A 2xx: the first one, or the same once more.
    fn acknowledge(&self, op: &Op, sent: u64, replayed: bool, answer: &RawResponse) {
        let now = self.now();
        if !self.lasts && !replayed && sent > self.first_unknown.load(Ordering::SeqCst) {
            self.wrong(Fault::Other, format!("op {} acknowledged after a fault of the store", op.id));
        }
        let mut state = op.state.lock().unwrap();
        match &state.end {
            End::Acked { at, status, body } => {
                if !replayed && (state.fresh || sent > *at) {
                    self.wrong(Fault::Lost, format!("op {} was acknowledged, and is done again", op.id));
                }
                if !body.is_empty() && (*status, body) != (answer.status, &answer.body) {
                    self.wrong(Fault::Silent, format!("op {} replays other bytes", op.id));
                }
            }
            End::Refused => {
                self.wrong(Fault::Silent, format!("op {} was refused, and is acknowledged", op.id));
            }
            End::Unknown => {
                self.acked.fetch_add(1, Ordering::SeqCst);
                state.end = End::Acked { at: now, status: answer.status, body: answer.body.clone() };
            }
        }
        state.fresh |= !replayed;
    }

    /// A 404 is right only of a user that somebody wants to be gone, or whose creation is not known.
    fn not_found(&self, subject: &Subject, op: &Op) -> Sent {
        let ops = subject.ops();
        let may_be_gone = ops.iter().any(|op| match op.kind {
            Kind::Delete => true,
            Kind::Create => !op.is_acked(),
            Kind::Update => false,
        });
        if !may_be_gone {
            self.wrong(Fault::Lost, format!("op {}: user {} is not found", op.id, subject.name));
        }
        let mut state = op.state.lock().unwrap();
        if state.end == End::Unknown {
            state.end = End::Refused;
        }
        Sent::Refused
    }
}
