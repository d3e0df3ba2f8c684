//! What a restarted gateway must say of everything that was asked of it before.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use gateway_testkit::client::Connection;

use super::{
    oracle::{End, Fault, Kind, Op, Oracle, Sent, Subject},
    rng::Rng,
    wire::{self, Seen},
};

const CHECKERS: usize = 6;
/// How often a store that goes on is asked again, and when.
const TRIES: usize = 200;
const PAUSE: Duration = Duration::from_millis(50);
/// Of users that were settled before, so many are looked at again.
const SAMPLE: u64 = 40;

/// Checks all users that were written since the last check, and some of the others; afterwards every
/// operation on them is known to have happened or not.
pub(crate) fn check(oracle: &Arc<Oracle>, address: SocketAddr, rng: &mut Rng) {
    oracle.restarted();
    let crash = oracle.now();
    let (mut wanted, others): (Vec<_>, Vec<_>) =
        oracle.subjects().into_iter().partition(|subject| subject.take_touched());
    wanted.extend((0..SAMPLE).filter_map(|_| rng.pick(&others).cloned()));
    let wanted = &wanted;
    std::thread::scope(|scope| {
        for at in 0..CHECKERS {
            scope.spawn(move || {
                let Ok(mut connection) = Connection::open(address) else {
                    return oracle.wrong(Fault::Other, "no connection to the restarted gateway".to_owned());
                };
                for subject in wanted.iter().skip(at).step_by(CHECKERS) {
                    check_one(oracle, &mut connection, subject, crash);
                }
            });
        }
    });
}

fn check_one(oracle: &Oracle, connection: &mut Connection, subject: &Subject, crash: u64) {
    let Some(before) = look(oracle, connection, subject) else { return };
    judge(oracle, subject, &before);
    let ops = subject.ops();
    for op in ops.iter().filter(|op| op.state().end == End::Unknown) {
        if op.key.is_none() {
            op.settle(before == Seen::Token(op.token.clone()), crash);
        } else if let Sent::Acked { replayed: false } = send(oracle, connection, subject, op)
            && before == Seen::Token(op.token.clone())
        {
            oracle
                .wrong(Fault::Half, format!("op {} was there without its record, and is done again", op.id));
        }
    }
    for op in ops.iter().filter(|op| op.key.is_some() && op.is_acked()) {
        let again = send(oracle, connection, subject, op);
        if again == (Sent::Acked { replayed: false }) {
            oracle.wrong(Fault::Twice, format!("op {} is done again", op.id));
        }
        if !matches!(again, Sent::Acked { .. } | Sent::Refused) {
            oracle.wrong(Fault::Other, format!("op {} does not replay: {again:?}", op.id));
        }
    }
    if let Some(after) = look(oracle, connection, subject) {
        judge(oracle, subject, &after);
    }
}

/// Sends it again as long as a store that goes on does not tell.
fn send(oracle: &Oracle, connection: &mut Connection, subject: &Subject, op: &Op) -> Sent {
    let mut sent = oracle.send(connection, subject, op);
    for _ in 0..if oracle.lasts { TRIES } else { 0 } {
        if sent != Sent::Unknown {
            break;
        }
        std::thread::sleep(PAUSE);
        sent = oracle.send(connection, subject, op);
    }
    sent
}

fn look(oracle: &Oracle, connection: &mut Connection, subject: &Subject) -> Option<Seen> {
    let (reader, request) = wire::read(subject);
    let mut asked = connection.send(&request);
    for _ in 0..if oracle.lasts { TRIES } else { 0 } {
        if asked.as_ref().is_ok_and(|answer| answer.status != 503) {
            break;
        }
        std::thread::sleep(PAUSE);
        asked = connection.send(&request);
    }
    match asked {
        Ok(answer) => Some(wire::seen(reader, &answer)),
        Err(error) => {
            oracle.wrong(Fault::Other, format!("user {} cannot be read: {error}", subject.name));
            None
        }
    }
}

/// Whether what is seen of a user can have come of what was asked and answered.
pub(crate) fn judge(oracle: &Oracle, subject: &Subject, seen: &Seen) {
    let ops = subject.ops();
    let wrong = |fault, what: String| oracle.wrong(fault, format!("user {}: {what}", subject.name));
    let of = |kind: Kind, end: fn(&End) -> bool| ops.iter().any(|op| op.kind == kind && end(&op.state().end));
    let acked: fn(&End) -> bool = |end| matches!(end, End::Acked { .. });
    let possible: fn(&End) -> bool = |end| *end != End::Refused;
    match seen {
        Seen::Absent if !of(Kind::Delete, possible) && ops.iter().any(|op| op.is_acked()) => {
            wrong(Fault::Lost, "acknowledged, and not there".to_owned());
        }
        Seen::Absent => {}
        _ if of(Kind::Delete, acked) => wrong(Fault::Lost, "deleted, and there again".to_owned()),
        Seen::Present => {}
        Seen::Torn(how) => wrong(Fault::Half, how.clone()),
        Seen::Token(token) => match ops.iter().find(|op| op.token == *token) {
            None => wrong(Fault::Silent, format!("token {token} is nobody's")),
            Some(op) => {
                if let Some(why) = overtaken(op, &ops) {
                    wrong(Fault::Lost, why);
                }
            }
        },
    }
}

/// Why the user cannot stand as this operation left it.
fn overtaken(shown: &Op, ops: &[Arc<Op>]) -> Option<String> {
    let done = match shown.state().end {
        End::Refused => return Some(format!("op {} is shown, which did not happen", shown.id)),
        End::Unknown => u64::MAX,
        End::Acked { at, .. } => at,
    };
    let later = ops.iter().find(|op| op.is_acked() && op.state().sent > done);
    later.map(|later| format!("op {} is shown, though op {} came after it", shown.id, later.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::party::Party;

    /// A user that was created and then changed, both acknowledged; then a change whose end is not known,
    /// and one that did not happen. What is wrong when it is seen like this?
    fn judged(seen: impl Fn(&[Arc<Op>]) -> Seen) -> Option<Fault> {
        let folder = tempfile::tempdir().unwrap();
        let oracle = Oracle::new(folder.path(), 1);
        let subject = oracle.subject(Party::Update);
        let mut ops = Vec::new();
        for (kind, happened) in [
            (Kind::Create, Some(true)),
            (Kind::Update, Some(true)),
            (Kind::Update, None),
            (Kind::Update, Some(false)),
        ] {
            let op = oracle.op(&subject, Party::Update, kind, true);
            if let Some(happened) = happened {
                op.settle(happened, oracle.now());
            }
            ops.push(op);
        }
        judge(&oracle, &subject, &seen(&ops));
        oracle.take_wrongs().first().map(|wrong| wrong.fault)
    }

    #[test]
    fn a_judge_knows_right_from_wrong() {
        let token = |at: usize| move |ops: &[Arc<Op>]| Seen::Token(ops[at].token.clone());
        assert_eq!(judged(token(1)), None, "the last that was acknowledged");
        assert_eq!(judged(token(2)), None, "one that may have happened");
        assert_eq!(judged(token(0)), Some(Fault::Lost), "an acknowledged one is gone");
        assert_eq!(judged(token(3)), Some(Fault::Lost), "one that did not happen");
        assert_eq!(judged(|_| Seen::Absent), Some(Fault::Lost));
        assert_eq!(judged(|_| Seen::Torn(String::new())), Some(Fault::Half));
        assert_eq!(judged(|_| Seen::Token("else".to_owned())), Some(Fault::Silent));
        assert_eq!(judged(|_| Seen::Present), None);
    }
}
