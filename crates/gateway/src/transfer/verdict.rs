//! What came of lines: how many users were made, how many were there, and why a line was refused.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// What came of a chunk.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// Users made, or found fit to be made.
    pub created: u64,
    /// Users that were there already, just so.
    pub there: u64,
    /// Lines refused, in their order.
    pub refused: Vec<Refusal>,
}

impl Verdict {
    /// The lines refused, as they are reported: a JSON object each.
    #[must_use]
    pub fn report(&self) -> String {
        self.refused.iter().map(Refusal::to_line).collect()
    }
}

/// Why a line was refused. Holds nothing of what the line holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// The number of the line.
    pub line: u64,
    /// Everything that is wrong with it.
    pub errors: Vec<Flaw>,
}

/// One thing that is wrong with a line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Flaw {
    /// Where: a JSON pointer; empty for the whole line.
    pub pointer: Cow<'static, str>,
    /// A sentence.
    pub detail: Cow<'static, str>,
}

impl Flaw {
    /// Of a member.
    pub fn at(pointer: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }

    /// Of the line as a whole.
    pub fn whole(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::at("", detail)
    }
}

impl Refusal {
    /// A line that is longer than this.
    #[must_use]
    pub fn too_long(line: u64, longest: usize) -> Self {
        Self { line, errors: vec![Flaw::whole(format!("Must be at most {longest} bytes"))] }
    }

    /// A JSON object and the end of the line.
    #[must_use]
    pub fn to_line(&self) -> String {
        // Numbers and texts cannot fail.
        serde_json::to_string(self).map(|text| text + "\n").unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_line_of_json() {
        let errors = vec![Flaw::at("/email", "Is required"), Flaw::whole("Is \"odd\"")];
        let verdict = Verdict { refused: vec![Refusal { line: 7, errors }], ..Verdict::default() };
        let expected = r#"{"line":7,"errors":[{"pointer":"/email","detail":"Is required"},{"pointer":"","detail":"Is \"odd\""}]}"#;
        assert_eq!(verdict.report(), format!("{expected}\n"));
    }
}
