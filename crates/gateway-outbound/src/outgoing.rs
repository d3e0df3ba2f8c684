//! The body of a request that is passed on, and what the one who waits for the answer knows of it.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{Full, combinators::UnsyncBoxBody};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::Alarm;

/// How long a client that asked whether to send its body waits for a server that does not say.
const UNASKED: Duration = Duration::from_secs(1);

/// The caller's body came to no end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body came to no end")
    }
}

impl std::error::Error for Aborted {}

/// The body of a request that is passed on: whole, or as it comes.
pub struct Outgoing(Kind);

enum Kind {
    Whole(Full<Bytes>),
    Coming(Coming),
}

struct Coming {
    body: UnsyncBoxBody<Bytes, Aborted>,
    flow: Arc<Flow>,
    /// Until it was asked for.
    held: Option<(Alarm, Instant)>,
}

/// How a body comes along.
#[derive(Default)]
pub(crate) struct Flow {
    /// Its sender is waited for.
    waits: AtomicBool,
    /// Some of it has moved.
    moved: AtomicBool,
    /// The server asks for it.
    asked: AtomicBool,
}

impl Flow {
    pub(crate) fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    /// Whether some of it has moved since this was asked before.
    pub(crate) fn has_moved(&self) -> bool {
        self.moved.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }
}

impl Outgoing {
    /// A body that is here.
    #[must_use]
    pub fn whole(body: Bytes) -> Self {
        Self(Kind::Whole(Full::new(body)))
    }

    /// A body that comes as it likes.
    #[must_use]
    pub fn coming(body: UnsyncBoxBody<Bytes, Aborted>) -> Self {
        Self(Kind::Coming(Coming { body, flow: Arc::default(), held: None }))
    }

    /// What is sent a second time, where that is possible.
    pub(crate) fn repeated(&self) -> Option<Self> {
        match &self.0 {
            Kind::Whole(body) => Some(Self(Kind::Whole(body.clone()))),
            Kind::Coming(_) => None,
        }
    }

    pub(crate) fn flow(&self) -> Option<Arc<Flow>> {
        match &self.0 {
            Kind::Whole(_) => None,
            Kind::Coming(coming) => Some(Arc::clone(&coming.flow)),
        }
    }

    /// Holds it back until the server asks for it, or says nothing for a while.
    pub(crate) fn hold(&mut self) {
        if let Kind::Coming(coming) = &mut self.0 {
            let deadline = Instant::now() + UNASKED;
            coming.held = Some((Alarm::new(deadline), deadline));
        }
    }
}

impl Coming {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        if let Some((alarm, deadline)) = &mut self.held {
            let is_asked = self.flow.asked.load(Ordering::Relaxed);
            if !is_asked && alarm.poll(context, *deadline).is_pending() {
                return Poll::Pending;
            }
            self.held = None;
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.flow.waits.store(polled.is_pending(), Ordering::Relaxed);
        if polled.is_ready() {
            self.flow.moved.store(true, Ordering::Relaxed);
        }
        polled
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        match &mut self.get_mut().0 {
            Kind::Whole(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            Kind::Coming(coming) => coming.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(body) => body.is_end_stream(),
            Kind::Coming(coming) => coming.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(body) => body.size_hint(),
            Kind::Coming(coming) => coming.body.size_hint(),
        }
    }
}
