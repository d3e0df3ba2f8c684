//! `MANIFEST`: what a backup consists of, in TOML, with a hash of each file and one of itself.
//!
//! It reads back only if it is, byte for byte, what would be written for what was read.

use std::fmt::Write as _;

use gateway_core::Timestamp;
use sha2::{Digest as _, Sha256};

pub(crate) const NAME: &str = "MANIFEST";
const FORMAT: &str = "format = 1";
const FILE: &str = "[[file]]";
const OWN: &str = "[manifest]";

/// What a backup consists of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Manifest {
    pub(crate) store: [u8; 16],
    pub(crate) created_at: Timestamp,
    /// The last batch in it.
    pub(crate) batch: u64,
    pub(crate) files: Vec<Entry>,
}

/// A file of a backup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) sha256: [u8; 32],
}

impl Manifest {
    pub(crate) fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).fold(0, u64::saturating_add)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).fold(0, u64::saturating_add)
    }

    pub(crate) fn render(&self) -> String {
        let mut text = format!(
            "{FORMAT}\nstore = \"{}\"\ncreated_at = {}\nbatch = {}\n",
            hex(&self.store),
            instant(self.created_at),
            self.batch
        );
        for Entry { name, rows, bytes, sha256 } in &self.files {
            text += &format!(
                "\n{FILE}\nname = \"{name}\"\nrows = {rows}\nbytes = {bytes}\nsha256 = \"{}\"\n",
                hex(sha256)
            );
        }
        let own = hex(&Sha256::digest(text.as_bytes()));
        text + &format!("\n{OWN}\nsha256 = \"{own}\"\n")
    }

    /// The inverse of [`Manifest::render`]; `None` for anything that is not its output.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().filter(|line| !line.is_empty()).peekable();
        lines.next().filter(|line| *line == FORMAT)?;
        let mut manifest = Self {
            store: unhex(quoted(lines.next()?, "store")?)?,
            created_at: parse_instant(value(lines.next()?, "created_at")?)?,
            batch: value(lines.next()?, "batch")?.parse().ok()?,
            files: Vec::new(),
        };
        while lines.next_if_eq(&FILE).is_some() {
            manifest.files.push(Entry {
                name: quoted(lines.next()?, "name").filter(|name| is_plain(name))?.to_owned(),
                rows: value(lines.next()?, "rows")?.parse().ok()?,
                bytes: value(lines.next()?, "bytes")?.parse().ok()?,
                sha256: unhex(quoted(lines.next()?, "sha256")?)?,
            });
        }
        Some(manifest).filter(|manifest| manifest.render() == text)
    }
}

/// A name that leads nowhere else.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
    !name.is_empty() && name != NAME && !name.starts_with('.') && name.bytes().all(plain)
}

fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix(" = ")
}

fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    value(line, key)?.strip_prefix('"')?.strip_suffix('"')
}

fn instant(at: Timestamp) -> String {
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", at.hour(), at.minute(), at.second())
}

fn parse_instant(text: &str) -> Option<Timestamp> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u16>().ok();
    let small = |range| u8::try_from(number(range)?).ok();
    let month = time::Month::try_from(small(5..7)?).ok()?;
    let date = time::Date::from_calendar_date(number(0..4)?.into(), month, small(8..10)?).ok()?;
    let time = time::Time::from_hms(small(11..13)?, small(14..16)?, small(17..19)?).ok()?;
    Some(Timestamp::new(date, time))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Manifest {
        let file = |name: &str, rows| Entry { name: name.into(), rows, bytes: 9 * rows, sha256: [7; 32] };
        Manifest {
            store: [0xab; 16],
            created_at: time::macros::utc_datetime!(2026-03-01 10:30:59),
            batch: 42,
            files: vec![file("users.created", 0), file("users.rows", 3)],
        }
    }

    #[test]
    fn it_reads_back_and_every_flipped_bit_is_refused() {
        let text = sample().render();
        assert_eq!(Manifest::parse(&text), Some(sample()));
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let read = std::str::from_utf8(&bytes).ok().and_then(Manifest::parse);
            assert_eq!(read, None, "bit {bit}");
        }
        for end in 0..text.len() {
            assert_eq!(Manifest::parse(&text[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn a_file_elsewhere_is_refused() {
        for name in ["../users.rows", "/etc/passwd", "", "..", "MANIFEST", "a b"] {
            let mut manifest = sample();
            manifest.files[1].name = name.to_owned();
            assert_eq!(Manifest::parse(&manifest.render()), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_manifest_or_not(text: String) {
            prop_assert_eq!(Manifest::parse(&text), None);
        }
    }
}
