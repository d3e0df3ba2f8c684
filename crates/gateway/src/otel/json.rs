//! Spans as OTLP has them in JSON (opentelemetry-proto 1.x, `ExportTraceServiceRequest`): ids in
//! hexadecimal digits, numbers of 64 bits as strings, enumerations as numbers.

use std::fmt;

use gateway_outbound::trace::{Kind, Span, Value};
use serde::{Serialize, Serializer};

/// Whose spans they are.
pub(super) struct Resource {
    pub(super) service: String,
    pub(super) instance: String,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A request to a collector.
pub(super) fn request(resource: &Resource, spans: &[Span]) -> Vec<u8> {
    let resource = [
        ("service.name", &*resource.service),
        ("service.version", VERSION),
        ("service.instance.id", &*resource.instance),
    ];
    let text = |(key, text)| Attribute { key, value: Any { string_value: Some(text), int_value: None } };
    let export = Export {
        resource_spans: [ResourceSpans {
            resource: Attributes { attributes: resource.map(text).into() },
            scope_spans: [ScopeSpans {
                scope: Library { name: "interlingua", version: VERSION },
                spans: spans.iter().map(span).collect(),
            }],
        }],
    };
    // Texts and numbers alone: it cannot fail.
    serde_json::to_vec(&export).unwrap_or_default()
}

fn span(span: &Span) -> Entry<'_> {
    let took = u64::try_from(span.took.as_nanos()).unwrap_or(u64::MAX);
    Entry {
        trace_id: Said(Hex(span.context.trace_id.get(), 32)),
        span_id: Said(Hex(span.context.span_id.get().into(), 16)),
        parent_span_id: span.parent.map(|parent| Said(Hex(parent.get().into(), 16))),
        name: &span.name,
        kind: match span.kind {
            Kind::Internal => 1,
            Kind::Server => 2,
            Kind::Client => 3,
        },
        start_time_unix_nano: Said(span.began),
        end_time_unix_nano: Said(span.began.saturating_add(took)),
        attributes: span.attributes.iter().map(attribute).collect(),
        status: Status { code: span.is_error.then_some(2) },
    }
}

fn attribute<'s>((key, value): &'s (&'static str, Value)) -> Attribute<'s> {
    let (string_value, int_value) = match value {
        Value::Text(text) => (Some(&**text), None),
        Value::Name(name) => (Some(&**name), None),
        Value::Number(number) => (None, Some(Said(*number))),
    };
    Attribute { key, value: Any { string_value, int_value } }
}

/// A number in hexadecimal digits, as many as there are to be.
struct Hex(u128, usize);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$x}", self.0, width = self.1)
    }
}

/// A string that says what something displays.
struct Said<T>(T);

impl<T: fmt::Display> Serialize for Said<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Export<'s> {
    resource_spans: [ResourceSpans<'s>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'s> {
    resource: Attributes<'s>,
    scope_spans: [ScopeSpans<'s>; 1],
}

#[derive(Serialize)]
struct ScopeSpans<'s> {
    scope: Library,
    spans: Vec<Entry<'s>>,
}

#[derive(Serialize)]
struct Library {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'s> {
    trace_id: Said<Hex>,
    span_id: Said<Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<Said<Hex>>,
    name: &'s str,
    kind: u8,
    start_time_unix_nano: Said<u64>,
    end_time_unix_nano: Said<u64>,
    attributes: Vec<Attribute<'s>>,
    status: Status,
}

#[derive(Serialize)]
struct Attributes<'s> {
    attributes: Vec<Attribute<'s>>,
}

#[derive(Serialize)]
struct Attribute<'s> {
    key: &'s str,
    value: Any<'s>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Any<'s> {
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<&'s str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    int_value: Option<Said<u32>>,
}

#[derive(Serialize)]
struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
}
