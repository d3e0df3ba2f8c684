//! Settings as a dialect, an authenticator or the gateway reads them: each key by name, with its
//! type and bounds; every mistake is collected with the place where it stands.

use std::{cell::RefCell, fmt, ops::RangeInclusive};

use zeroize::Zeroizing;

/// A place in the configuration file, in bytes.
pub type Span = std::ops::Range<usize>;

/// A value as the file has it.
#[derive(Clone, Debug, PartialEq)]
pub enum OptionValue {
    /// A string.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// A boolean.
    Flag(bool),
    /// An array.
    List(Vec<(OptionValue, Span)>),
    /// A table.
    Table(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub name: String,
    /// Where the key stands.
    pub name_span: Span,
    /// Its value.
    pub value: OptionValue,
    /// Where the value stands.
    pub span: Span,
}

/// A mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionProblem {
    /// Where.
    pub span: Span,
    /// What, in a sentence.
    pub message: String,
}

/// A secret. It has no `Debug` and no `Display`, and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    bytes: Zeroizing<Vec<u8>>,
    is_demo: bool,
}

impl Secret {
    /// Wraps a secret; `is_demo` marks one that is shipped and so known to everybody.
    #[must_use]
    pub fn new(bytes: Vec<u8>, is_demo: bool) -> Self {
        Self { bytes: Zeroizing::new(bytes), is_demo }
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// True for a shipped one.
    #[must_use]
    pub const fn is_demo(&self) -> bool {
        self.is_demo
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Where secrets come from: `env:NAME`, `file:/path`, or a shipped demo value.
pub trait SecretSource {
    /// Resolves a reference.
    ///
    /// # Errors
    /// A sentence that names the reference, never a secret.
    fn resolve(&self, reference: &str) -> Result<Secret, String>;

    /// Reads a file that is no secret.
    ///
    /// # Errors
    /// A sentence that names the file, never its content.
    fn file(&self, path: &str) -> Result<Vec<u8>, String> {
        Err(format!("there is no file `{path}`"))
    }
}

/// A table of settings being read. Ask for every key, then call [`Options::finish`].
pub struct Options<'a> {
    entries: Vec<(Entry, bool)>,
    known: Vec<&'static str>,
    span: Span,
    problems: &'a RefCell<Vec<OptionProblem>>,
    secrets: &'a dyn SecretSource,
}

impl<'a> Options<'a> {
    /// Begins to read a table; `span` is where it is named.
    #[must_use]
    pub fn new(
        entries: Vec<Entry>,
        span: Span,
        problems: &'a RefCell<Vec<OptionProblem>>,
        secrets: &'a dyn SecretSource,
    ) -> Self {
        let entries = entries.into_iter().map(|entry| (entry, false)).collect();
        Self { entries, known: Vec::new(), span, problems, secrets }
    }

    /// Where the table is named.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// Where a key's value stands, else where the table is named.
    #[must_use]
    pub fn span_of(&self, name: &str) -> Span {
        self.entries
            .iter()
            .find(|(entry, _)| entry.name == name)
            .map_or_else(|| self.span(), |(entry, _)| entry.span.clone())
    }

    /// Notes a mistake at a key's value.
    pub fn problem(&self, name: &str, message: impl Into<String>) {
        self.problem_at(self.span_of(name), message);
    }

    /// Notes a mistake at a place.
    pub fn problem_at(&self, span: Span, message: impl Into<String>) {
        self.problems.borrow_mut().push(OptionProblem { span, message: message.into() });
    }

    fn take(&mut self, name: &'static str) -> Option<(OptionValue, Span)> {
        self.known.push(name);
        let (entry, used) = self.entries.iter_mut().find(|(entry, _)| entry.name == name)?;
        *used = true;
        Some((entry.value.clone(), entry.span.clone()))
    }

    fn wrong(&self, span: Span, name: &str, expected: &str) {
        self.problem_at(span, format!("`{name}` must be {expected}"));
    }

    /// A string.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        match self.take(name)? {
            (OptionValue::Text(text), _) => Some(text),
            (_, span) => {
                self.wrong(span, name, "a string");
                None
            }
        }
    }

    /// A string that must be there.
    pub fn required_text(&mut self, name: &'static str) -> Option<String> {
        if !self.has(name) {
            self.problem_at(self.span(), format!("`{name}` is missing"));
        }
        self.text(name)
    }

    /// A string or a list of strings, with their places.
    pub fn texts(&mut self, name: &'static str) -> Vec<(String, Span)> {
        let items = match self.take(name) {
            Some((OptionValue::List(items), _)) => items,
            Some(one) => vec![one],
            None => Vec::new(),
        };
        let mut texts = Vec::new();
        for item in items {
            match item {
                (OptionValue::Text(text), span) => texts.push((text, span)),
                (_, span) => self.wrong(span, name, "a string or a list of strings"),
            }
        }
        texts
    }

