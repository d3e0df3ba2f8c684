//! Words that a POSIX shell reads as they are meant.

/// The text as one word: as it is where that is safe, else in single quotes, in which nothing but
/// the quote itself is special.
#[must_use]
pub fn quote(text: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&b);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_they_must_be() {
        for (text, word) in [
            ("http://127.0.0.1:8080/a/b", "http://127.0.0.1:8080/a/b"),
            ("", "''"),
            ("/a?b=c&d", "'/a?b=c&d'"),
            ("it's", r"'it'\''s'"),
            ("$HOME `id` \\\n!", "'$HOME `id` \\\n!'"),
            ("~", "'~'"),
            ("é", "'é'"),
        ] {
            assert_eq!(quote(text), word);
        }
    }
}
