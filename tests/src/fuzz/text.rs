//! Texts and values: strict JSON, checks, codecs, addresses, routes.

use gateway::registry::DIALECTS;
use gateway_core::{
    address::{compose_line, split_line, split_zip},
    check,
};
use gateway_dialect::{
    Access, Json, Mode, Resolution, Verb, decode_segment,
    json::{self, MAX_DEPTH, MAX_MEMBERS},
    resolve,
};

use super::seeds::NOW;

/// What only we refuse.
const LIMITS: [&str; 6] = [
    "nested too deeply",
    "too many members",
    "duplicate member name",
    "U+0000 in a string",
    "a number that cannot be kept exactly",
    "a number that is not finite",
];
/// How else we refuse.
const SYNTAX: [&str; 3] = ["not UTF-8 at byte ", "unexpected end at line ", "syntax error at line "];

/// Strict JSON is what `serde_json` takes, less what the limits name; it is printed as it was read, and
/// what is wrong with it is said in words of ours.
pub(super) fn json(bytes: &[u8]) -> bool {
    let loose = serde_json::from_slice::<serde_json::Value>(bytes);
    match json::parse(bytes) {
        Ok(tree) => {
            let loose = loose.expect("strict JSON is JSON");
            assert_eq!(serde_json::to_value(&tree).unwrap(), loose);
            let mut members = 0;
            assert!(count(&tree, 0, &mut members) <= bytes.len());
            assert!(members <= MAX_MEMBERS);
            let printed = serde_json::to_vec(&tree).unwrap();
            assert!(json::parse(&printed) == Ok(tree.clone()), "printed as {}", printed.escape_ascii());
            assert!(tree.clone().into_owned() == tree);
            true
        }
        Err(malformed) => {
            let said = malformed.to_string();
            let is_limit = LIMITS.iter().any(|limit| said.starts_with(limit));
            assert!(is_limit || SYNTAX.iter().any(|start| said.starts_with(start)), "{said}");
            assert!(loose.is_err() || is_limit, "refused: {said}");
            let words = SYNTAX.iter().chain(&LIMITS).copied().chain([" column , at byte"]);
            let known =
                |letter: char| letter.is_ascii_digit() || words.clone().any(|one| one.contains(letter));
            assert!(said.chars().all(known), "{said}");
            false
        }
    }
}

/// The values of a tree.
fn count(json: &Json<'_>, depth: usize, members: &mut usize) -> usize {
    assert!(depth <= MAX_DEPTH);
    1 + match json {
        Json::Array(items) => items.iter().map(|item| count(item, depth + 1, members)).sum(),
        Json::Object(inner) => {
            *members += inner.len();
            inner.iter().map(|(_, value)| count(value, depth + 1, members)).sum()
        }
        _ => 0,
    }
}

/// Checks that other rules imply.
pub(super) fn checks(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    if let Ok(name) = check::sanitized_username(text) {
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'_'));
        assert_eq!(check::sanitized_username(&name).as_deref(), Ok(&*name));
    }
    let email = check::email(text).is_ok();
    if email {
        assert!(text.len() <= 254 && !text.contains(char::is_control));
        let (local, domain) = text.rsplit_once('@').unwrap();
        assert!(!local.is_empty() && local.len() <= 64 && domain.contains('.'), "{text:?}");
        assert!(domain.split('.').all(|label| (1..=63).contains(&label.len())), "{text:?}");
    }
    let url = check::web_url(text).is_ok();
    if url {
        // The fragment is no part of a request's target, and so unknown to `Uri`.
        let uri: http::Uri =
            text.split('#').next().unwrap().parse().unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert!(matches!(uri.scheme_str(), Some("http" | "https")), "{text:?}");
        assert!(uri.host().is_some_and(|host| !host.is_empty()), "{text:?}");
        assert!(!uri.authority().unwrap().as_str().contains('@'), "{text:?}");
    }
    let postal = check::canadian_postal_code(text);
    if let Ok(code) = &postal {
        assert_eq!(code.len(), 7);
        assert_eq!(check::canadian_postal_code(code).as_ref(), Ok(code));
        assert_eq!(code.replace(' ', ""), text.replace(' ', ""));
    }
    let locale = check::locale(text).is_ok();
    if locale {
        assert!(text.len() <= 35 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
    }
    let zone = check::time_zone(text).is_ok();
    if check::printable(text).is_ok() {
        assert!(!text.trim().is_empty() && !text.contains(char::is_control));
        assert_eq!(check::length(text, 1, u16::MAX).is_ok(), text.chars().count() <= usize::from(u16::MAX));
    }
    if check::country(text).is_ok() || check::language(text).is_ok() {
        assert!(text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase()));
    }
    email || url || postal.is_ok() || locale || zone
}

