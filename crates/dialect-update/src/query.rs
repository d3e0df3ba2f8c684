//! Query strings: `application/x-www-form-urlencoded`, where `+` is a space.

use gateway_dialect::decode_segment;

/// What a parameter says.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Parameter {
    /// It is not there.
    Absent,
    /// It is there twice, or is not UTF-8 in percent-encoding.
    Unreadable,
    /// Its value, decoded once.
    Text(String),
}

impl Parameter {
    /// Finds a parameter by its name.
    pub(crate) fn of(query: Option<&str>, name: &str) -> Self {
        let pairs =
            query.unwrap_or_default().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let mut values = pairs.filter(|(raw, _)| decode(raw).as_deref() == Some(name)).map(|(_, raw)| raw);
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(raw), None) => decode(raw).map_or(Self::Unreadable, Self::Text),
            (Some(_), Some(_)) => Self::Unreadable,
        }
    }

    /// Its value, where there is one, and it is not empty.
    pub(crate) fn filled(self) -> Option<String> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }
}

fn decode(raw: &str) -> Option<String> {
    decode_segment(&raw.replace('+', " ")).map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_once() {
        let text = |text: &str| Some(text.to_owned());
        for (query, value) in [
            ("username=x+y", text("x y")),
            ("a=1&username=x%2By%2525&b", text("x+y%25")),
            ("user%6eame=%c3%a9", text("é")),
            ("username=a=b", text("a=b")),
            ("username=", None),
            ("username", None),
            ("", None),
            ("Username=x", None),
            ("username=%zz", None),
            ("username=%ff", None),
            ("username=a&username=b", None),
        ] {
            assert_eq!(Parameter::of(Some(query), "username").filled(), value, "{query}");
        }
        assert!(Parameter::of(None, "username") == Parameter::Absent);
        assert!(Parameter::of(Some("username=%zz"), "username") == Parameter::Unreadable);
        assert!(Parameter::of(Some("username="), "username") == Parameter::Text(String::new()));
    }
}
