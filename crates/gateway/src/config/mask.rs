//! Keeps secrets out of the source lines that a report shows.
//!
//! It reads lines, not TOML: a file with a syntax error must not show its secrets either. What is
//! hidden is every value under a secret's name, or a name close to one, that is no reference.

use gateway_dialect::{Entry, OptionValue, Span, closest};

use super::secrets::Reference;

/// Names whose values are secret, alone or as the end of a longer name.
const NAMES: [&str; 8] = [
    "api_key",
    "secret",
    "encryption_key",
    "password",
    "token",
    "token_sha256",
    "password_sha256",
    "password_argon2",
];

/// The text with its secrets starred out, byte for byte as long. `keys` are keys whose values are
/// hidden whatever they are called: an unknown key may be any known one, misspelt.
pub(super) fn mask(text: &str, keys: &[Span]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut goes_on = false;
    let mut start = 0;
    let mut place = Place::Elsewhere;
    for line in text.split_inclusive('\n') {
        place = place.after(line);
        let key = keys
            .iter()
            .find(|key| (start..start + line.len()).contains(&key.start) && may_hold_text(text, key));
        let from = match key {
            Some(key) => Some((key.end - start).min(line.len())),
            None if goes_on && !begins_anew(line) => Some(0),
            None => secret_name_end(line, place.on(line)),
        };
        goes_on = from.is_some();
        match from.and_then(|at| line.split_at_checked(at)) {
            Some((plain, hidden)) => {
                shown.push_str(plain);
                hide(hidden, &mut shown);
            }
            None => shown.push_str(line),
        }
        start += line.len();
    }
    shown
}

/// The places of all strings under secret names, for values of several lines.
pub(super) fn mask_values(shown: &mut String, entries: &[Entry]) {
    for entry in entries {
        let place = if entry.name == "store" { Place::Store } else { Place::Elsewhere };
        mask_entry(shown, entry, place);
    }
}

fn mask_entry(shown: &mut String, entry: &Entry, place: Place) {
    let mut inside = |inner: &[Entry]| inner.iter().for_each(|entry| mask_entry(shown, entry, place));
    match &entry.value {
        OptionValue::Table(inner) => inside(inner),
        value if is_secret(&entry.name, place) => mask_texts(shown, value, &entry.span),
        OptionValue::List(items) => {
            for (item, _) in items {
                if let OptionValue::Table(inner) = item {
                    inside(inner);
                }
            }
        }
        _ => {}
    }
}

/// Where a key stands: the URL of a store, or of shared limits, holds a password; that of another server is
/// no secret.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Store,
    Elsewhere,
}

impl Place {
    /// Where the lines after this one are; a table that is called like a store's may be one, misspelt.
    fn after(self, line: &str) -> Self {
        match line.trim_start().strip_prefix('[') {
            Some(table) if table.trim_start_matches(['[', ' ']).starts_with("sto") => Self::Store,
            Some(table) if table.contains("limits") => Self::Store,
            Some(_) => Self::Elsewhere,
            None => self,
        }
    }

    /// Where the keys on this line are.
    fn on(self, line: &str) -> Self {
        if ["postgres", "store", "limits"].iter().any(|name| line.contains(name)) {
            Self::Store
        } else {
            self
        }
    }
}

fn mask_texts(shown: &mut String, value: &OptionValue, span: &Span) {
    match value {
        OptionValue::List(items) => items.iter().for_each(|(item, span)| mask_texts(shown, item, span)),
        OptionValue::Text(text) if matches!(Reference::parse(text), Reference::Literal) => {
            if let Some(raw) = shown.get(span.clone()) {
                let quotes = |c: char| c == '"' || c == '\'';
                let stars = raw.chars().map(|c| if c == '\n' || quotes(c) { c.into() } else { stars(c) });
                let stars: String = stars.collect();
                shown.replace_range(span.clone(), &stars);
            }
        }
        _ => {}
    }
}

/// A number or a boolean tells nothing.
fn may_hold_text(text: &str, key: &Span) -> bool {
    let value = text.get(key.end..).unwrap_or_default().trim_start_matches([' ', '\t', '=']);
    value.starts_with(['"', '\'', '[', '{'])
}

/// A new key or table: whatever the line before left open is over.
fn begins_anew(line: &str) -> bool {
    let line = line.trim_start();
    let name = line.trim_start_matches(|c: char| is_name(c) || c == '.');
    line.starts_with('[') || (name.len() < line.len() && name.trim_start().starts_with('='))
}

