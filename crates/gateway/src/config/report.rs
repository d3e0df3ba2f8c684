//! What is wrong with a configuration: all of it, each mistake with its line and a caret.

use std::{
    error::Error,
    fmt,
    io::{IsTerminal, stderr},
};

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use gateway_dialect::{OptionProblem, Span};

use super::{Files, mask, secrets};

/// So many mistakes are shown; the rest is counted.
const SHOWN: usize = 50;

/// One mistake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Mistake {
    /// Where; `None` for what is not in the file, a flag for example.
    span: Option<Span>,
    message: String,
    /// Another place that it is about.
    other: Option<(Span, &'static str)>,
}

impl Mistake {
    pub(super) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span: Some(span), message: message.into(), other: None }
    }

    pub(super) fn nowhere(message: impl Into<String>) -> Self {
        Self { span: None, message: message.into(), other: None }
    }

    pub(super) fn with_other(self, span: Span, label: &'static str) -> Self {
        Self { other: Some((span, label)), ..self }
    }
}

impl From<OptionProblem> for Mistake {
    fn from(problem: OptionProblem) -> Self {
        Self::new(problem.span, problem.message)
    }
}

/// The mistakes of a configuration, in the order of the file. It holds no secret: what the file
/// has of them is starred out on the way in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    path: String,
    source: String,
    mistakes: Vec<Mistake>,
    files: Files,
}

impl Report {
    pub(super) fn new(path: &str, text: &str, mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by_key(|mistake| mistake.span.as_ref().map_or((0, 0), |span| (span.start, span.end)));
        mistakes.dedup();
        let keys: Vec<_> = mistakes.iter().filter_map(|mistake| key(text, mistake.span.as_ref()?)).collect();
        Self { path: path.to_owned(), source: mask::mask(text, &keys), mistakes, files: Files::default() }
    }

    /// Hides values of several lines too, where the file could be read as TOML.
    pub(super) fn masked(mut self, entries: &[gateway_dialect::Entry]) -> Self {
        mask::mask_values(&mut self.source, entries);
        self
    }

    pub(super) fn with_files(self, files: Files) -> Self {
        Self { files, ..self }
    }

    /// The files that were read, or should have been: when one changes, reading again may help.
    #[must_use]
    pub const fn files(&self) -> &Files {
        &self.files
    }

    /// How many mistakes there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.mistakes.len()
    }

    /// The report as stderr takes it: in colours on a terminal, unless `NO_COLOR` is set.
    #[must_use]
    pub fn for_stderr(&self) -> String {
        let plain = secrets::no_color() || !stderr().is_terminal();
        self.render(&if plain { Renderer::plain() } else { Renderer::styled() })
    }

    fn render(&self, renderer: &Renderer) -> String {
        let mut text = String::new();
        for mistake in self.mistakes.iter().take(SHOWN) {
            text.push_str(&self.render_one(renderer, mistake));
            text.push_str("\n\n");
        }
        let count = match self.mistakes.len() {
            1 => "1 mistake".to_owned(),
            more => format!("{more} mistakes"),
        };
        let shown = if self.mistakes.len() > SHOWN {
            format!("; the first {SHOWN} are shown")
        } else {
            String::new()
        };
        format!("{text}{}: {count}{shown}", self.path)
    }

    fn render_one(&self, renderer: &Renderer, mistake: &Mistake) -> String {
        let title = Level::ERROR.primary_title(mistake.message.as_str());
        let Some(span) = &mistake.span else {
            return renderer.render(&[title.element(Origin::path(self.path.as_str()))]);
        };
        let primary = AnnotationKind::Primary.span(self.clamp(span));
        let other = mistake
            .other
            .as_ref()
            .map(|(span, label)| AnnotationKind::Context.span(self.clamp(span)).label(*label));
        let snippet = Snippet::source(self.source.as_str())
            .path(self.path.as_str())
            .annotation(primary)
            .annotations(other);
        renderer.render(&[title.element(snippet)])
    }

    /// The part of a place that is on its first line: a caret under a whole table helps nobody.
    fn clamp(&self, span: &Span) -> Span {
        let start = span.start.min(self.source.len());
        let rest = self.source.get(start..).unwrap_or_default();
        let line = rest.find(['\r', '\n']).unwrap_or(rest.len());
        start..span.end.clamp(start, start + line)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Renderer::plain()))
    }
}

impl Error for Report {}

/// The line of a place, counted from 1.
pub(super) fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// The place, where it is a key's: a `=` follows.
fn key(text: &str, span: &Span) -> Option<Span> {
    let after = text.get(span.end..)?;
    after.trim_start_matches([' ', '\t']).starts_with('=').then(|| span.clone())
}
