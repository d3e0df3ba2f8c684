//! Spans, and the scope that those of one request share.

use std::{
    borrow::Cow,
    fmt,
    future::Future,
    num::NonZeroU64,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, Method};

use super::TraceContext;

tokio::task_local! {
    static SCOPE: Scope;
}

/// Takes spans that ended. Never waits.
pub trait Spans: Send + Sync {
    /// An id that no other span has.
    fn id(&self) -> NonZeroU64;
    /// Takes one.
    fn take(&self, span: Span);
}

/// Which side of a request a span is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A part of the work.
    Internal,
    /// A request that was answered.
    Server,
    /// A request to another server.
    Client,
}

/// A value of an attribute. Never a part of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// A text.
    Text(Cow<'static, str>),
    /// A name from the configuration.
    Name(Arc<str>),
    /// A number.
    Number(u32),
}

/// A span that ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// Where it stands.
    pub context: TraceContext,
    /// The span that it is a part of.
    pub parent: Option<NonZeroU64>,
    /// Which side it is.
    pub kind: Kind,
    /// What it is.
    pub name: Cow<'static, str>,
    /// When it began, in nanoseconds since 1970.
    pub began: u64,
    /// How long it took.
    pub took: Duration,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// Whether it failed.
    pub is_error: bool,
}

/// What a request's spans have in common: the span that they are parts of, its clock, and who takes them.
#[derive(Clone)]
pub struct Scope {
    context: TraceContext,
    /// When the request began, by this process's clock and in nanoseconds since 1970.
    origin: (Instant, u64),
    spans: Arc<dyn Spans>,
}

impl Scope {
    /// The scope of a request that began just now.
    #[must_use]
    pub fn new(context: TraceContext, origin: (Instant, u64), spans: Arc<dyn Spans>) -> Self {
        Self { context, origin, spans }
    }

    /// The span of the scope.
    #[must_use]
    pub const fn context(&self) -> &TraceContext {
        &self.context
    }

    /// When its request began, in nanoseconds since 1970.
    #[must_use]
    pub const fn began(&self) -> u64 {
        self.origin.1
    }

    /// Runs something in it, but for what that spawns.
    pub async fn around<F: Future>(self, inner: F) -> F::Output {
        SCOPE.scope(self, inner).await
    }
}

/// A part of the span of the scope, under way. It is told when dropped, however it ends.
pub struct Child {
    /// Its own scope: what it is the parent of.
    scope: Scope,
    parent: NonZeroU64,
    kind: Kind,
    name: Cow<'static, str>,
    began: Instant,
    attributes: Vec<(&'static str, Value)>,
    failed: Option<Cow<'static, str>>,
}

impl Child {
    /// Begins one, in a scope. Where that is not recorded it stands for the scope's own span.
    #[must_use]
    pub fn begin(kind: Kind, name: impl Into<Cow<'static, str>>) -> Option<Self> {
        let mut scope = SCOPE.try_with(Clone::clone).ok()?;
        let parent = scope.context.span_id;
        if scope.context.is_sampled() {
            scope.context = scope.context.with_span(scope.spans.id());
        }
        let failed = Some(Cow::Borrowed("cancelled"));
        let (name, began, attributes) = (name.into(), Instant::now(), Vec::new());
        Some(Self { scope, parent, kind, name, began, attributes, failed })
    }

    /// Tells the server that is called of it.
    pub fn write(&self, headers: &mut HeaderMap) {
        self.scope.context.write(headers);
    }

    /// Whether it is recorded.
    #[must_use]
    pub const fn is_recorded(&self) -> bool {
        self.scope.context.is_sampled()
    }

    /// Something that is known of it.
    pub fn note(&mut self, name: &'static str, value: Value) {
        if self.is_recorded() {
            self.attributes.push((name, value));
        }
    }

    /// It ends, well or with the name of what went wrong.
    pub fn end(mut self, failed: Option<Cow<'static, str>>) {
        self.failed = failed;
    }

    /// It ends with an answer (a status of 400 or more is a failure to whoever called), or without one.
    pub fn answered(mut self, answer: Result<http::StatusCode, &'static str>) {
        let failed = match answer {
            Ok(status) => {
                self.note("http.response.status_code", Value::Number(status.as_u16().into()));
                (status.as_u16() >= 400).then(|| Cow::Owned(status.as_str().to_owned()))
            }
            Err(why) => Some(Cow::Borrowed(why)),
        };
        self.end(failed);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.is_recorded() {
            return;
        }
        let (instant, unix) = self.scope.origin;
        let since = u64::try_from(self.began.duration_since(instant).as_nanos()).unwrap_or_default();
        let failed = self.failed.take();
        let is_error = failed.is_some();
        let mut attributes = std::mem::take(&mut self.attributes);
        attributes.extend(failed.map(|failed| ("error.type", Value::Text(failed))));
        self.scope.spans.take(Span {
            context: self.scope.context.clone(),
            parent: Some(self.parent),
            kind: self.kind,
            name: std::mem::take(&mut self.name),
            began: unix.saturating_add(since),
            took: self.began.elapsed(),
            attributes,
            is_error,
        });
    }
}

/// A method, as an attribute and in the name of a span. One that is not known may be a client's own word.
#[must_use]
pub fn method_names(method: &Method) -> (&'static str, &'static str) {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| method == known).map_or(("_OTHER", "HTTP"), |known| (known, known))
}

