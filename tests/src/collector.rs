//! A collector of OpenTelemetry spans for tests: it keeps what it is sent, and misbehaves when told to.
//! Plain HTTP on loopback.

use std::{
    io::BufReader,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::issuer::{Mood, answer, request};

/// What a good collector says.
const TAKEN: &str = r#"{"partialSuccess":{}}"#;

struct State {
    mood: Mood,
    /// Heads and bodies.
    requests: Vec<(String, String)>,
    /// Connections that hang.
    hung: Vec<TcpStream>,
}

/// A collector.
pub struct Collector {
    /// Where it is.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Collector {
    /// Starts one.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { mood: Mood::Well, requests: Vec::new(), hung: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        // Ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(stream.unwrap(), &shared));
            }
        });
        Self { address, state }
    }

    /// Answers so from now on.
    pub fn be(&self, mood: Mood) {
        let mut state = self.state.lock().unwrap();
        state.mood = mood;
        state.hung.clear();
    }

    /// The table that exports to it, with more lines; at once, or nearly so.
    #[must_use]
    pub fn table(&self, more: &str) -> String {
        table(self.address, more)
    }

    /// What it was sent, whole: heads and bodies.
    #[must_use]
    pub fn requests(&self) -> Vec<(String, String)> {
        self.state.lock().unwrap().requests.clone()
    }

    /// All spans so far, of whatever it took or refused.
    #[must_use]
    pub fn spans(&self) -> Vec<Exported> {
        let inner = |value: &Value, name: &str| value[name].as_array().unwrap().clone();
        let mut spans = Vec::new();
        for (_, body) in self.requests() {
            let whole: Value = serde_json::from_str(&body).unwrap();
            for resource in inner(&whole, "resourceSpans") {
                for scope in inner(&resource, "scopeSpans") {
                    spans.extend(inner(&scope, "spans").into_iter().map(Exported));
                }
            }
        }
        spans
    }

    /// Waits for a span that is looked for.
    #[must_use]
    pub fn span(&self, what: &str, is_it: impl Fn(&Exported) -> bool) -> Exported {
        for _ in 0..3_000 {
            if let Some(found) = self.spans().into_iter().find(&is_it) {
                return found;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("no span came: {what}; {:?}", self.spans());
    }
}

/// The table that exports to an address.
#[must_use]
pub fn table(address: SocketAddr, more: &str) -> String {
    format!("\n[otel]\nendpoint = \"http://{address}\"\ninterval_ms = 10\n{more}\n")
}

/// A span as it came.
#[derive(Clone, PartialEq, Debug)]
pub struct Exported(pub Value);

impl Exported {
    /// A member that is a string; empty where it is not there.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    /// An attribute, as text.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.0["attributes"].as_array().unwrap().iter().find(|one| one["key"] == name)?;
        found["value"]["stringValue"].as_str().or_else(|| found["value"]["intValue"].as_str())
    }

    /// Whether it says that it failed.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.0["status"]["code"] == 2
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    let Some(whole) = request(&mut reader) else { return };
    let mut state = state.lock().unwrap();
    state.requests.push(whole);
    let (status, content) = match &state.mood {
        Mood::Well => (200, TAKEN.to_owned()),
        Mood::Down => return,
        Mood::Hang => return state.hung.push(reader.into_inner()),
        Mood::Status(status) => (*status, String::new()),
        Mood::Body(content) => (200, content.clone()),
    };
    drop(state);
    answer(reader.into_inner(), status, &content);
}
