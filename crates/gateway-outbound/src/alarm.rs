//! One timer for a connection, which costs nothing while deadlines only move away.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::{Instant, Sleep, sleep_until};

/// The timer. It rings at the nearest deadline it was asked for, looks, and goes to sleep again.
#[derive(Debug)]
pub struct Alarm {
    sleep: Pin<Box<Sleep>>,
    rings: Instant,
}

impl Alarm {
    /// A timer that first rings at `deadline`.
    pub fn new(deadline: Instant) -> Self {
        Self { sleep: Box::pin(sleep_until(deadline)), rings: deadline }
    }

    /// Ready once `deadline` has passed; until then the task is woken at it at the latest.
    pub fn poll(&mut self, context: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        if deadline < self.rings {
            self.set(deadline);
        }
        while self.sleep.as_mut().poll(context).is_ready() {
            if self.rings >= deadline {
                return Poll::Ready(());
            }
            self.set(deadline);
        }
        Poll::Pending
    }

    fn set(&mut self, deadline: Instant) {
        self.rings = deadline;
        self.sleep.as_mut().reset(deadline);
    }
}
