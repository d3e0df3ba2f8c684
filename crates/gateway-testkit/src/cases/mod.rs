//! Conformance cases: files that a partner could read, run over any transport.
//!
//! A file holds `[[given]]` steps, by name, and `[[case]]`s: a `name`, a `why` that cites the rule,
//! the `given` steps to run first, and `[[case.step]]`s, each a request and the exact answer.
//!
//! In targets, headers, bodies and answers `$ID` is an id that only this case uses, `$USER` a UUID of
//! the same kind (`$USER(upper)` in upper case), `$DATE(-18y+1d)` a date relative to today (UTC),
//! `$REPEAT(x,101)` a repetition, `$KEPT(tag)` what an earlier step's answer had where its `keep` said
//! `{ tag = "ETag" }`, a header, or `{ tag = "/data/id" }`, a pointer into its body. In answers `$UUID`
//! stands for any UUID in lower case, `$SECONDS` for any instant in whole seconds, `$MILLISECONDS` for one
//! in milliseconds, `$FOUR_DIGITS` for a number, `$ETAG` for any strong entity tag without a mark of
//! suspensions.

mod credential;
mod pattern;
mod sign;

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use serde::Deserialize;

pub use credential::credential;
pub use pattern::{expand, generalize, matches};
pub use sign::Sign;

use crate::client::{RawRequest, RawResponse};

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// Steps that cases name.
    #[serde(default)]
    pub given: Vec<Given>,
    /// The cases.
    pub case: Vec<Case>,
}

/// A step that cases name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Its name.
    pub name: String,
    /// The step.
    pub step: Step,
}

/// One fact of the contract.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Unique in its dialect: lower-case words with hyphens.
    pub name: String,
    /// The rule that it shows, with its source.
    pub why: String,
    /// Steps to run first.
    #[serde(default)]
    pub given: Vec<String>,
    /// The steps.
    pub step: Vec<Step>,
}

/// A request, and its exact answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// `METHOD target`.
    pub request: String,
    /// Header lines, in order.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(default)]
    pub body: String,
    /// The body as hex digits, where it is no text.
    pub body_hex: Option<String>,
    /// Which credential the runner adds; for others, headers hold `$JWT({…})` or `$BASIC(user:password)`.
    #[serde(default)]
    pub auth: Auth,
    /// How it is signed; by the demo client when absent.
    #[serde(default)]
    pub sign: Sign,
    /// The status.
    pub status: u16,
    /// Headers that the answer has, by exact value (placeholders allowed).
    #[serde(default)]
    pub answer_headers: Vec<(String, String)>,
    /// Headers that the answer does not have.
    #[serde(default)]
    pub answer_lacks: Vec<String>,
    /// The body of the answer.
    #[serde(default)]
    pub answer: String,
    /// What of the answer later steps name: headers, or places in its body.
    #[serde(default)]
    pub keep: BTreeMap<String, String>,
}

/// Which credential the runner adds to a step.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// The signature of a partner, as `sign` says.
    #[default]
    Partner,
    /// None.
    None,
}

/// Something that takes requests to a gateway.
pub trait Transport {
    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// What went wrong below HTTP.
    fn send(&self, request: RawRequest) -> impl Future<Output = Result<RawResponse, String>>;

    /// A digest of all that the store holds, where the transport can see it.
    fn digest(&self) -> Option<String> {
        None
    }
}

/// Reads every case file of a folder, in the order of their names.
#[must_use]
pub fn load(folder: &Path) -> Vec<(String, CaseFile)> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let file = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.file_name().unwrap().to_string_lossy().into_owned(), file)
    };
    paths.iter().map(read).collect()
}

/// What came of a step: its answer, or why it is not as expected.
pub struct Ran {
    /// The answer, if there was one.
    pub answer: Option<RawResponse>,
    /// What is wrong; empty when all is well.
    pub complaint: String,
}

/// Runs one case; `run` keeps the ids of several runs against one gateway apart.
pub async fn run(
    file: &CaseFile,
    case: &Case,
    run: &str,
    transport: &impl Transport,
    now: time::UtcDateTime,
) -> Vec<Ran> {
    let id = format!("{run}-{}", case.name);
    let named = |name: &String| {
        let given = file.given.iter().find(|given| given.name == *name);
        &given.unwrap_or_else(|| panic!("{}: no given step `{name}`", case.name)).step
    };
    let (mut ran, mut kept) = (Vec::new(), Kept::default());
    for step in case.given.iter().map(named).chain(&case.step) {
        let mut done = run_step(&kept.fill_in(step), &id, transport, now).await;
        if let Some(answer) = &done.answer {
            done.complaint.push_str(&kept.keep(step, answer));
        }
        ran.push(done);
    }
    ran
}

