//! Tokens of other servers: their keys come and go, and so do they. Never access for what they did not
//! sign, never a refusal for what they cannot be asked about.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway_testkit::client::RawRequest;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use tests::{
    Bed, Issuer, Process,
    issued::{CONFIG, Here, Said, by_url, may_read, said},
    issuer::{AUD, ISS, Mood, SigningKey, key_set},
};
use time::Duration;

#[tokio::test]
async fn each_algorithm_is_taken_where_it_is_the_issuers_and_nowhere_else() {
    let keys = [SigningKey::rsa("k"), SigningKey::ec("k"), SigningKey::ed("k")];
    let all: Vec<_> = keys.iter().map(SigningKey::jwk).collect();
    for configured in &keys {
        let issuer = Issuer::start(&all);
        let here = Here::new(&by_url(&issuer, configured.alg())).await;
        for key in &keys {
            let expected = if key.alg() == configured.alg() { Said::Taken } else { Said::Refused };
            assert_eq!(here.says(&key.token(here.now_s(), &may_read())).await, expected);
            // Signed by the right key, told as another's algorithm.
            let lie = json!({"alg": configured.alg(), "kid": "k", "typ": "at+jwt"});
            let claims = json!({"iss": "https://issuer.example.com", "aud": "users", "sub": "a", "scope": "user:users:read", "exp": here.now_s() + 60});
            assert_eq!(here.says(&key.sign(&lie, &claims)).await, expected);
        }
        assert_eq!(issuer.fetches(), 2, "one for each mount");
    }
}

/// `auth-jwt-049`, and `auth-jwt-004` with the public key that is really there.
#[tokio::test]
async fn weak_and_shared_keys_are_not_there() {
    let key = SigningKey::rsa("good");
    let weak = json!({"kty": "RSA", "kid": "weak", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode([0xff; 128])});
    let shared = json!({"kty": "oct", "kid": "shared", "k": key.jwk()["n"]});
    let issuer = Issuer::start(&[weak, shared, key.jwk()]);
    let here = Here::new(&by_url(&issuer, "RS256")).await;
    let claims =
        json!({"iss": ISS, "aud": AUD, "sub": "a", "scope": "user:users:read", "exp": here.now_s() + 60});
    let by = |alg: &str, kid: &str| key.sign(&json!({"alg": alg, "kid": kid, "typ": "at+jwt"}), &claims);
    assert_eq!(here.says(&by("RS256", "good")).await, Said::Taken);
    for kid in ["weak", "shared"] {
        assert_eq!(here.says(&by("RS256", kid)).await, Said::Refused);
    }
    let part = |json: &serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    for kid in ["good", "shared"] {
        let input =
            format!("{}.{}", part(&json!({"alg": "HS256", "kid": kid, "typ": "at+jwt"})), part(&claims));
        for secret in [key.jwk()["n"].as_str().unwrap().as_bytes(), key.jwk().to_string().as_bytes()] {
            let mac =
                Hmac::<Sha256>::new_from_slice(secret).unwrap().chain_update(&input).finalize().into_bytes();
            assert_eq!(here.says(&format!("{input}.{}", URL_SAFE_NO_PAD.encode(mac))).await, Said::Refused);
        }
    }
}

/// `auth-jwt-050`
#[tokio::test]
async fn without_keys_a_mount_is_unavailable_until_they_are_there() {
    let key = SigningKey::ec("1");
    let issuer = Issuer::start(&[key.jwk()]);
    issuer.be(Mood::Down);
    let here = Here::new(&by_url(&issuer, "ES256")).await;
    let token = key.token(here.now_s(), &may_read());
    assert_eq!(here.says(&token).await, Said::Unavailable);
    // What is no token of the issuer is refused all the same.
    assert_eq!(here.says("opaque").await, Said::Refused);
    here.others_are_served().await;
    issuer.be(Mood::Well);
    // It is asked again after a second, not at once.
    let fetches = issuer.fetches();
    here.tend().await;
    assert_eq!(issuer.fetches(), fetches);
    here.forward(Duration::SECOND);
    here.tend().await;
    assert_eq!(here.says(&token).await, Said::Taken);
}

