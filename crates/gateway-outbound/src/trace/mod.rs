//! Traces that go on in other servers: which trace a request belongs to, and its spans.
//!
//! The scope of a request is the task's: whoever calls others in it needs not be told of it. Outside of
//! a scope nothing is traced, and that costs a look.

mod context;
mod span;

pub use context::{TRACEPARENT, TRACESTATE, TraceContext};
pub use span::{Child, Kind, Scope, Span, Spans, Value, method_names, within};