    /// One of these strings, else the first.
    pub fn choice<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)], default: T) -> T {
        let Some((value, span)) = self.take(name) else { return default };
        let found = match &value {
            OptionValue::Text(text) => choices.iter().find(|(choice, _)| choice == text),
            _ => None,
        };
        found.map_or_else(
            || {
                let names: Vec<_> = choices.iter().map(|(choice, _)| format!("\"{choice}\"")).collect();
                self.wrong(span, name, &names.join(" or "));
                default
            },
            |(_, value)| *value,
        )
    }

    /// An integer within bounds.
    pub fn integer(&mut self, name: &'static str, bounds: RangeInclusive<i64>) -> Option<i64> {
        match self.take(name)? {
            (OptionValue::Integer(number), _) if bounds.contains(&number) => Some(number),
            (_, span) => {
                self.wrong(span, name, &format!("an integer from {} to {}", bounds.start(), bounds.end()));
                None
            }
        }
    }

    /// A share, from 0 to 1.
    pub fn share(&mut self, name: &'static str) -> Option<f64> {
        let share = match self.take(name)? {
            (OptionValue::Float(share), _) if (0.0..=1.0).contains(&share) => Some(share),
            (OptionValue::Integer(0), _) => Some(0.0),
            (OptionValue::Integer(1), _) => Some(1.0),
            _ => None,
        };
        if share.is_none() {
            self.problem(name, format!("`{name}` must be a number from 0 to 1"));
        }
        share
    }

    /// A boolean, else the default.
    pub fn flag(&mut self, name: &'static str, default: bool) -> bool {
        match self.take(name) {
            None => default,
            Some((OptionValue::Flag(flag), _)) => flag,
            Some((_, span)) => {
                self.wrong(span, name, "true or false");
                default
            }
        }
    }

    /// One to `most` secrets by reference (a string, or a list of strings).
    pub fn secrets(&mut self, name: &'static str, most: usize) -> Vec<Secret> {
        let references = self.texts(name);
        if references.is_empty() {
            self.problem(name, format!("`{name}` is missing"));
        }
        if references.len() > most {
            self.problem(name, format!("`{name}` takes {most} values at most"));
        }
        let mut secrets = Vec::new();
        for (reference, span) in references {
            match self.secrets.resolve(&reference) {
                Ok(secret) => secrets.push(secret),
                Err(message) => self.problem_at(span, message),
            }
        }
        secrets
    }

    /// One secret by reference, where the key is given.
    pub fn secret(&mut self, name: &'static str) -> Option<Secret> {
        if self.has(name) { self.secrets(name, 1).pop() } else { None }
    }

    /// The content of a file that is no secret, where the key is given.
    pub fn file(&mut self, name: &'static str) -> Option<Vec<u8>> {
        let path = self.text(name)?;
        if path.is_empty() || path.contains(char::is_control) {
            self.problem(name, format!("`{name}` must be the path of a file"));
            return None;
        }
        let read = self.secrets.file(&path);
        read.map_err(|why| self.problem(name, why)).ok()
    }

    /// A table of its own.
    pub fn table(&mut self, name: &'static str) -> Option<Options<'a>> {
        match self.take(name)? {
            (OptionValue::Table(entries), span) => Some(self.inner(entries, span)),
            (_, span) => {
                self.wrong(span, name, "a table");
                None
            }
        }
    }

    /// A table of its own, or an empty one where there is none.
    pub fn table_or_empty(&mut self, name: &'static str) -> Options<'a> {
        self.table(name).unwrap_or_else(|| self.inner(Vec::new(), self.span()))
    }

    /// An array of tables.
    pub fn tables(&mut self, name: &'static str) -> Vec<Options<'a>> {
        let (items, span) = match self.take(name) {
            None => return Vec::new(),
            Some((OptionValue::List(items), span)) => (items, span),
            Some(other) => (vec![other.clone()], other.1),
        };
        let mut tables = Vec::new();
        for item in items {
            match item {
                (OptionValue::Table(entries), span) => tables.push(self.inner(entries, span)),
                _ => self.wrong(span.clone(), name, "an array of tables"),
            }
        }
        tables
    }

    fn inner(&self, entries: Vec<Entry>, span: Span) -> Self {
        Options::new(entries, span, self.problems, self.secrets)
    }

    /// True where the key is given.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(entry, _)| entry.name == name)
    }

    /// Ends the reading: every key that nobody asked for is a mistake.
    pub fn finish(self) {
        for (entry, _) in self.entries.iter().filter(|(_, used)| !used) {
            let guess = match closest(&entry.name, self.known.iter().copied()) {
                Some(known) => format!("; did you mean `{known}`?"),
                None => String::new(),
            };
            let known = self.known.join(", ");
            let message = format!("unknown key `{}`{guess} (known here: {known})", entry.name);
            self.problem_at(entry.name_span.clone(), message);
        }
    }
}

/// The known name that this one is most likely a slip of: at most a third of its letters off.
pub fn closest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    known
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, delete or replace to get from one to the other (Levenshtein, one row).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("span", &self.span).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_the_known_name() {
        let known = ["listen", "admin", "secret", "api_key", "max_body_bytes"];
        for (slip, meant) in [
            ("secrt", Some("secret")),
            ("sceret", Some("secret")),
            ("apikey", Some("api_key")),
            ("max_body_byte", Some("max_body_bytes")),
            ("listen", Some("listen")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(closest(slip, known), meant, "{slip}");
        }
    }
}
