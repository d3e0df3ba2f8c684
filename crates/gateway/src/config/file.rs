//! The file's shape: TOML as a tree of entries that know where they stand.

use std::{fs, io, path::Path};

use gateway_dialect::{Entry, OptionValue, Span};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::report::{Mistake, Report};

/// No configuration is longer; a file that is was put there by mistake, and would take long to refuse.
const MAX_BYTES: u64 = 1024 * 1024;

/// Reads the file as text.
pub(super) fn read(path: &Path) -> Result<String, Report> {
    let name = path.display().to_string();
    let refused = |message: String| Report::new(&name, "", vec![Mistake::nowhere(message)]);
    if path.is_dir() {
        return Err(refused("this is a directory, not a configuration file".to_owned()));
    }
    if fs::metadata(path).is_ok_and(|file| file.len() > MAX_BYTES) {
        return Err(refused(format!("the file is longer than {MAX_BYTES} bytes")));
    }
    let bytes = fs::read(path).map_err(|error| {
        let message = match error.kind() {
            io::ErrorKind::NotFound => "there is no such file".to_owned(),
            _ => format!("the file cannot be read: {error}"),
        };
        refused(message)
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let shown = String::from_utf8_lossy(error.as_bytes());
        let mistake = Mistake::new(at..at + '\u{fffd}'.len_utf8(), "the file is not UTF-8 from here on");
        Report::new(&name, &shown, vec![mistake])
    })
}

/// Reads the text as TOML; every syntax error that the parser finds is a mistake.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, Vec<Mistake>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(entries(table.into_inner()));
    }
    let mut mistakes: Vec<Mistake> = Vec::new();
    let mut lines = Vec::new();
    for error in errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        let line = text.get(..span.start).map_or(0, |before| before.matches('\n').count());
        // What follows on the line of a first error is most often its echo.
        if !lines.contains(&line) {
            lines.push(line);
            mistakes.push(Mistake::new(span, format!("not TOML: {}", error.message())));
        }
    }
    Err(mistakes)
}

fn entries(table: DeTable<'_>) -> Vec<Entry> {
    let entry = |(name, value): (Spanned<_>, Spanned<DeValue<'_>>)| {
        let (name_span, (value, span)) = (name.span(), shape(value));
        let name: std::borrow::Cow<'_, str> = name.into_inner();
        Entry { name: name.into_owned(), name_span, value, span }
    };
    let mut entries: Vec<_> = table.into_iter().map(entry).collect();
    entries.sort_by_key(|entry| entry.name_span.start);
    entries
}

fn shape(value: Spanned<DeValue<'_>>) -> (OptionValue, Span) {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::String(text) => OptionValue::Text(text.into_owned()),
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
            .map_or(OptionValue::Float(f64::INFINITY), OptionValue::Integer),
        DeValue::Float(digits) => OptionValue::Float(digits.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => OptionValue::Flag(flag),
        // No setting is a date: any shape that none takes will do.
        DeValue::Datetime(_) => OptionValue::Float(f64::NAN),
        DeValue::Array(items) => OptionValue::List(items.into_iter().map(shape).collect()),
        DeValue::Table(table) => OptionValue::Table(entries(table)),
    };
    (value, span)
}