/// What a row of any vocabulary reads, it writes so that it reads the same again.
pub(super) fn codecs(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let json = json::parse(bytes).unwrap_or(Json::Text(text.into()));
    let today = NOW.date();
    let mut taken = false;
    for dialect in DIALECTS.iter().map(|row| row.with_defaults()) {
        let table = dialect.fields();
        for row in table.rows().iter().filter(|row| !row.codec.is_free_text || text.len() < 64) {
            let Ok(change) = table.read_value(row, &json, Mode::Update, today) else { continue };
            let Some(value) = &change.value else { continue };
            taken |= !row.codec.is_free_text;
            if row.access != Access::WriteOnly {
                let again = table.read_value(row, &row.codec.write(value), Mode::Update, today);
                assert_eq!(again.as_ref(), Ok(&change), "{} {}", dialect.name(), row.codec.name);
            }
        }
    }
    taken
}

/// `country \n line`: what is divided comes together again.
pub(super) fn address(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let (country, line) = text.split_once('\n').unwrap_or(("", text));
    let country = Some(country).filter(|country| !country.is_empty());
    let (street, number) = split_line(line, country);
    assert_eq!(compose_line(Some(street), number, country).as_deref(), Some(line));
    assert_eq!(number.is_some(), street.len() < line.len());
    let (zip, zip4) = split_zip(line, country);
    let joined = zip4.map_or(zip.to_owned(), |zip4| format!("{zip}-{zip4}"));
    assert_eq!(joined, line);
    number.is_some() || zip4.is_some()
}

/// `METHOD path`, below every dialect's prefix: a route is found where its template, filled in, is the
/// path again; a segment is decoded once.
pub(super) fn route(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let (method, path) = text.split_once(' ').unwrap_or(("GET", text));
    let verb = http::Method::from_bytes(method.as_bytes()).ok().as_ref().and_then(Verb::of);
    let mut found = false;
    for dialect in DIALECTS.iter().map(|row| row.with_defaults()) {
        match resolve(dialect.routes(), verb, path) {
            Resolution::Found(target) => {
                found = true;
                assert_eq!(Some(target.route.verb), verb);
                let filled: Vec<&str> = target
                    .route
                    .template
                    .split('/')
                    .map(|segment| {
                        let name = segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}'));
                        name.map_or(segment, |name| target.parameter(name).unwrap())
                    })
                    .collect();
                let filled = filled.join("/");
                assert!(filled == path || format!("{filled}/") == path, "{path:?} as {filled:?}");
            }
            Resolution::OtherMethods(template) => {
                assert!(
                    dialect
                        .routes()
                        .iter()
                        .all(|route| route.template != template || Some(route.verb) != verb)
                );
            }
            Resolution::Nowhere => {}
        }
    }
    for segment in path.split('/') {
        let decoded = decode_segment(segment);
        assert_eq!(
            decoded.as_deref().map(str::as_bytes),
            by_hand(segment).filter(|bytes| std::str::from_utf8(bytes).is_ok()).as_deref(),
            "{segment:?}"
        );
    }
    found
}

/// RFC 3986, 2.1, byte by byte.
fn by_hand(segment: &str) -> Option<Vec<u8>> {
    let mut bytes = segment.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        decoded.push(if byte == b'%' { u8::try_from(digit()? * 16 + digit()?).ok()? } else { byte });
    }
    Some(decoded)
}
