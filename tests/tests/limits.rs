//! Rate limits: what clients are told of them, and gateways that count together.

use gateway_testkit::{
    cases::Transport,
    client::{Connection, RawRequest, RawResponse},
};
use tests::{Bed, Inside, Process, partner, valkey::Valkey};
use uuid::Uuid;

/// A REST mount and a partner mount, each with a burst, and then one request an hour.
fn config(burst: u32, shared: &str) -> String {
    format!(
        r#"
[server]
listen = "127.0.0.1:0"
admin = "127.0.0.1:0"
{shared}

[log]
format = "json"

[store]
kind = "embedded"

[store.embedded]
path = "$DIR/data"

[[mount]]
name = "rest"
prefix = "/api/v1"
dialect = "rest"
namespace = "*"
rate_limit = {{ requests = 1, per_s = 3600, burst = {burst} }}

[[mount.client]]
name = "demo-admin"
token = "demo-admin-token"

[[mount]]
name = "partner"
prefix = "/partner/v1"
dialect = "partner"
namespace = "demo-partner"
rate_limit = {{ requests = 1, per_s = 3600, burst = {burst} }}

[[mount.client]]
name = "demo-partner"
api_key = "demo-partner-key"
secret = "demo-partner-secret"
"#
    )
}

fn read() -> RawRequest {
    let headers = vec![("Authorization".into(), "Bearer demo-admin-token".into())];
    let target = format!("/api/v1/users/{}", Uuid::new_v4());
    RawRequest { method: "GET".into(), target, headers, body: Vec::new() }
}

/// What is left, and after how many seconds there is more.
fn told(answer: &RawResponse) -> (u32, u32) {
    let limit = answer.header("ratelimit").unwrap_or_else(|| panic!("no RateLimit: {answer:?}"));
    let (left, after) = limit.strip_prefix("\"default\";r=").unwrap().split_once(";t=").unwrap();
    (left.parse().unwrap(), after.parse().unwrap())
}

#[tokio::test]
async fn clients_are_told_how_they_stand() {
    let gateway = Inside::new(&Bed::with(&config(3, "")));
    let unknown = RawRequest { headers: Vec::new(), ..read() };
    let answer = gateway.send(unknown).await.unwrap();
    assert_eq!(
        (answer.status, answer.header("ratelimit"), answer.header("ratelimit-policy")),
        (401, None, None)
    );
    for (status, left) in [(404, 2), (404, 1), (404, 0), (429, 0), (429, 0)] {
        let answer = gateway.send(read()).await.unwrap();
        assert_eq!((answer.status, told(&answer).0), (status, left));
        assert_eq!(answer.header("ratelimit-policy"), Some("\"default\";q=3;w=10800"));
        let after = told(&answer).1;
        assert!((1..=3600).contains(&after), "{after}");
        let is_over = status == 429;
        assert_eq!(answer.header("retry-after"), is_over.then(|| after.to_string()).as_deref());
    }
    // Other dialects have no such headers (decision 11).
    for status in [404, 404, 404, 429] {
        let answer = gateway.send(partner::read("nobody")).await.unwrap();
        assert_eq!(
            (answer.status, answer.header("ratelimit"), answer.header("ratelimit-policy")),
            (status, None, None)
        );
    }
}

/// Gateways that count together, each with its own store.
struct Together {
    valkey: Valkey,
    gateways: Vec<(Process, Bed)>,
}

impl Together {
    fn start(burst: u32, count: usize) -> Self {
        let valkey = Valkey::start();
        let shared = "\n[server.shared_limits]\nurl = \"file:$DIR/limits-url\"\ntimeout_ms = 1000\n";
        let gateway = |_| {
            let bed = Bed::with(&config(burst, shared));
            bed.replace("limits-url", &valkey.url());
            let process = Process::start(&bed);
            process.wait_until("limits are shared", |process| is_shared(process));
            (process, bed)
        };
        let gateways = (0..count).map(gateway).collect();
        Self { valkey, gateways }
    }