/// `auth-jwt-051`, `auth-jwt-054`, and an issuer that is away for a day.
#[tokio::test]
async fn the_last_good_keys_are_used_for_a_day() {
    let (key, other) = (SigningKey::ed("1"), SigningKey::ed("2"));
    let issuer = Issuer::start(&[key.jwk()]);
    let here = Here::new(&by_url(&issuer, "EdDSA")).await;
    let good = || key.token(here.now_s(), &may_read());
    let unknown = || other.token(here.now_s(), &may_read());
    let page = "<html>Sign in to the network</html>".to_owned();
    for (mood, outcome, of_unknown) in [
        (Mood::Body(page), "not_keys", Said::Refused),
        (Mood::Body("{\"keys\":[]}".to_owned()), "not_keys", Said::Refused),
        (Mood::Body(" ".repeat(10_000_000)), "too_large", Said::Refused),
        // Whether the issuer has such a key by now is not known.
        (Mood::Status(500), "status", Said::Unavailable),
        (Mood::Status(302), "status", Said::Unavailable),
        (Mood::Down, "unreachable", Said::Unavailable),
    ] {
        let count = || {
            here.figure(&format!(
                "interlingua_jwks_fetches_total{{mount=\"user\",client=\"app\",outcome=\"{outcome}\"}}"
            ))
        };
        let before = count().unwrap();
        issuer.be(mood.clone());
        here.forward(Duration::minutes(6));
        here.tend().await;
        assert_eq!(count(), Some(before + 1), "{mood:?}");
        assert_eq!(here.says(&good()).await, Said::Taken, "{mood:?}");
        assert_eq!(here.says(&unknown()).await, of_unknown, "{mood:?}");
        assert_eq!(here.says(&unknown()).await, of_unknown, "{mood:?}");
    }
    here.forward(Duration::hours(23));
    here.tend().await;
    assert_eq!(here.says(&good()).await, Said::Taken);
    here.forward(Duration::hours(1));
    here.tend().await;
    for _ in 0..3 {
        assert_eq!(here.says(&good()).await, Said::Unavailable);
        assert_eq!(here.says(&unknown()).await, Said::Unavailable);
    }
    here.others_are_served().await;
    issuer.be(Mood::Well);
    here.forward(Duration::minutes(1));
    here.tend().await;
    assert_eq!(here.says(&good()).await, Said::Taken);
}

/// `auth-jwt-007`, `auth-jwt-008`
#[tokio::test]
async fn unknown_keys_are_asked_for_once_a_minute() {
    let (key, other) = (SigningKey::ed("1"), SigningKey::ed("2"));
    let issuer = Issuer::start(&[key.jwk()]);
    let here = Here::new(&by_url(&issuer, "EdDSA")).await;
    for minute in 1..=3 {
        for n in 0..200 {
            let kid = SigningKey::ed(&format!("unknown-{n}"));
            let token = kid.token(here.now_s(), &may_read());
            assert_eq!(here.says(&token).await, Said::Refused);
        }
        // One for each mount, beside the first.
        assert_eq!(issuer.fetches(), 2 + 2 * minute);
        here.forward(Duration::minutes(1));
    }
    // A key that is published is found then.
    issuer.publish(&[key.jwk(), other.jwk()]);
    assert_eq!(here.says(&other.token(here.now_s(), &may_read())).await, Said::Taken);
    assert_eq!(here.says(&key.token(here.now_s(), &may_read())).await, Said::Taken);
}

#[tokio::test]
async fn an_issuer_that_hangs_holds_nobody_else() {
    let (key, other) = (SigningKey::ed("1"), SigningKey::ed("2"));
    let issuer = Issuer::start(&[key.jwk()]);
    let here = Here::new(&by_url(&issuer, "EdDSA")).await;
    issuer.be(Mood::Hang);
    let (good, unknown) = (key.token(here.now_s(), &may_read()), other.token(here.now_s(), &may_read()));
    let waiting = here.says(&unknown);
    let meanwhile = async {
        // Those with a known key do not wait for it.
        for _ in 0..100 {
            assert_eq!(here.says(&good).await, Said::Taken);
        }
    };
    let (waited, ()) = tokio::join!(waiting, meanwhile);
    assert_eq!(waited, Said::Unavailable);
    assert_eq!(here.says(&good).await, Said::Taken);
}

/// The old key and the new are published together for a while, as issuers do; then the old one goes.
#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_under_load() {
    const ROTATIONS: usize = 20;
    let keys: Arc<Vec<_>> = Arc::new((0..=ROTATIONS).map(|n| SigningKey::ec(&format!("key-{n}"))).collect());
    let issuer = Issuer::start(&[keys[0].jwk()]);
    let here = Arc::new(Here::new(&by_url(&issuer, "ES256")).await);
    let (current, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let sent: [Arc<AtomicUsize>; 4] = std::array::from_fn(|_| Arc::default());
    let work = |sent: &Arc<AtomicUsize>| {
        let (here, keys, current) = (Arc::clone(&here), Arc::clone(&keys), Arc::clone(&current));
        let (stop, sent) = (Arc::clone(&stop), Arc::clone(sent));
        tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let token = keys[current.load(Ordering::SeqCst)].token(here.now_s(), &may_read());
                assert_eq!(here.says(&token).await, Said::Taken);
                sent.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        })
    };
    let load: Vec<_> = sent.iter().map(work).collect();
    let counts = || sent.iter().map(|one| one.load(Ordering::SeqCst)).collect::<Vec<_>>();
    for rotation in 1..=ROTATIONS {
        let (old, new) = (&keys[rotation - 1], &keys[rotation]);
        issuer.publish(&[old.jwk(), new.jwk()]);
        here.forward(Duration::seconds(61));
        current.store(rotation, Ordering::SeqCst);
        let before = counts();
        let all_went_on = || counts().iter().zip(&before).all(|(now, before)| *now >= before + 5);
        while !all_went_on() && !load.iter().any(|one| one.is_finished()) {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        // Every token of the old one that was under way has been answered: it can go.
        issuer.publish(&[new.jwk()]);
        here.forward(Duration::minutes(5));
        here.tend().await;
        assert_eq!(here.says(&old.token(here.now_s(), &may_read())).await, Said::Refused, "{rotation}");
        assert_eq!(here.says(&new.token(here.now_s(), &may_read())).await, Said::Taken, "{rotation}");
    }
    stop.store(true, Ordering::SeqCst);
    for one in load {
        one.await.unwrap();
    }
}

