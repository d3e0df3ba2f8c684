//! The access log: one line for each request, formatted by hand. By the formatter of `tracing` it
//! would cost half as much as the whole of a small request.

use std::{cell::RefCell, sync::Arc, time::Duration};

use gateway_core::Timestamp;

use crate::{config::LogFormat, sink::Sink};

/// What a line says. No value needs escaping: names of mounts and namespaces are plain by
/// configuration, everything else is a constant or a number.
pub(crate) struct Line<'a> {
    /// When the request came.
    pub(crate) began: Timestamp,
    pub(crate) took: Duration,
    pub(crate) request_id: &'a str,
    /// Where requests are traced.
    pub(crate) trace_id: Option<&'a [u8]>,
    pub(crate) mount: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) method: &'static str,
    pub(crate) status: u16,
    pub(crate) route: &'a str,
    pub(crate) operation: &'static str,
    pub(crate) outcome: &'static str,
    pub(crate) cause: &'static str,
    pub(crate) replayed: bool,
}

/// Takes the lines; by default, and while the level is above `info`, into nothing.
#[derive(Clone, Default)]
pub struct AccessLog(Option<(Arc<Sink>, &'static Words)>);

thread_local! {
    static LINE: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(1024));
}

impl AccessLog {
    pub(crate) fn new(sink: Arc<Sink>, format: LogFormat, is_terminal: bool) -> Self {
        let words = match format {
            LogFormat::Json => &JSON,
            LogFormat::Pretty if is_terminal => &COLORED,
            LogFormat::Pretty => &PLAIN,
        };
        Self(Some((sink, words)))
    }

    pub(crate) fn write(&self, line: &Line<'_>) {
        let Some((sink, words)) = &self.0 else { return };
        if !tracing::enabled!(target: "interlingua::access", tracing::Level::INFO) {
            return;
        }
        LINE.with_borrow_mut(|out| {
            out.clear();
            line.put(words, out);
            sink.push(out);
        });
    }
}

/// What stands between the values of a line, in the order of [`Line::put`]; the last before a trace's id.
type Words = [&'static str; 15];

const JSON: Words = [
    "{\"timestamp\":\"",
    "\",\"level\":\"INFO\",\"message\":\"request\",\"request_id\":\"",
    "\",\"mount\":\"",
    "\",\"namespace\":\"",
    "\",\"method\":\"",
    "\",\"status\":",
    ",\"route\":\"",
    "\",\"operation\":\"",
    "\",\"outcome\":\"",
    "\",\"cause\":\"",
    "\",\"replayed\":",
    ",\"took_us\":",
    ",\"target\":\"interlingua::access\"}",
    "\n",
    "\",\"trace_id\":\"",
];

const PLAIN: Words = [
    "",
    "  INFO interlingua::access: request request_id=\"",
    "\" mount=\"",
    "\" namespace=\"",
    "\" method=\"",
    "\" status=",
    " route=\"",
    "\" operation=\"",
    "\" outcome=\"",
    "\" cause=\"",
    "\" replayed=",
    " took_us=",
    "",
    "\n",
    "\" trace_id=\"",
];

/// As [`PLAIN`], for a terminal.
const COLORED: Words = [
    "\x1b[2m",
    "\x1b[0m \x1b[32m INFO\x1b[0m \x1b[2minterlingua::access:\x1b[0m request \x1b[3mrequest_id\x1b[0m=\"",
    "\" \x1b[3mmount\x1b[0m=\"",
    "\" \x1b[3mnamespace\x1b[0m=\"",
    "\" \x1b[3mmethod\x1b[0m=\"",
    "\" \x1b[3mstatus\x1b[0m=",
    " \x1b[3mroute\x1b[0m=\"",
    "\" \x1b[3moperation\x1b[0m=\"",
    "\" \x1b[3moutcome\x1b[0m=\"",
    "\" \x1b[3mcause\x1b[0m=\"",
    "\" \x1b[3mreplayed\x1b[0m=",
    " \x1b[3mtook_us\x1b[0m=",
    "",
    "\n",
    "\" \x1b[3mtrace_id\x1b[0m=\"",
];

impl Line<'_> {
    fn put(&self, words: &Words, out: &mut Vec<u8>) {
        let ended = instant(self.began.saturating_add(self.took.try_into().unwrap_or_default()));
        let took_us = Digits::of(u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX));
        let values: [&[u8]; 13] = [
            &ended,
            self.request_id.as_bytes(),
            self.mount.as_bytes(),
            self.namespace.as_bytes(),
            self.method.as_bytes(),
            &Digits::of(self.status.into()),
            self.route.as_bytes(),
            self.operation.as_bytes(),
            self.outcome.as_bytes(),
            self.cause.as_bytes(),
            if self.replayed { b"true" } else { b"false" },
            &took_us,
            b"",
        ];
        for (at, (word, value)) in words.iter().zip(values).enumerate() {
            out.extend_from_slice(word.as_bytes());
            out.extend_from_slice(value);
            // Behind the request's id.
            if at == 1
                && let Some(trace_id) = self.trace_id
            {
                out.extend_from_slice(words[14].as_bytes());
                out.extend_from_slice(trace_id);
            }
        }
        out.extend_from_slice(words[13].as_bytes());
    }
}

