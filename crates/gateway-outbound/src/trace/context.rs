//! W3C Trace Context: `traceparent` and `tracestate`.

use std::num::{NonZeroU64, NonZeroU128};

use http::{HeaderMap, HeaderName, HeaderValue};

/// Names a span, and says whether it is recorded.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What others have to say of a trace; opaque.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// `00-{32 digits}-{16 digits}-{2 digits}`.
const LENGTH: usize = 55;
const SAMPLED: u8 = 1;
/// Level 2: the trace id is random. Whoever keeps the id keeps the flag.
const RANDOM: u8 = 2;
/// What is passed on of a `tracestate`: all of it within these limits, else nothing.
const STATE_BYTES: usize = 512;
const STATE_MEMBERS: usize = 32;

/// A place in a trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: NonZeroU128,
    /// The span in it.
    pub span_id: NonZeroU64,
    flags: u8,
    state: Option<HeaderValue>,
}

impl TraceContext {
    /// A place in a trace of our own.
    #[must_use]
    pub const fn new(trace_id: NonZeroU128, span_id: NonZeroU64, is_sampled: bool) -> Self {
        Self { trace_id, span_id, flags: if is_sampled { SAMPLED } else { 0 }, state: None }
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn with_span(&self, span_id: NonZeroU64) -> Self {
        Self { span_id, ..self.clone() }
    }

    /// Whether its spans are recorded.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// What the headers of a request say; `None` where they say nothing, or it is malformed.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(TRACEPARENT).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else { return None };
        let (trace_id, span_id, flags) = parse(line.as_bytes())?;
        Some(Self { trace_id, span_id, flags: flags & (SAMPLED | RANDOM), state: state(headers) })
    }

    /// Says it to another server, in place of what the headers said before.
    pub fn write(&self, headers: &mut HeaderMap) {
        let Self { trace_id, span_id, flags, state } = self;
        if let Ok(value) = HeaderValue::try_from(format!("00-{trace_id:032x}-{span_id:016x}-{flags:02x}")) {
            headers.insert(TRACEPARENT, value);
        }
        match state {
            Some(state) => headers.insert(TRACESTATE, state.clone()),
            None => headers.remove(TRACESTATE),
        };
    }
}

/// Trace, span and flags. Of later versions that much is read, and the rest may be anything.
fn parse(line: &[u8]) -> Option<(NonZeroU128, NonZeroU64, u8)> {
    let (known, rest) = line.split_at_checked(LENGTH)?;
    let [v1, v2, b'-', rest_of_known @ ..] = known else { return None };
    let (trace_id, rest_of_known) = rest_of_known.split_at_checked(32)?;
    let [b'-', rest_of_known @ ..] = rest_of_known else { return None };
    let (span_id, rest_of_known) = rest_of_known.split_at_checked(16)?;
    let [b'-', f1, f2] = rest_of_known else { return None };
    let is_well_ended = match number(&[*v1, *v2])? {
        0 => rest.is_empty(),
        0xff => false,
        _ => matches!(rest, [] | [b'-', ..]),
    };
    if !is_well_ended {
        return None;
    }
    let trace_id = NonZeroU128::new(number(trace_id)?)?;
    let span_id = NonZeroU64::new(u64::try_from(number(span_id)?).ok()?)?;
    Some((trace_id, span_id, u8::try_from(number(&[*f1, *f2])?).ok()?))
}

/// A number in hexadecimal digits, lower case only.
fn number(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

/// All lines as one, as they came; `None` where there is none, or what is there breaks the rules.
fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut lines = headers.get_all(TRACESTATE).iter();
    let first = lines.next()?;
    let whole = match lines.next() {
        None => first.clone(),
        Some(second) => {
            let all: Vec<_> = [first, second].into_iter().chain(lines).map(HeaderValue::as_bytes).collect();
            HeaderValue::from_bytes(&all.join(&b","[..])).ok()?
        }
    };
    is_state(whole.as_bytes()).then_some(whole)
}