/// Runs a part of the work as a span of its own, where there is a scope that is recorded.
pub async fn within<F: Future>(name: &'static str, part: F) -> F::Output {
    let part = pin!(part);
    match Child::begin(Kind::Internal, name).filter(Child::is_recorded) {
        None => part.await,
        Some(child) => {
            let output = child.scope.clone().around(part).await;
            child.end(None);
            output
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("context", &self.context).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        num::NonZeroU128,
        sync::{
            Mutex,
            atomic::{AtomicU64, Ordering},
        },
    };

    use http::StatusCode;

    use super::*;
    use crate::{Endpoint, trace::TRACEPARENT};

    #[derive(Default)]
    struct Kept(Mutex<Vec<Span>>, AtomicU64);

    impl Spans for Kept {
        fn id(&self) -> NonZeroU64 {
            NonZeroU64::MIN.saturating_add(1 + self.1.fetch_add(1, Ordering::Relaxed))
        }

        fn take(&self, span: Span) {
            self.0.lock().unwrap().push(span);
        }
    }

    fn scope(spans: &Arc<Kept>, is_sampled: bool) -> Scope {
        let context = TraceContext::new(NonZeroU128::MIN, NonZeroU64::MIN, is_sampled);
        Scope::new(context, (Instant::now(), 1_000), Arc::<Kept>::clone(spans))
    }

    fn call() -> Option<Child> {
        Endpoint::parse("https://hooks.example.com/s3cret", false).unwrap().span(&Method::PUT)
    }

    #[tokio::test]
    async fn a_child_is_told_however_it_ends() {
        let spans = Arc::new(Kept::default());
        let answered = |status| async move { call().unwrap().answered(status) };
        scope(&spans, true).around(answered(Ok(StatusCode::OK))).await;
        scope(&spans, true).around(answered(Ok(StatusCode::NOT_FOUND))).await;
        scope(&spans, true).around(answered(Err("reset"))).await;
        scope(&spans, true).around(async { drop(call()) }).await;
        let told: Vec<_> = spans.0.lock().unwrap().drain(..).collect();
        for (span, failed) in told.iter().zip([None, Some("404"), Some("reset"), Some("cancelled")]) {
            let failed = failed.map(|failed| ("error.type", Value::Text(failed.into())));
            assert_eq!((span.attributes.last().cloned().filter(|(key, _)| *key == "error.type")), failed);
            assert_eq!((&*span.name, span.kind, span.is_error), ("PUT", Kind::Client, failed.is_some()));
            assert_eq!(span.parent, Some(NonZeroU64::MIN));
            assert_eq!(span.attributes[1], ("server.address", Value::Text("hooks.example.com".into())));
            assert!(span.began >= 1_000 && !format!("{span:?}").contains("s3cret"));
        }
        assert_eq!(told.len(), 4);
    }

    #[tokio::test]
    async fn what_is_called_within_a_part_is_a_part_of_that() {
        let spans = Arc::new(Kept::default());
        let said = |child: &Child| {
            let mut headers = HeaderMap::new();
            child.write(&mut headers);
            headers[TRACEPARENT].to_str().unwrap()[36..].to_owned()
        };
        let part = within("part", async { call().map(|child| said(&child)) });
        assert_eq!(scope(&spans, true).around(part).await.as_deref(), Some("0000000000000003-01"));
        let told: Vec<_> = spans.0.lock().unwrap().drain(..).collect();
        let ids = |span: &Span| (span.context.span_id.get(), span.parent.map(NonZeroU64::get));
        assert_eq!(told.iter().map(ids).collect::<Vec<_>>(), [(3, Some(2)), (2, Some(1))]);
        // What is not recorded has no spans; who is called is told of the request's.
        let part = within("part", async { call().map(|child| said(&child)) });
        assert_eq!(scope(&spans, false).around(part).await.as_deref(), Some("0000000000000001-00"));
        // Nor is there one outside of a scope, where what is spawned is, too.
        assert!(within("part", async { call() }).await.is_none());
        let spawned = async { tokio::spawn(async { call().is_none() }).await.unwrap() };
        assert!(scope(&spans, true).around(spawned).await);
        assert!(spans.0.lock().unwrap().is_empty());
    }
}
