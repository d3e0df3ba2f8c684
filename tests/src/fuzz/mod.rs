//! Fuzz targets: a row for every parser of ours. Each is a plain function over bytes that asserts what
//! must hold of any input, and says whether the parser took it.
//!
//! `tests/fuzz.rs` replays the seeds and random mutants of them; `scripts/fuzz` runs a target guided by
//! coverage. A bug found becomes a line of `fuzz/seeds/TARGET.txt`.

mod config;
mod connection;
mod credentials;
mod dialects;
mod forwarded;
mod headers;
mod mutate;
mod published;
mod records;
mod rest;
mod seeds;
mod store;
mod text;
mod trace;
mod transfer;
mod whole;

pub use mutate::Mutator;
pub use seeds::{escaped, seeds};

/// A parser, and what must hold of it.
#[derive(Clone, Copy)]
pub struct Target {
    /// The name on the command line, and of the file of seeds.
    pub name: &'static str,
    /// True where the parser took the input. Panics where something does not hold.
    pub run: fn(&[u8]) -> bool,
}

const fn target(name: &'static str, run: fn(&[u8]) -> bool) -> Target {
    Target { name, run }
}

/// Every target.
pub const TARGETS: &[Target] = &[
    // Text and values.
    target("json", text::json),
    target("checks", text::checks),
    target("codecs", text::codecs),
    target("address", text::address),
    target("route", text::route),
    // Headers.
    target("media", headers::media),
    target("idempotency-key", headers::idempotency_key),
    target("digest", headers::digest),
    target("packed-answer", headers::packed_answer),
    target("forwarded", forwarded::forwarded),
    target("traceparent", trace::traceparent),
    // Credentials.
    target("rfc3339", credentials::rfc3339),
    target("signature", credentials::signature),
    target("bearer", credentials::bearer),
    target("jwt", credentials::jwt),
    target("basic", credentials::basic),
    target("jwk-set", published::jwk_set),
    target("jws-header", published::jws_header),
    // A request, as a dialect decodes it.
    target("jsonapi", |bytes| dialects::speak("jsonapi", bytes)),
    target("jsonpatch", |bytes| dialects::speak("jsonpatch", bytes)),
    target("partner", |bytes| dialects::speak("partner", bytes)),
    target("rest", |bytes| dialects::speak("rest", bytes)),
    target("update", |bytes| dialects::speak("update", bytes)),
    // The parts of the rest dialect.
    target("merge-patch", rest::merge_patch),
    target("json-patch", rest::json_patch),
    target("list-query", rest::list_query),
    target("cursor", rest::cursor),
    target("record-query", rest::record_query),
    target("record-page", records::page),
    // A request, as the gateway answers it.
    target("whole", whole::whole),
    // What is imported.
    target("import-lines", transfer::import_lines),
    target("import-chunk", transfer::import_chunk),
    // A connection.
    target("h1-head", connection::h1_head),
    target("h1-chunks", connection::h1_chunks),
    target("h2-frames", connection::h2_frames),
    // What is read from disk.
    target("config", config::config),
    target("record", store::record),
    target("ledger-record", store::ledger_record),
    target("ledger-row", store::ledger_row),
    target("marker", store::marker),
    target("mark", store::mark),
    target("seal", store::seal),
    target("journal", store::journal),
    target("backup-manifest", store::backup_manifest),
    target("backup-rows", store::backup_rows),
];

/// The target of a name.
#[must_use]
pub fn named(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}

/// Stands in seeds where a client has written something of its own: no error repeats it.
const CANARY: &str = "c4n4ry";
