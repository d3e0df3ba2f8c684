//! A circuit breaker: an endpoint that is down is left alone for a moment, then tried once.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// So many failures with no success between them open the circuit,
const FAILURES: u32 = 10;
/// when they come within this time.
const WITHIN: Duration = Duration::from_secs(30);
/// How long it stays open before one call is let through.
const PAUSE: Duration = Duration::from_secs(5);

/// What a circuit is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Circuit {
    /// Calls go through.
    Closed,
    /// One call tries whether the endpoint is back.
    HalfOpen,
    /// Calls fail at once.
    Open,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { failures: u32, since: Instant },
    Open { until: Instant },
    Probing,
}

#[derive(Debug)]
pub(crate) struct Breaker {
    state: Mutex<State>,
}

/// A call that was let through. One that is dropped before it ended says nothing.
pub(crate) struct Pass<'b> {
    breaker: &'b Breaker,
    began: Instant,
    is_probe: bool,
}

impl Breaker {
    pub(crate) fn new(now: Instant) -> Self {
        Self { state: Mutex::new(State::Closed { failures: 0, since: now }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn circuit(&self) -> Circuit {
        match *self.state() {
            State::Closed { .. } => Circuit::Closed,
            State::Probing => Circuit::HalfOpen,
            State::Open { .. } => Circuit::Open,
        }
    }

    /// Lets a call through, or not.
    pub(crate) fn pass(&self, now: Instant) -> Option<Pass<'_>> {
        let mut state = self.state();
        let is_probe = match *state {
            State::Closed { .. } => false,
            State::Open { until } if until <= now => true,
            State::Open { .. } | State::Probing => return None,
        };
        if is_probe {
            *state = State::Probing;
        }
        Some(Pass { breaker: self, began: now, is_probe })
    }
}

impl Pass<'_> {
    /// The call ended: the endpoint is there, or it is down.
    pub(crate) fn ended(mut self, is_there: bool, now: Instant) {
        let mut state = self.breaker.state();
        *state = match *state {
            _ if self.is_probe && is_there => State::Closed { failures: 0, since: now },
            _ if self.is_probe => State::Open { until: now + PAUSE },
            State::Closed { .. } if is_there => State::Closed { failures: 0, since: now },
            State::Closed { failures, since } => {
                let (failures, since) =
                    if failures == 0 || now - since > WITHIN { (1, now) } else { (failures + 1, since) };
                if failures >= FAILURES {
                    State::Open { until: now + PAUSE }
                } else {
                    State::Closed { failures, since }
                }
            }
            // It began before the circuit opened: the probe will tell.
            other => other,
        };
        self.is_probe = false;
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        // A probe that was given up: the next call is one.
        if self.is_probe {
            *self.breaker.state() = State::Open { until: self.began };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(breaker: &Breaker, times: u32, now: Instant) {
        for _ in 0..times {
            breaker.pass(now).unwrap().ended(false, now);
        }
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_after_a_probe() {
        let now = Instant::now();
        let breaker = Breaker::new(now);
        fail(&breaker, FAILURES - 1, now);
        breaker.pass(now).unwrap().ended(true, now);
        fail(&breaker, FAILURES - 1, now);
        assert_eq!(breaker.circuit(), Circuit::Closed);
        let early = breaker.pass(now).unwrap();
        fail(&breaker, 1, now);
        assert_eq!(breaker.circuit(), Circuit::Open);
        assert!(breaker.pass(now).is_none());
        // What began before does not close it.
        early.ended(true, now);
        assert!(breaker.pass(now).is_none());

        let now = now + PAUSE;
        let probe = breaker.pass(now).unwrap();
        assert_eq!(breaker.circuit(), Circuit::HalfOpen);
        assert!(breaker.pass(now).is_none());
        probe.ended(false, now);
        assert!(breaker.pass(now).is_none());

        let now = now + PAUSE;
        // A probe that is given up makes way for another.
        drop(breaker.pass(now).unwrap());
        breaker.pass(now).unwrap().ended(true, now);
        assert_eq!(breaker.circuit(), Circuit::Closed);
    }

    #[test]
    fn failures_far_apart_do_not_open_it() {
        let mut now = Instant::now();
        let breaker = Breaker::new(now);
        for _ in 0..4 {
            fail(&breaker, FAILURES - 1, now);
            now += WITHIN + Duration::from_secs(1);
        }
        assert_eq!(breaker.circuit(), Circuit::Closed);
    }
}
