//! The forms of an address: one line or street and number, full postal code or ZIP and +4 (E.3, 2 and 4).

/// Countries that write the number before the street (CLDR, libaddressinput); all others, and an
/// unset country, write it after.
const NUMBER_FIRST: &[&str] = &[
    "AU", "CA", "FR", "GB", "GG", "HK", "IE", "IM", "IN", "JE", "LU", "MC", "MT", "MY", "NG", "NZ", "PH",
    "PK", "SG", "US", "ZA",
];

fn number_first(country: Option<&str>) -> bool {
    country.is_some_and(|code| NUMBER_FIRST.contains(&code))
}

/// `street number` or `number street`, by the country's order.
#[must_use]
pub fn compose_line(street: Option<&str>, number: Option<&str>, country: Option<&str>) -> Option<String> {
    match (street, number) {
        (Some(street), Some(number)) if number_first(country) => Some(format!("{number} {street}")),
        (Some(street), Some(number)) => Some(format!("{street} {number}")),
        (Some(only), None) | (None, Some(only)) => Some(only.to_owned()),
        (None, None) => None,
    }
}

/// The inverse of [`compose_line`]: street and number where the line ends (or begins, by country)
/// in a house number, else the whole line as the street.
#[must_use]
pub fn split_line<'a>(line: &'a str, country: Option<&str>) -> (&'a str, Option<&'a str>) {
    let parts = if number_first(country) {
        line.split_once(' ').map(|(number, street)| (street, number))
    } else {
        line.rsplit_once(' ')
    };
    match parts {
        Some((street, number))
            if is_house_number(number) && !street.is_empty() && street.trim() == street =>
        {
            (street, Some(number))
        }
        _ => (line, None),
    }
}

/// `18`, `12a`, `12-14`, `3/7`: begins with a digit, at most ten of letters, digits, `-` and `/`.
fn is_house_number(text: &str) -> bool {
    text.len() <= 10
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'/')
}

/// ZIP and +4 of a full US code `ddddd-dddd`; any other code has no +4 part.
#[must_use]
pub fn split_zip<'a>(postal_code: &'a str, country: Option<&str>) -> (&'a str, Option<&'a str>) {
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    match postal_code.split_once('-') {
        Some((zip, zip4)) if country == Some("US") && digits(zip, 5) && digits(zip4, 4) => (zip, Some(zip4)),
        _ => (postal_code, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_compose_and_split_by_country() {
        let rows = [
            ("US", "12 Main St", "Main St", Some("12")),
            ("DE", "Haid-und-Neu-Straße 18", "Haid-und-Neu-Straße", Some("18")),
            ("DE", "Hauptstr. 12-14", "Hauptstr.", Some("12-14")),
            ("FR", "12b Rue X", "Rue X", Some("12b")),
            ("DE", "Am Markt", "Am Markt", None),
            ("US", "PO Box 12", "PO Box 12", None),
            ("US", "12  Main", "12  Main", None),
            ("DE", " 12", " 12", None),
        ];
        for (country, line, street, number) in rows {
            assert_eq!(split_line(line, Some(country)), (street, number), "{line}");
            assert_eq!(compose_line(Some(street), number, Some(country)).as_deref(), Some(line));
        }
    }

    #[test]
    fn only_us_codes_split() {
        assert_eq!(split_zip("43551-9331", Some("US")), ("43551", Some("9331")));
        for (code, country) in
            [("43551", "US"), ("43551-933", "US"), ("43551-9331", "DE"), ("a3551-9331", "US")]
        {
            assert_eq!(split_zip(code, Some(country)), (code, None));
        }
    }
}