fn is_state(text: &[u8]) -> bool {
    if text.len() > STATE_BYTES {
        return false;
    }
    let mut keys = Vec::new();
    for member in text.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|one| !one.is_empty()) {
        let Some(equals) = member.iter().position(|byte| *byte == b'=') else { return false };
        let (key, value) = (&member[..equals], &member[equals + 1..]);
        if !is_key(key) || !is_value(value) || keys.contains(&key) || keys.len() == STATE_MEMBERS {
            return false;
        }
        keys.push(key);
    }
    !keys.is_empty()
}

fn is_key(key: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    key.len() <= 256
        && key.first().is_some_and(is_plain)
        && key.iter().all(|byte| is_plain(byte) || b"_-*/@".contains(byte))
}

fn is_value(value: &[u8]) -> bool {
    (1..=256).contains(&value.len())
        && value.iter().all(|byte| matches!(byte, b' '..=b'~') && !b",=".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn read(line: &str) -> Option<TraceContext> {
        TraceContext::read(&headers(&[(TRACEPARENT, line)]))
    }

    #[test]
    fn what_was_read_is_said_again() {
        for (line, said, is_sampled) in [
            (GOOD, GOOD, true),
            (&*GOOD.replace("-01", "-00"), &*GOOD.replace("-01", "-00"), false),
            (&*GOOD.replace("-01", "-ff"), &*GOOD.replace("-01", "-03"), true),
            (&*GOOD.replacen("00-", "cc-", 1), GOOD, true),
            (&*format!("{}-what the future brings", GOOD.replacen("00-", "fe-", 1)), GOOD, true),
        ] {
            let context = read(line).expect(line);
            assert_eq!(context.is_sampled(), is_sampled, "{line}");
            let mut out = headers(&[(TRACEPARENT, "before"), (TRACESTATE, "a=before")]);
            context.write(&mut out);
            assert_eq!(out, headers(&[(TRACEPARENT, said)]));
        }
    }

    #[test]
    fn what_is_malformed_says_nothing() {
        for line in [
            "",
            "00",
            &GOOD[..54],
            &format!("{GOOD}-"),
            &format!("{GOOD}0"),
            &GOOD.to_uppercase(),
            &GOOD.replacen("00-", "ff-", 1),
            &GOOD.replacen("00-", "0g-", 1),
            &format!("{}.x", GOOD.replacen("00-", "01-", 1)),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &GOOD.replace("-00f0", "_00f0"),
            &GOOD.replace("-01", "-0G"),
            &GOOD.replace("4bf", "+bf"),
            &format!(" {GOOD}")[..55],
        ] {
            assert_eq!(read(line), None, "{line}");
        }
        assert_eq!(TraceContext::read(&headers(&[(TRACEPARENT, GOOD), (TRACEPARENT, GOOD)])), None);
        assert_eq!(TraceContext::read(&headers(&[(TRACESTATE, "a=b")])), None);
    }

    #[test]
    fn a_state_is_passed_on_whole_or_not_at_all() {
        let said = |lines: &[&str]| {
            let lines = lines.iter().map(|line| (TRACESTATE, *line));
            let lines: Vec<_> = [(TRACEPARENT, GOOD)].into_iter().chain(lines).collect();
            let mut out = HeaderMap::new();
            TraceContext::read(&headers(&lines)).unwrap().write(&mut out);
            out.get(TRACESTATE).map(|state| state.to_str().unwrap().to_owned())
        };
        let many = |count: usize| (0..count).map(|at| format!("k{at}=v")).collect::<Vec<_>>().join(",");
        let long = |length: usize| format!("a={}", "x".repeat(length - 2));
        let long = |length: usize| format!("{},b{}", long(200), &long(length - 202));
        for good in ["a=b", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", "a=b , ,t@s=c d", "0a=b", &many(32)] {
            assert_eq!(said(&[good]).as_deref(), Some(good));
        }
        assert_eq!(said(&["a=1", "b=2", "c=3"]).as_deref(), Some("a=1,b=2,c=3"));
        assert!(said(&[&long(450)]).is_some());
        for bad in ["", " ,", "a", "=b", "a=", "A=b", "a=b=c", "a=b,a=c", "@a=b", &many(33), &long(513)] {
            assert_eq!(said(&[bad]), None, "{bad}");
        }
        assert_eq!(said(&["a=1", "a=2"]), None);
    }
}