/// Where the first secret name outside of strings ends.
fn secret_name_end(line: &str, place: Place) -> Option<usize> {
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let at = line.len() - rest.len();
        let length = match first {
            '"' | '\'' => string_end(rest).unwrap_or(rest.len()),
            _ if is_name(first) => rest.find(|c| !is_name(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        // A quoted name is a key only where a `=` follows.
        let is_key = is_name(first) || after.trim_start().starts_with('=');
        if is_key && is_secret(token.trim_matches(['"', '\'']), place) {
            return Some(at + length);
        }
        rest = after;
    }
    // Under whatever key, in a file that may not be TOML.
    line.find("postgres://").or_else(|| line.find("postgresql://"))
}

/// Stars for all but blanks, brackets, commas, the first `=` and whole references.
fn hide(text: &str, shown: &mut String) {
    let mut rest = text;
    let mut seen_equals = false;
    while let Some(first) = rest.chars().next() {
        let string = matches!(first, '"' | '\'').then(|| string_end(rest)).flatten();
        let (token, after) = rest.split_at(string.unwrap_or(first.len_utf8()));
        match string {
            Some(length) if length >= 2 => {
                let inner = &token[1..length - 1];
                let is_plain = !matches!(Reference::parse(inner), Reference::Literal);
                shown.push(first);
                let starred = inner.chars().map(|c| if is_plain { c.into() } else { stars(c) });
                shown.extend(starred);
                shown.push(first);
            }
            _ if first.is_ascii_whitespace() || matches!(first, '[' | ']' | '{' | '}' | ',') => {
                shown.push(first);
            }
            _ if first == '=' && !seen_equals => {
                seen_equals = true;
                shown.push(first);
            }
            _ => shown.push_str(&stars(first)),
        }
        rest = after;
    }
}

/// As many stars as the letter has bytes.
fn stars(letter: char) -> String {
    "*".repeat(letter.len_utf8())
}

/// Behind the closing quote of the string that the text begins with, on the same line.
fn string_end(text: &str) -> Option<usize> {
    let quote = text.chars().next()?;
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return None,
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            _ if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

const fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn is_secret(name: &str, place: Place) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    (place == Place::Store && closest(&name, ["url"]).is_some())
        || closest(&name, NAMES).is_some()
        || NAMES.iter().any(|secret| name.strip_suffix(secret).is_some_and(|rest| rest.ends_with('_')))
        || name.ends_with("_key")
        // The path of a TLS key, where its content may have been put by mistake.
        || name == "key"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_starred_and_lengths_kept() {
        for (line, shown) in [
            ("secret = \"hunter2\"", "secret = \"*******\""),
            ("secret = \"env:PARTNER_SECRET\"", "secret = \"env:PARTNER_SECRET\""),
            ("secret = \"file:/run/secret\"", "secret = \"file:/run/secret\""),
            ("secret = \"env:not a name\"", "secret = \"**************\""),
            ("secret = [\"env:OLD\", 'hunter2']", "secret = [\"env:OLD\", '*******']"),
            ("secret = \"hunter2", "secret = ********"),
            ("secret = hunter2", "secret = *******"),
            ("secret \"hunter2\"", "secret \"*******\""),
            ("secret: \"hun\\\"ter2\"", "secret* \"*********\""),
            ("\"secret\" = 'é'", "\"secret\" = '**'"),
            ("# secret = \"hunter2\"", "# secret = \"*******\""),
            ("secret = \"env:NAME\" # hunter2", "secret = \"env:NAME\" * *******"),
            ("secrt = \"hunter2\"", "secrt = \"*******\""),
            ("api-key = \"hunter2\"", "api-key = \"*******\""),
            ("webhook_secret = \"hunter2\"", "webhook_secret = \"*******\""),
            ("client = [{ name = \"a\", api_key = \"b\" }]", "client = [{ name = \"a\", api_key = \"*\" }]"),
            ("key = \"-----BEGIN\"", "key = \"**********\""),
            ("prefix = \"/token\"", "prefix = \"/token\""),
            ("allow_short_secrets = \"yes\"", "allow_short_secrets = \"yes\""),
            ("listen = \"secret\"", "listen = \"secret\""),
            ("url = \"https://a.example\"", "url = \"https://a.example\""),
            (
                "[store.postgres]\nurl = \"host=h password=p\"",
                "[store.postgres]\nurl = \"*****************\"",
            ),
            ("[store]\npostgres = { url = 'h' }", "[store]\npostgres = { url = '*' }"),
            ("store.postgres.url = \"h\"", "store.postgres.url = \"*\""),
            (
                "[server.shared_limits]\nurl = \"redis://:p@h\"",
                "[server.shared_limits]\nurl = \"************\"",
            ),
            ("shared_limits = { url = \"h\" }", "shared_limits = { url = \"*\" }"),
            ("ulr = \"postgres://u:p@h\"", "ulr = \"*****************"),
            ("[store.postgres]\nurl = \"env:URL\"", "[store.postgres]\nurl = \"env:URL\""),
            ("[store]\n[[mount]]\nurl = \"h\"", "[store]\n[[mount]]\nurl = \"h\""),
        ] {
            assert_eq!(mask(line, &[]), shown);
            assert_eq!(mask(line, &[]).len(), line.len());
        }
    }

    #[test]
    fn values_of_several_lines_are_starred() {
        let text = "secret = [\n  \"hunter2\",\n  'hunter3', # hunter4\n]\nname = \"shown\"\n";
        let shown = "secret = [\n  \"*******\",\n  '*******', * *******\n]\nname = \"shown\"\n";
        assert_eq!(mask(text, &[]), shown);
        let open = "secret = \"\"\"\nhunter2\nhunter3\n[[mount]]\nname = \"shown\"";
        assert!(!mask(open, &[]).contains("hunter"), "{}", mask(open, &[]));
        assert!(mask(open, &[]).ends_with("[[mount]]\nname = \"shown\""));
    }

    #[test]
    fn the_value_of_an_unknown_key_is_starred() {
        let text = "a = 1\nkei = \"hunter2\"\n";
        assert_eq!(mask(text, &[0..1, 6..9]), "a = 1\nkei = \"*******\"\n");
    }
}