/// What answers had that later steps name.
#[derive(Default)]
struct Kept(BTreeMap<String, String>);

impl Kept {
    /// Keeps what the step says; a complaint about what is not there.
    fn keep(&mut self, step: &Step, answer: &RawResponse) -> String {
        let mut complaint = String::new();
        for (name, place) in &step.keep {
            let found = match place.strip_prefix('/') {
                None => answer.header(place).map(str::to_owned),
                Some(_) => serde_json::from_slice::<serde_json::Value>(&answer.body)
                    .ok()
                    .and_then(|body| Some(body.pointer(place)?.as_str()?.to_owned())),
            };
            match found {
                Some(found) => drop(self.0.insert(name.clone(), found)),
                None => complaint.push_str(&format!("{}: there is no {place}\n", step.request)),
            }
        }
        complaint
    }

    /// The step with what is kept in it.
    fn fill_in(&self, step: &Step) -> Step {
        let mut step = step.clone();
        let fill = |text: &mut String| *text = pattern::call(text, "$KEPT(", |name| self.named(name));
        [&mut step.request, &mut step.body, &mut step.answer].into_iter().for_each(fill);
        step.headers.iter_mut().chain(&mut step.answer_headers).for_each(|(_, value)| fill(value));
        step
    }

    fn named(&self, name: &str) -> String {
        self.0.get(name).unwrap_or_else(|| panic!("no step keeps `{name}`")).clone()
    }
}

async fn run_step(step: &Step, id: &str, transport: &impl Transport, now: time::UtcDateTime) -> Ran {
    let request = prepare(step, id, now);
    let keyed = request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("idempotency-key"));
    let before = transport.digest();
    let answer = match transport.send(request).await {
        Ok(answer) => answer,
        Err(error) => return Ran { answer: None, complaint: format!("{}: {error}", step.request) },
    };
    let mut complaint = compare(step, id, &answer, now);
    // A refused request has written nothing, but for the answer kept with its key.
    if step.status >= 400 && !keyed && transport.digest() != before {
        let _infallible = writeln!(complaint, "{}: refused, but something was written", step.request);
    }
    Ran { answer: Some(answer), complaint }
}

/// The request of a step, expanded and signed.
#[must_use]
pub fn prepare(step: &Step, id: &str, now: time::UtcDateTime) -> RawRequest {
    let (method, target) =
        step.request.split_once(' ').unwrap_or_else(|| panic!("`{}` is not METHOD target", step.request));
    let target = expand(target, id, now);
    let body = match &step.body_hex {
        Some(hex) => from_hex(hex),
        None => expand(&step.body, id, now).into_bytes(),
    };
    let mut headers: Vec<_> =
        step.headers.iter().map(|(name, value)| (name.clone(), expand(value, id, now))).collect();
    for (_, value) in &mut headers {
        *value = credential(value, now);
    }
    if step.auth == Auth::Partner {
        headers.extend(step.sign.headers(method, &target, &body, now));
    }
    RawRequest { method: method.to_owned(), target, headers, body }
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn compare(step: &Step, id: &str, answer: &RawResponse, now: time::UtcDateTime) -> String {
    let mut complaint = String::new();
    let mut note = |line: String| complaint.push_str(&format!("{}: {line}\n", step.request));
    if answer.status != step.status {
        note(format!("status {} instead of {}", answer.status, step.status));
    }
    let body = String::from_utf8_lossy(&answer.body);
    if !matches(&expand(&step.answer, id, now), &body) {
        note(format!("body\n  is       {body}\n  should be {}", step.answer));
    }
    for (name, value) in &step.answer_headers {
        match answer.header(name) {
            Some(found) if matches(&expand(value, id, now), found) => {}
            found => note(format!("header {name} is {found:?}, should be {value:?}")),
        }
    }
    for name in &step.answer_lacks {
        if let Some(found) = answer.header(name) {
            note(format!("header {name} is there: {found:?}"));
        }
    }
    complaint
}
