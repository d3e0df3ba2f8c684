//! What fuzzing starts from: a line for each seed in `fuzz/seeds/TARGET.txt`, and the requests of the
//! conformance cases.

use std::fs;

use gateway_testkit::cases::{Step, prepare};

use super::{Target, dialects};
use crate::root;

/// The moment of every target.
pub(super) const NOW: time::UtcDateTime = time::macros::utc_datetime!(2026-03-01 12:00);

/// The seeds of a target, the empty input among them.
#[must_use]
pub fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let path = root().join("fuzz/seeds").join(target.name).with_extension("txt");
    let text = fs::read(&path).unwrap_or_default();
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#"));
    let written = lines.map(unescaped);
    let cases = crate::dialects()
        .into_iter()
        .filter(|(name, _)| target.name == "whole" || name.strip_prefix("dialect-") == Some(target.name));
    let steps = cases
        .flat_map(|(_, files)| files)
        .flat_map(|(_, file)| {
            let given = file.given.into_iter().map(|given| given.step);
            given.chain(file.case.into_iter().flat_map(|case| case.step)).collect::<Vec<_>>()
        })
        .map(|step| said(&step));
    [Vec::new()].into_iter().chain(written).chain(steps).collect()
}

/// A step as one text: `METHOD target`, header lines, an empty line, a body.
fn said(step: &Step) -> Vec<u8> {
    let request = prepare(step, "seed", NOW);
    let mut bytes = format!("{} {}\n", request.method, request.target).into_bytes();
    for (name, value) in request.headers.iter().filter(|(name, _)| !dialects::is_signed(name)) {
        bytes.extend_from_slice(format!("{name}: {value}\n").as_bytes());
    }
    bytes.push(b'\n');
    bytes.extend_from_slice(&request.body);
    bytes
}

/// An input as a line of a seed file.
#[must_use]
pub fn escaped(bytes: &[u8]) -> String {
    let line = bytes.escape_ascii().to_string().replace("\\\"", "\"").replace("\\'", "'");
    line.strip_prefix('#').map_or(line.clone(), |rest| format!("\\x23{rest}"))
}

/// The inverse of [`escaped`]: `\n`, `\r`, `\t`, `\xHH`, and the backslash before what stands for itself.
fn unescaped(line: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let Some((&escape, after)) = rest.split_first().filter(|_| first == b'\\') else {
            bytes.push(first);
            continue;
        };
        rest = after;
        bytes.push(match escape {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => {
                let (digits, after) = rest.split_at(2);
                rest = after;
                u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
            }
            itself => itself,
        });
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_written() {
        let all: Vec<u8> = (0..=255).collect();
        for bytes in [&all[..], b"", b"#a", b"\\n", b"\"a\"\\\"", "é".as_bytes()] {
            assert_eq!(unescaped(escaped(bytes).as_bytes()), bytes);
        }
        assert_eq!(unescaped("é\\n\\x00\\\\".as_bytes()), "é\n\0\\".as_bytes());
    }
}
