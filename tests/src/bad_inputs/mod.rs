//! Bad inputs: each is sent to a gateway process under watch, in each dialect that it concerns.

mod bend;
mod format;
mod judge;
mod listing;
mod scripts;
mod webhook;

use std::collections::BTreeMap;

use gateway_testkit::client::{Connection, RawRequest, RawResponse, encode};

use self::format::{Conn, Kind, Step};
pub use self::{
    format::{Case, Dialect, Dialects, Group, dialects, group},
    listing::{against_the_collection, report},
};
use crate::{Bed, Watched, canary};

/// The groups, by the names of their files.
pub const GROUPS: [&str; 16] = [
    "headers",
    "auth-key",
    "auth-bearer",
    "auth-jwt",
    "signature",
    "timestamp",
    "idempotency",
    "json",
    "fields-partner",
    "fields-wrapper",
    "jsonapi",
    "patch",
    "path-ids",
    "tenancy",
    "scim",
    "webhook",
];

/// The conformance cases' mounts, and what bad inputs need beside them.
#[must_use]
pub fn bed() -> Bed {
    Bed::with(&format!(
        "{}\n{}",
        include_str!("../mounts.toml"),
        include_str!("../../bad-inputs/mounts.toml")
    ))
}

/// Runs bad inputs.
pub struct Runner {
    watched: Watched,
    dialects: Dialects,
    /// The first answer of each kind that has one face only.
    faces: BTreeMap<(String, Dialect), String>,
}

impl Runner {
    /// Starts a gateway, and watches it.
    #[must_use]
    pub fn start() -> Self {
        let mut watched = Watched::start(&bed());
        for secret in canary::SECRETS {
            watched.mark(secret);
        }
        Self { watched, dialects: dialects(), faces: BTreeMap::new() }
    }

    /// Runs a group; with all that is wrong.
    #[must_use]
    pub fn run(&mut self, group: &Group) -> Vec<String> {
        let mut wrong = Vec::new();
        for (at, case) in group.cases.iter().enumerate() {
            if let Some(script) = &case.script {
                let found = scripts::run(script, &self.watched);
                wrong.extend(found.into_iter().map(|line| format!("{} ({script}): {line}", case.id)));
            } else {
                for dialect in &case.on {
                    let found = self.run_case(case, *dialect, at);
                    let place = format!("{} ({}, {})", case.id, dialect.name(), case.input);
                    wrong.extend(found.into_iter().map(|line| format!("{place}: {line}")));
                }
            }
        }
        wrong.extend(self.watched.complaints().into_iter().map(|line| format!("{}: {line}", group.name)));
        wrong
    }

    /// Stops the gateway; with all that is wrong at the end.
    #[must_use]
    pub fn stop(self) -> Vec<String> {
        self.watched.stop()
    }

    /// Makes the case's user and runs the steps.
    fn run_case(&mut self, case: &Case, dialect: Dialect, at: usize) -> Vec<String> {
        let id = format!("bad-{at}-{}-{}", case.id, dialect.name());
        let mut wrong = Vec::new();
        if case.user {
            let made = self.watched.connect().send(&bend::user(&self.dialects.dialect[&dialect], &id));
            match made {
                Ok(made) if made.status == 201 => {}
                Ok(made) => return vec![format!("no user: {}", judge::status_and_code(&made))],
                Err(error) => return vec![format!("no user: {error}")],
            }
        }
        let mut sent: Vec<RawRequest> = Vec::new();
        for (number, step) in case.step.iter().enumerate() {
            let request = match step.again {
                Some(earlier) => bend::again(step, &sent[earlier], &id),
                None => bend::request(step, &self.dialects.dialect[&dialect], dialect, &id),
            };
            for _ in 0..step.times {
                let found = self.run_step(step, dialect, &id, &request);
                wrong.extend(found.into_iter().map(|line| format!("step {number}: {line}")));
            }
            sent.push(request);
        }
        wrong
    }

    fn run_step(&mut self, step: &Step, dialect: Dialect, id: &str, request: &RawRequest) -> Vec<String> {
        for text in canary::of(request) {
            self.watched.mark(text);
        }
        let mut connection = self.watched.connect();
        let before = self.watched.written();
        let mut bytes = encode(request);
        if step.lengthless {
            bytes = String::from_utf8_lossy(&bytes).replacen("Content-Length: 0\r\n", "", 1).into_bytes();
        }
        let answer = connection.write(&bytes).and_then(|()| connection.read(request.method == "HEAD"));
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return vec![format!("no answer: {error}")],
        };
        let after = self.watched.written();
        let (kind, expected) = expectation(&self.dialects, step, dialect);
        let mut wrong = judge::judge(step, &expected, dialect, id, request, &answer);
        let writes = after.commits - before.commits;
        let due = step.writes.of(dialect).copied().unwrap_or(0);
        if writes != due || (due == 0 && after != before) {
            wrong.push(format!("{writes} commits instead of {due}"));
        }
        if let Some((name, kind)) = kind
            && kind.identical
            && wrong.is_empty()
        {
            wrong.extend(self.compare(name, dialect, &answer));
        }
        wrong.extend(self.connection_is_as_said(step, &mut connection, &answer).err());
        wrong
    }

    /// Holds all answers of one kind to the first.
    fn compare(&mut self, kind: String, dialect: Dialect, answer: &RawResponse) -> Option<String> {
        let face = judge::likeness(answer);
        let first = self.faces.entry((kind, dialect)).or_insert_with(|| face.clone());
        (*first != face).then(|| format!("it tells itself apart:\n{face}\ninstead of\n{first}"))
    }

    fn connection_is_as_said(
        &self,
        step: &Step,
        connection: &mut Connection,
        answer: &RawResponse,
    ) -> Result<(), String> {
        if step.conn == Conn::Close && answer.header("connection") != Some("close") {
            return Err("the connection is kept".into());
        }
        self.watched.in_step(connection, answer)
    }
}

/// The kind that the step expects, if it names one, and its status and code.
fn expectation<'d>(
    dialects: &'d Dialects,
    step: &Step,
    dialect: Dialect,
) -> (Option<(String, &'d Kind)>, String) {
    let text = step.expect.of(dialect).unwrap_or_else(|| panic!("no expectation for {dialect:?}"));
    match dialects.answer.get(text) {
        None => (None, text.clone()),
        Some(kind) => {
            let expected = kind.of(dialect).unwrap_or_else(|| panic!("no `{text}` for {dialect:?}"));
            (Some((text.clone(), kind)), expected.to_owned())
        }
    }
}