    fn send(&self, gateway: usize) -> RawResponse {
        let answer = self.gateways[gateway].0.send(&read()).unwrap();
        assert!(matches!(answer.status, 404 | 429), "{answer:?}");
        answer
    }

    /// How many of so many requests are let through.
    fn passed(&self, gateway: usize, requests: usize) -> usize {
        (0..requests).filter(|_| self.send(gateway).status == 404).count()
    }
}

fn is_shared(process: &Process) -> bool {
    process.metric("interlingua_limits_shared") == Some(1)
}

fn counted(process: &Process, by: &str) -> Option<u64> {
    process.metric(&format!("interlingua_limits_counted_total{{by=\"{by}\"}}"))
}

#[test]
fn gateways_that_count_together_let_no_more_through_than_one() {
    let together = Together::start(10, 2);
    let figures: Vec<_> = (0..14).map(|number| told(&together.send(number % 2)).0).collect();
    assert_eq!(figures, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0, 0, 0]);
    assert_eq!((together.passed(0, 3), together.passed(1, 3)), (0, 0));
    for (process, _) in &together.gateways {
        assert_eq!((counted(process, "all"), counted(process, "one")), (Some(10), Some(0)));
    }
    // One key, which tells no name, and which does not stay for ever.
    let keys = together.valkey.ask(&["KEYS", "*"]);
    let key = keys.trim();
    assert!(key.starts_with("interlingua:limit:") && key.len() == 18 + 32, "{keys}");
    let left: i64 = together.valkey.ask(&["PTTL", key]).trim().parse().unwrap();
    assert!((1..=36_000_001).contains(&left), "{left}");
}

#[test]
fn many_clients_at_once_get_no_more_than_there_is() {
    let together = Together::start(50, 2);
    let addresses: Vec<_> = together.gateways.iter().map(|(process, _)| process.address).collect();
    let passed: usize = std::thread::scope(|scope| {
        let client = |number: usize| {
            let address = addresses[number % 2];
            scope.spawn(move || {
                let mut connection = Connection::open(address).unwrap();
                (0..30).filter(|_| connection.send(&read()).unwrap().status == 404).count()
            })
        };
        let clients: Vec<_> = (0..8).map(client).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert_eq!(passed, 50);
    let by_one: Option<u64> = together.gateways.iter().map(|(process, _)| counted(process, "one")).sum();
    assert_eq!(by_one, Some(0));
}

#[test]
fn without_their_server_gateways_count_by_themselves_until_it_is_back() {
    let mut together = Together::start(10, 2);
    assert_eq!((together.passed(0, 4), together.passed(1, 3)), (4, 3));
    together.valkey.kill();
    // Each goes on from what it has let through itself: nobody has a fresh start.
    assert_eq!((together.passed(0, 10), together.passed(1, 10)), (6, 7));
    assert_eq!(told(&together.send(0)).0, 0);
    for (process, _) in &together.gateways {
        assert!(!is_shared(process) && counted(process, "one") >= Some(10));
    }
    // Back again, and empty.
    together.valkey.restart();
    for (process, _) in &together.gateways {
        process.wait_until("limits are shared again", is_shared);
    }
    assert_eq!((together.passed(0, 4), together.passed(1, 10)), (4, 6));
    for (process, _bed) in together.gateways {
        let (status, log) = process.stop();
        assert!(status.success());
        assert_eq!(log.matches("out of reach").count(), 1, "{log}");
        assert_eq!(log.matches("rate limits are shared").count(), 2, "{log}");
    }
}

/// A server that takes a request and never answers.
#[test]
fn a_server_that_stands_still_stops_nobody() {
    let together = Together::start(10, 1);
    let (process, _) = &together.gateways[0];
    assert_eq!(together.passed(0, 2), 2);
    together.valkey.signal("STOP");
    assert_eq!(together.passed(0, 10), 8);
    process.wait_until("the server is given up", |process| !is_shared(process));
    assert!(counted(process, "one") >= Some(8));
    together.valkey.signal("CONT");
    process.wait_until("limits are shared again", is_shared);
    let before = counted(process, "all").unwrap();
    together.send(0);
    assert_eq!(counted(process, "all"), Some(before + 1));
}
