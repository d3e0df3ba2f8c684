//! Which trace a request belongs to.

use gateway_outbound::trace::{TRACEPARENT, TRACESTATE, TraceContext};
use http::{HeaderMap, HeaderValue};

/// A line of `traceparent`, and lines of `tracestate`: what is taken is what a few lines take, what is said
/// of it is of version 00 and is read the same, and a state is said as it came or not at all.
pub(super) fn traceparent(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let Ok(parent) = HeaderValue::from_bytes(first) else { return false };
    let states: Option<Vec<_>> = lines.map(|line| HeaderValue::from_bytes(line).ok()).collect();
    let Some(states) = states else { return false };
    let mut headers = HeaderMap::from_iter([(TRACEPARENT, parent.clone())]);
    headers.extend(states.iter().map(|state| (TRACESTATE, state.clone())));
    let read = TraceContext::read(&headers);
    assert_eq!(read.is_some(), is_taken(first), "{parent:?}");
    headers.append(TRACEPARENT, parent);
    assert_eq!(TraceContext::read(&headers), None, "two are taken");
    let Some(read) = read else { return false };

    let mut said = HeaderMap::new();
    read.write(&mut said);
    assert_eq!(TraceContext::read(&said).as_ref(), Some(&read));
    let line = said[TRACEPARENT].as_bytes();
    assert!(line.starts_with(b"00-") && line[2..53] == first[2..53], "{line:?}");
    assert!(matches!(line[53..], [b'0', b'0'..=b'3']) && line.len() == 55, "{line:?}");
    assert_eq!(read.is_sampled(), line[54] & 1 == 1);
    if let Some(state) = said.get(TRACESTATE) {
        let came: Vec<_> = states.iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(state.as_bytes(), came.join(&b","[..]));
        assert!(state.len() <= 512 && state.as_bytes().iter().filter(|byte| **byte == b'=').count() <= 32);
    }
    true
}

fn is_taken(line: &[u8]) -> bool {
    const FORM: &str = "(?-u)^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$";
    let form = regex::bytes::Regex::new(FORM).unwrap();
    let Some(parts) = form.captures(line) else { return false };
    let is_zero = |part: usize| parts[part].iter().all(|digit| *digit == b'0');
    let is_known = match &parts[1] {
        b"ff" => false,
        b"00" => parts.get(4).is_none(),
        _ => true,
    };
    is_known && !is_zero(2) && !is_zero(3)
}
