//! The files of `tests/bad-inputs`.
//!
//! `dialects.toml` says what a good request is in each dialect, and what each kind of answer is. Every
//! other file is a group of cases. A case bends good requests: what a step does not name is good. In
//! all texts `$EACH` is the value of a row of `each`, which makes a case of every row; the placeholders
//! of the conformance cases hold too, and in bodies `$HEX(c0af)` is bytes that are no text.

use std::{collections::BTreeMap, fs, path::PathBuf};

use gateway_testkit::cases::Sign;
use serde::{Deserialize, de::DeserializeOwned};

use crate::root;

/// A dialect, as the cases name it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// `dialect-partner`
    Partner,
    /// `dialect-update`
    Wrapper,
    /// `dialect-jsonapi`
    Jsonapi,
    /// `dialect-jsonpatch`
    Patch,
}

impl Dialect {
    /// The name in the cases.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Partner => "partner",
            Self::Wrapper => "wrapper",
            Self::Jsonapi => "jsonapi",
            Self::Patch => "patch",
        }
    }
}

/// `dialects.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dialects {
    /// Good requests.
    pub dialect: BTreeMap<Dialect, Good>,
    /// Kinds of answers.
    pub answer: BTreeMap<String, Kind>,
}

/// Good requests of a dialect. `$WHO` is the user, `$VALUE` a text that is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Good {
    /// The value of `$WHO`.
    pub who: String,
    /// The credential; a signature where there is none.
    pub authorization: Option<String>,
    /// The media type of its bodies.
    pub content_type: String,
    /// Makes the user.
    pub create: GoodRequest,
    /// Changes the user.
    pub update: GoodRequest,
    /// Reads the user.
    pub read: GoodRequest,
}

/// A good request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoodRequest {
    /// Method and target.
    pub request: String,
    /// The body.
    #[serde(default)]
    pub body: String,
    /// `$VALUE`, as JSON, unless the step has another.
    #[serde(default)]
    pub value: String,
}

/// A kind of answer: status and code in each dialect.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// `400 bad_request`
    pub partner: Option<String>,
    /// The same of the wrapper.
    pub wrapper: Option<String>,
    /// The same of JSON:API.
    pub jsonapi: Option<String>,
    /// The same of JSON Patch.
    pub patch: Option<String>,
    /// True where all such answers of a dialect are the same bytes, but for the request's id.
    #[serde(default)]
    pub identical: bool,
    /// The decision that gives these codes, where the collection of bad inputs asks for others.
    pub overrides: Option<String>,
}

impl Kind {
    /// Status and code in a dialect.
    #[must_use]
    pub fn of(&self, dialect: Dialect) -> Option<&str> {
        let given = match dialect {
            Dialect::Partner => &self.partner,
            Dialect::Wrapper => &self.wrapper,
            Dialect::Jsonapi => &self.jsonapi,
            Dialect::Patch => &self.patch,
        };
        given.as_deref()
    }
}

/// A group of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    /// The dialects of a case that names none.
    on: Vec<Dialect>,
    #[serde(default)]
    case: Vec<toml::Table>,
    #[serde(default)]
    not_applicable: Vec<NotApplicable>,
}

/// Cases that cannot be run, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotApplicable {
    /// Their ids.
    pub ids: Vec<String>,
    /// The reason.
    pub why: String,
}

/// A group of cases, by its file's name.
#[derive(Debug)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The cases, rows of `each` taken apart.
    pub cases: Vec<Case>,
    /// What is not run.
    pub not_applicable: Vec<NotApplicable>,
}

/// One bad input.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Its id in the collection of bad inputs.
    pub id: String,
    /// What is bad about it.
    pub input: String,
    /// The dialects that it is sent to.
    #[serde(default)]
    pub on: Vec<Dialect>,
    /// The settled decision that gives another answer than the collection asks for, and how.
    pub overridden: Option<String>,
    /// False where no user is made first.
    #[serde(default = "yes")]
    pub user: bool,
    /// The steps; the last is the one that the collection speaks of.
    #[serde(default)]
    pub step: Vec<Step>,
    /// What is run instead of steps (`scripts.rs`).
    pub script: Option<String>,
}

/// The same for every dialect, or one for each.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum By<T> {
    /// The same.
    Same(T),
    /// By dialect.
    Each(BTreeMap<Dialect, T>),
}

