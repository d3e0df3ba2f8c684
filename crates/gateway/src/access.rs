//! The access log: one line for each request, formatted by hand. By the formatter of `tracing` it
//! would cost half as much as the whole of a small request.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use gateway_core::Timestamp;

use crate::{config::LogFormat, sink::Sink};

/// What a line says. No value needs escaping: names of mounts and namespaces are plain by
/// configuration, everything else is a constant or a number.
pub(crate) struct Line<'a> {
    /// When the request came.
    pub(crate) began: Timestamp,
    pub(crate) took: Duration,
    pub(crate) request_id: &'a str,
    pub(crate) mount: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) method: &'a str,
    pub(crate) status: u16,
    pub(crate) route: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) outcome: &'a str,
    pub(crate) cause: &'a str,
    pub(crate) replayed: bool,
}

/// Takes the lines; by default, and while the level is above `info`, into nothing.
#[derive(Clone, Default)]
pub struct AccessLog(Option<Open>);

#[derive(Clone)]
struct Open {
    sink: Arc<Sink>,
    form: Form,
    is_on: Arc<AtomicBool>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Json,
    Plain,
    /// For a terminal.
    Colored,
}

thread_local! {
    static LINE: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(1024));
}

impl AccessLog {
    pub(crate) fn new(sink: Arc<Sink>, format: LogFormat, is_terminal: bool, is_on: Arc<AtomicBool>) -> Self {
        let form = match format {
            LogFormat::Json => Form::Json,
            LogFormat::Pretty if is_terminal => Form::Colored,
            LogFormat::Pretty => Form::Plain,
        };
        Self(Some(Open { sink, form, is_on }))
    }

    pub(crate) fn write(&self, line: &Line<'_>) {
        let Some(Open { sink, form, is_on }) = &self.0 else { return };
        if !is_on.load(Ordering::Relaxed) {
            return;
        }
        LINE.with_borrow_mut(|out| {
            out.clear();
            line.put(*form, out);
            sink.push(out);
        });
    }
}

impl Line<'_> {
    fn put(&self, form: Form, out: &mut Vec<u8>) {
        match form {
            Form::Json => out.extend_from_slice(b"{\"timestamp\":\""),
            Form::Plain => {}
            Form::Colored => out.extend_from_slice(b"\x1b[2m"),
        }
        instant(self.began.saturating_add(self.took.try_into().unwrap_or_default()), out);
        out.extend_from_slice(match form {
            Form::Json => b"\",\"level\":\"INFO\",\"message\":\"request\"".as_slice(),
            Form::Plain => b"  INFO interlingua::access: request",
            Form::Colored => b"\x1b[0m \x1b[32m INFO\x1b[0m \x1b[2minterlingua::access:\x1b[0m request",
        });
        let mut row = Row { form, out };
        row.text("request_id", self.request_id);
        row.text("mount", self.mount);
        row.text("namespace", self.namespace);
        row.text("method", self.method);
        row.number("status", self.status.into());
        row.text("route", self.route);
        row.text("operation", self.operation);
        row.text("outcome", self.outcome);
        row.text("cause", self.cause);
        row.bare("replayed", if self.replayed { b"true" } else { b"false" });
        row.number("took_us", u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX));
        out.extend_from_slice(match form {
            Form::Json => b",\"target\":\"interlingua::access\"}\n".as_slice(),
            Form::Plain | Form::Colored => b"\n",
        });
    }
}

/// A line that is being filled with its fields.
struct Row<'o> {
    form: Form,
    out: &'o mut Vec<u8>,
}

impl Row<'_> {
    fn name(&mut self, name: &str) {
        let (before, after): (&[u8], &[u8]) = match self.form {
            Form::Json => (b",\"", b"\":"),
            Form::Plain => (b" ", b"="),
            Form::Colored => (b" \x1b[3m", b"\x1b[0m\x1b[2m=\x1b[0m"),
        };
        self.out.extend_from_slice(before);
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(after);
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(b'"');
    }

    fn bare(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        self.out.extend_from_slice(value);
    }

    fn number(&mut self, name: &str, mut value: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = digit(value % 10);
            value /= 10;
            if value == 0 {
                break;
            }
        }
        self.bare(name, &digits[at..]);
    }
}

/// `2026-03-14T15:45:00.000000Z`.
fn instant(at: Timestamp, out: &mut Vec<u8>) {
    let year = u64::from(at.year().unsigned_abs());
    let parts = [
        (year, 4, b'-'),
        (u8::from(at.month()).into(), 2, b'-'),
        (at.day().into(), 2, b'T'),
        (at.hour().into(), 2, b':'),
        (at.minute().into(), 2, b':'),
        (at.second().into(), 2, b'.'),
        (at.microsecond().into(), 6, b'Z'),
    ];
    for (value, width, end) in parts {
        for place in (0..width).rev() {
            out.push(digit(value / 10_u64.pow(place) % 10));
        }
        out.push(end);
    }
}

/// The last digit of a number.
fn digit(value: u64) -> u8 {
    b'0' + (value % 10).to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::utc_datetime;

    fn text(form: Form) -> String {
        let line = Line {
            began: utc_datetime!(2026-03-04 05:59:59.999_999),
            took: Duration::from_micros(1_000_001),
            request_id: "4e03821b-98e9-4ae2-a9ed-6f56ea3b85b1",
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
        line.put(form, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_as_those_of_other_events() {
        assert_eq!(
            text(Form::Json),
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
        assert_eq!(text(Form::Plain), plain);
        let mut colored = text(Form::Colored);
        for escape in ["\x1b[0m", "\x1b[2m", "\x1b[3m", "\x1b[32m"] {
            colored = colored.replace(escape, "");
        }
        assert_eq!(colored, plain);
    }
}