/// A number in digits.
struct Digits {
    bytes: [u8; 20],
    from: usize,
}

impl Digits {
    fn of(mut value: u64) -> Self {
        let mut digits = Self { bytes: [b'0'; 20], from: 20 };
        while value > 0 || digits.from == 20 {
            digits.from -= 1;
            digits.bytes[digits.from] = digit(value);
            value /= 10;
        }
        digits
    }
}

impl std::ops::Deref for Digits {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.from..]
    }
}

/// `2026-03-14T15:45:00.000000Z`.
fn instant(at: Timestamp) -> [u8; 27] {
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let parts = [
        (0..4, u64::from(at.year().unsigned_abs())),
        (5..7, u8::from(at.month()).into()),
        (8..10, at.day().into()),
        (11..13, at.hour().into()),
        (14..16, at.minute().into()),
        (17..19, at.second().into()),
        (20..26, at.microsecond().into()),
    ];
    for (place, mut value) in parts {
        for byte in text[place].iter_mut().rev() {
            *byte = digit(value);
            value /= 10;
        }
    }
    text
}

/// The last digit of a number.
fn digit(value: u64) -> u8 {
    b'0' + (value % 10).to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::utc_datetime;

    fn text(words: &Words, trace_id: Option<&[u8]>) -> String {
        let line = Line {
            began: utc_datetime!(2026-03-04 05:59:59.999_999),
            took: Duration::from_micros(1_000_001),
            request_id: "4e03821b-98e9-4ae2-a9ed-6f56ea3b85b1",
            trace_id,
            mount: "partner",
            namespace: "-",
            method: "GET",
            status: 401,
            route: "/users/{externalId}",
            operation: "read",
            outcome: "missing_credential",
            cause: "header_missing",
            replayed: false,
        };
        let mut out = Vec::new();
        line.put(words, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_as_those_of_other_events() {
        assert_eq!(
            text(&JSON, None),
            "{\"timestamp\":\"2026-03-04T06:00:01.000000Z\",\"level\":\"INFO\",\"message\":\"request\",\
             \"request_id\":\"4e03821b-98e9-4ae2-a9ed-6f56ea3b85b1\",\"mount\":\"partner\",\"namespace\":\"-\",\
             \"method\":\"GET\",\"status\":401,\"route\":\"/users/{externalId}\",\"operation\":\"read\",\
             \"outcome\":\"missing_credential\",\"cause\":\"header_missing\",\"replayed\":false,\
             \"took_us\":1000001,\"target\":\"interlingua::access\"}\n"
        );
        let plain = "2026-03-04T06:00:01.000000Z  INFO interlingua::access: request \
             request_id=\"4e03821b-98e9-4ae2-a9ed-6f56ea3b85b1\" mount=\"partner\" namespace=\"-\" \
             method=\"GET\" status=401 route=\"/users/{externalId}\" operation=\"read\" \
             outcome=\"missing_credential\" cause=\"header_missing\" replayed=false took_us=1000001\n";
        assert_eq!(text(&PLAIN, None), plain);
        let mut colored = text(&COLORED, None);
        for escape in ["\x1b[0m", "\x1b[2m", "\x1b[3m", "\x1b[32m"] {
            colored = colored.replace(escape, "");
        }
        assert_eq!(colored, plain);
    }

    #[test]
    fn a_trace_is_named_behind_its_request() {
        let with = |words| {
            let line = text(words, Some(b"4bf92f3577b34da6a3ce929d0e0e4736"));
            ["\x1b[0m", "\x1b[2m", "\x1b[3m", "\x1b[32m"]
                .iter()
                .fold(line, |line, escape| line.replace(escape, ""))
        };
        let json = "b85b1\",\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"mount\":\"partner\",";
        assert!(with(&JSON).contains(json), "{}", with(&JSON));
        let plain = "b85b1\" trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\" mount=\"partner\" ";
        assert!(with(&PLAIN).contains(plain), "{}", with(&PLAIN));
        assert_eq!(with(&COLORED), with(&PLAIN));
    }
}