impl<T> By<T> {
    /// What holds in a dialect.
    #[must_use]
    pub fn of(&self, dialect: Dialect) -> Option<&T> {
        match self {
            Self::Same(value) => Some(value),
            Self::Each(values) => values.get(&dialect),
        }
    }
}

/// Which good request is bent.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// The one that makes a user.
    Create,
    /// The one that changes the user.
    #[default]
    Update,
    /// The one that reads it.
    Read,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Conn {
    /// It serves the next request.
    #[default]
    Keep,
    /// It is closed.
    Close,
}

/// A request, as a good one bent, and its answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The request that is bent.
    #[serde(default)]
    pub good: Verb,
    /// Another method and target.
    pub request: Option<By<String>>,
    /// Another user in the target.
    pub who: Option<String>,
    /// What stands behind the path.
    #[serde(default)]
    pub query: String,
    /// More headers.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Another media type; `none` for no header.
    pub content_type: Option<String>,
    /// Another credential; `none` for no header and no signature.
    pub authorization: Option<By<String>>,
    /// Another body.
    pub body: Option<By<String>>,
    /// Another value, as JSON.
    pub value: Option<By<String>>,
    /// True where the body is sent as UTF-16.
    #[serde(default)]
    pub utf16: bool,
    /// How it is signed.
    #[serde(default)]
    pub sign: Sign,
    /// The bytes of an earlier step of this case are sent again.
    pub again: Option<usize>,
    /// Headers that it is sent again without.
    #[serde(default)]
    pub without: Vec<String>,
    /// How often it is sent.
    #[serde(default = "once")]
    pub times: usize,
    /// A kind of answer, or status and code.
    pub expect: By<String>,
    /// How many commits it makes.
    #[serde(default = "no_writes")]
    pub writes: By<u64>,
    /// What becomes of the connection.
    #[serde(default)]
    pub conn: Conn,
    /// What stands in the answer's body.
    pub shows: Option<By<String>>,
    /// Headers of the answer.
    #[serde(default)]
    pub answer_headers: Vec<(String, String)>,
    /// Headers that the answer lacks.
    #[serde(default)]
    pub answer_lacks: Vec<String>,
    /// True where a refusal may say a text of the request, as a seed has it.
    #[serde(default)]
    pub echoes: bool,
}

const fn yes() -> bool {
    true
}

const fn once() -> usize {
    1
}

const fn no_writes() -> By<u64> {
    By::Same(0)
}

fn folder() -> PathBuf {
    root().join("tests/bad-inputs")
}

fn read<T: DeserializeOwned>(path: &std::path::Path) -> T {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Good requests and kinds of answers.
#[must_use]
pub fn dialects() -> Dialects {
    read(&folder().join("dialects.toml"))
}

/// A group, by the name of its file.
#[must_use]
pub fn group(name: &str) -> Group {
    let raw: RawGroup = read(&folder().join(format!("{name}.toml")));
    let cases = raw.case.into_iter().flat_map(|case| rows(name, &raw.on, case)).collect();
    Group { name: name.to_owned(), cases, not_applicable: raw.not_applicable }
}

/// A case of every row of `each`.
fn rows(group: &str, on: &[Dialect], mut case: toml::Table) -> Vec<Case> {
    let each = case.remove("each").map(|rows| rows.try_into::<Vec<(String, String)>>().unwrap());
    let rows = match each {
        None => vec![case],
        Some(rows) => rows.iter().map(|(id, value)| row(&case, id, value)).collect(),
    };
    let read = |row: toml::Table| {
        let text = row.to_string();
        let mut case: Case = row.try_into().unwrap_or_else(|error| panic!("{group}: {error}\n{text}"));
        if case.on.is_empty() {
            case.on = on.to_vec();
        }
        case
    };
    rows.into_iter().map(read).collect()
}

fn row(case: &toml::Table, id: &str, value: &str) -> toml::Table {
    let mut row = toml::Value::Table(case.clone());
    fill(&mut row, value);
    let toml::Value::Table(mut row) = row else { unreachable!() };
    row.insert("id".into(), id.into());
    row
}

fn fill(node: &mut toml::Value, value: &str) {
    match node {
        toml::Value::String(text) => *text = text.replace("$EACH", value),
        toml::Value::Array(items) => items.iter_mut().for_each(|item| fill(item, value)),
        toml::Value::Table(members) => members.iter_mut().for_each(|(_, member)| fill(member, value)),
        _ => {}
    }
}