fn get(process: &Process, target: &str, token: &str) -> Said {
    let headers = vec![("Authorization".to_owned(), format!("Bearer {token}"))];
    let request = RawRequest { method: "GET".into(), target: target.into(), headers, body: Vec::new() };
    said(&process.send(&request).unwrap())
}

/// `auth-jwt-050` over sockets: the gateway starts without keys, and is not ready. A reload that leaves
/// the issuer alone keeps its keys, also while it is away.
#[test]
fn a_process_waits_for_keys_and_keeps_them_over_reloads() {
    const USER: &str = "/user/users/01020304-0506-4708-890a-0b0c0d0e0f10";
    const SOCIAL: &str = "/social/proj1234/users/nobody";
    let key = SigningKey::rsa("1");
    let issuer = Issuer::start(&[key.jwk()]);
    issuer.be(Mood::Down);
    let config = CONFIG.replace("$ISSUER", &by_url(&issuer, "RS256"));
    let bed = Bed::with(&config);
    let process = Process::start(&bed);
    let token = key.token(tests::now().unix_timestamp(), &may_read());
    assert_eq!(
        process.admin("/readyz"),
        (503, "not ready: mount user has no keys of an issuer yet\n".into())
    );
    assert_eq!(get(&process, USER, &token), Said::Unavailable);
    assert_eq!(get(&process, SOCIAL, &token), Said::Unavailable);
    assert_eq!(
        get(&process, "/own/users/01020304-0506-4708-890a-0b0c0d0e0f10", "demo-access-token"),
        Said::Taken
    );
    issuer.be(Mood::Well);
    process.wait_until("it is ready", |process| process.admin("/readyz").0 == 200);
    assert_eq!(get(&process, USER, &token), Said::Taken);
    assert_eq!(get(&process, SOCIAL, &token), Said::Taken);

    issuer.be(Mood::Down);
    bed.replace("interlingua.toml", &config.replace("[log]", "[log]\nlevel = \"debug\""));
    process.hang_up();
    process.wait_until("it was loaded", |process| {
        process.metric(r#"interlingua_config_reloads_total{outcome="ok"}"#).is_some_and(|count| count > 0)
    });
    assert_eq!(get(&process, USER, &token), Said::Taken);
    assert_eq!(get(&process, SOCIAL, &token), Said::Taken);
    assert_eq!(process.admin("/readyz").0, 200);
    let fetched = r#"interlingua_jwks_fetches_total{mount="user",client="app",outcome="ok"}"#;
    assert_eq!(process.metric(fetched), Some(1));
    let shown = process.admin("/metrics").1 + &process.stop().1;
    assert!(shown.contains("interlingua_jwks_age_seconds"));
    for part in token.split('.').chain([&*issuer.jwks_url()]) {
        assert!(!shown.contains(part), "a token, or where its keys are, is told");
    }
}

#[test]
fn a_file_of_keys_is_read_again_when_it_changes() {
    const USER: &str = "/user/users/01020304-0506-4708-890a-0b0c0d0e0f10";
    let (old, new) = (SigningKey::ec("1"), SigningKey::ec("2"));
    let client =
        format!("jwks_file = \"$DIR/keys\"\nalgorithm = \"ES256\"\nissuer = \"{ISS}\"\naudience = \"{AUD}\"");
    let bed = Bed::with(&CONFIG.replace("$ISSUER", &client));
    bed.replace("keys", &key_set(&[old.jwk()]));
    let process = Process::start(&bed);
    let token = |key: &SigningKey| key.token(tests::now().unix_timestamp(), &may_read());
    assert_eq!(process.admin("/readyz").0, 200);
    assert_eq!(get(&process, USER, &token(&old)), Said::Taken);
    assert_eq!(get(&process, USER, &token(&new)), Said::Refused);
    bed.replace("keys", &key_set(&[new.jwk()]));
    process.wait_until("the new key is known", |process| get(process, USER, &token(&new)) == Said::Taken);
    assert_eq!(get(&process, USER, &token(&old)), Said::Refused);
}
