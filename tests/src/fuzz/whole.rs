//! A whole request to a gateway over the memory store.

use std::{cell::RefCell, sync::Arc};

use gateway_testkit::{
    cases::Transport,
    client::{RawRequest, RawResponse},
};

use super::{credentials, dialects::Spoken, seeds::NOW};
use crate::{Bed, Inside};

/// A gateway forgets after so many requests, for a crash to be made again by few.
const RUNS: u32 = 256;

struct World {
    runtime: tokio::runtime::Runtime,
    inside: Inside,
    runs: u32,
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, inside: Inside::at(&Bed::new(), Arc::new(|| NOW)), runs: 0 }
    }
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

/// Every request is answered with what a mount may answer; no fault is ours; an answer with a key is
/// answered again, byte for byte.
pub(super) fn whole(bytes: &[u8]) -> bool {
    let Some(spoken) = Spoken::read(bytes) else { return false };
    let mut headers = spoken.headers;
    if ["/partner", "/strict", "/proxied"].iter().any(|mount| spoken.target.starts_with(mount))
        && !headers.contains_key("x-request-signature")
    {
        headers.extend(credentials::sign(spoken.method.as_str(), spoken.target, spoken.body));
    }
    // The testkit's client sends text.
    let text = |value: &http::HeaderValue| value.to_str().map(str::to_owned).ok();
    let headers: Option<Vec<_>> =
        headers.iter().map(|(name, value)| Some((name.to_string(), text(value)?))).collect();
    let Some(headers) = headers else { return false };
    let request = RawRequest {
        method: spoken.method.to_string(),
        target: spoken.target.to_owned(),
        headers,
        body: spoken.body.to_vec(),
    };
    WORLD.with_borrow_mut(|world| {
        world.runs += 1;
        if world.runs > RUNS {
            *world = World::new();
        }
        let Some(answer) = send(world, &request) else { return false };
        let is_good = (200..300).contains(&answer.status);
        let has_key = request.headers.iter().any(|(name, _)| name == "idempotency-key");
        if is_good && has_key && ["POST", "PUT", "PATCH"].contains(&&*request.method) {
            let again = send(world, &request).expect("it was sent before");
            assert_eq!((again.status, &again.body), (answer.status, &answer.body));
            assert_eq!(again.header("idempotency-replayed"), Some("true"));
        }
        is_good
    })
}

/// The answer; `None` for what hyper would not let through.
fn send(world: &World, request: &RawRequest) -> Option<RawResponse> {
    request.target.parse::<http::Uri>().ok()?;
    let answer = world.runtime.block_on(world.inside.send(request.clone()));
    let answer = answer.unwrap_or_else(|error| panic!("{error}"));
    let body = String::from_utf8_lossy(&answer.body);
    // Decision 41.
    let is_invalid =
        request.target.starts_with("/supplier") && answer.status == 500 && body.contains("\"code\":1");
    assert!(answer.status < 500 || is_invalid, "{} {body}", answer.status);
    if answer.header("content-type").is_some_and(|value| value.contains("json")) && request.method != "HEAD" {
        assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).is_ok(), "{body}");
    }
    Some(answer)
}
