//! A validation webhook of ours, and a mount that asks it.

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex},
};

use gateway::webhook::{
    keys::Keys,
    receiver::{self, Answer, Asked, Decide},
};
use gateway_dialect::Secret;
use gateway_testkit::client::{RawRequest, encode};
use tokio::{net::TcpListener, runtime::Runtime};
use uuid::Uuid;

use crate::Party;

/// What the webhook and the gateway both know.
pub const SECRET: &str = "demo-webhook-secret";

/// A running webhook.
pub struct Hook {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    runtime: Option<Runtime>,
}

impl Hook {
    /// Starts one that decides on each question.
    #[must_use]
    pub fn start(decide: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::with_secret(SECRET, decide)
    }

    /// The same with another secret.
    #[must_use]
    pub fn with_secret(secret: &str, decide: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        let decide: Decide = Arc::new(move |question: &Asked| {
            noted.lock().unwrap().push(question.clone());
            decide(question)
        });
        let keys = Keys::new(&[Secret::new(secret.as_bytes().to_vec(), false)]);
        runtime.spawn(async move { receiver::serve(listener, keys, decide).await.unwrap() });
        Self { address, asked, runtime: Some(runtime) }
    }

    /// All questions so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The mount `/guarded` beside the mounts of the cases, with more lines for its webhook.
    #[must_use]
    pub fn bed(&self, more: &str) -> String {
        bed(&format!(
            "url = \"http://{}/hook\"\nallow_private = true\nsecret = \"{SECRET}\"\n{more}",
            self.address
        ))
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        // A decision that is still waited for is given up.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The mounts of the conformance cases, and one with this webhook over the users of `/social`.
#[must_use]
pub fn bed(webhook: &str) -> String {
    format!(
        "{}\n[[mount]]\nname = \"guarded\"\nprefix = \"/guarded\"\ndialect = \"update\"\n\
         namespace = \"{{projectId}}\"\n\n[[mount.client]]\nname = \"guarded-service\"\n\
         token = \"demo-service-token\"\nproject = \"proj1234\"\n\n[mount.webhook]\n{webhook}\n",
        include_str!("mounts.toml")
    )
}

/// Changes a user through the mount with the webhook.
#[must_use]
pub fn update(user: Uuid, key: Option<Uuid>, text: &str) -> RawRequest {
    guarded(Party::Update.update(user, key.unwrap_or_default(), text), key)
}

/// The same with another body.
#[must_use]
pub fn update_with(user: Uuid, body: &str) -> RawRequest {
    RawRequest { body: body.as_bytes().to_vec(), ..update(user, None, "") }
}

fn guarded(mut request: RawRequest, key: Option<Uuid>) -> RawRequest {
    request.target = request.target.replacen("/social/", "/guarded/", 1);
    if key.is_none() {
        request.headers.retain(|(name, _)| name != "Idempotency-Key");
    }
    request
}

/// Sends a request, and goes away without its answer.
pub fn send_and_leave(address: SocketAddr, request: &RawRequest, leave: impl FnOnce()) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&encode(request)).unwrap();
    leave();
}
