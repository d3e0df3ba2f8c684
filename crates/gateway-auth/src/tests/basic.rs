//! HTTP Basic: its form, its three kinds of password, and what is remembered.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gateway_core::Caller;
use http::{HeaderMap, header::AUTHORIZATION};
use proptest::prelude::*;
use time::Duration;

use super::{NOW, Rows, ask, ask_all, built, good, headers, list, missing, refused, text};
use crate::{Authenticator, Basic, Presented, Verdict, credential::digest};

fn basic(credential: &str) -> String {
    format!("Basic {}", STANDARD.encode(credential))
}

fn hex(password: &str) -> String {
    faster_hex::hex_string(&digest(password.as_bytes()))
}

/// Argon2id of a password, at the least cost that there is.
fn argon2id(password: &str) -> String {
    use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
    let cheap = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
    cheap.hash_password_with_salt(password.as_bytes(), b"salt-of-16-bytes").unwrap().to_string()
}

fn one(rows: Rows<'_>) -> std::sync::Arc<dyn Authenticator> {
    good(Basic::build, &[], &[("criticalmix", rows)])
}

fn is_pending(auth: &dyn Authenticator, value: &str, now: gateway_core::Timestamp) -> bool {
    let headers = headers(&[value.as_bytes()]);
    let request = Presented { method: "GET", target: "/", headers: &headers, body: b"", is_read: true };
    matches!(auth.authenticate(&request, now), Verdict::Pending(_))
}

#[test]
fn the_published_vectors_verify() {
    let auth = one(&[("password", text("env:topsecret"))]);
    assert_eq!(basic("criticalmix:topsecret"), "Basic Y3JpdGljYWxtaXg6dG9wc2VjcmV0");
    assert_eq!(ask(&*auth, "Basic Y3JpdGljYWxtaXg6dG9wc2VjcmV0"), Ok(Caller::client("criticalmix")));
    assert_eq!(ask(&*auth, "basic Y3JpdGljYWxtaXg6dG9wc2VjcmV0"), Ok(Caller::client("criticalmix")));
    // RFC 7617, 2 and 2.1
    let auth = good(
        Basic::build,
        &[],
        &[
            ("a", &[("username", text("Aladdin")), ("password", text("env:open sesame"))]),
            ("t", &[("username", text("test")), ("password", text("env:123£"))]),
        ],
    );
    assert_eq!(ask(&*auth, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), Ok(Caller::client("a")));
    assert_eq!(ask(&*auth, "Basic dGVzdDoxMjPCow=="), Ok(Caller::client("t")));
}

#[test]
fn every_kind_of_password_verifies() {
    const PASSWORD: &str = "a:b::pâss ";
    for rows in [
        [("password", text(&format!("env:{PASSWORD}")))],
        [("password", list(&["env:new", &format!("env:{PASSWORD}")]))],
        [("password_sha256", text(&hex(PASSWORD)))],
        [("password_sha256", list(&[&hex("new"), &hex(PASSWORD).to_uppercase()]))],
        [("password_argon2", text(&argon2id(PASSWORD)))],
    ] {
        let auth = one(&rows);
        let check = |credential: &str| ask(&*auth, &basic(credential));
        assert_eq!(check(&format!("criticalmix:{PASSWORD}")), Ok(Caller::client("criticalmix")));
        for wrong in ["a:b::pâss", "a", "", "A:B::PÂSS ", &hex(PASSWORD)] {
            assert_eq!(check(&format!("criticalmix:{wrong}")), refused("password"), "{wrong}");
        }
        for unknown in ["", "Criticalmix", "criticalmix ", "critical"] {
            assert_eq!(check(&format!("{unknown}:{PASSWORD}")), refused("unknown_user"), "{unknown}");
        }
    }
}

#[test]
fn missing_and_malformed_are_no_credential() {
    let auth = one(&[("password", text("env:topsecret"))]);
    assert_eq!(ask_all(&*auth, &[], true, NOW), missing("header_missing"));
    let long = basic(&format!("criticalmix:{}", "a".repeat(9_000)));
    for (value, cause) in [
        ("", "header_missing"),
        ("Basic", "form"),
        ("Basic ", "form"),
        ("Bearer Y3JpdGljYWxtaXg6dG9wc2VjcmV0", "scheme"),
        ("Y3JpdGljYWxtaXg6dG9wc2VjcmV0", "scheme"),
        ("Basic criticalmix:topsecret", "base64"),
        ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ", "base64"),
        ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZR==", "base64"),
        ("Basic Y3JpdGljYWxtaXg6dG9wc2VjcmV0, Basic Og==", "form"),
        (&basic("criticalmix"), "form"),
        (&basic("criticalmix:top\nsecret"), "form"),
        (&basic("criticalmix:top\0secret"), "form"),
        ("Basic Ojr/", "utf_8"),
        (&long, "too_long"),
    ] {
        assert_eq!(ask(&*auth, value), missing(cause), "{value}");
        // What is malformed is refused before the body is read.
        assert!(auth.precheck(&headers(&[value.as_bytes()]), false).is_err());
    }
    let twice = basic("criticalmix:topsecret");
    assert_eq!(ask_all(&*auth, &[twice.as_bytes(), twice.as_bytes()], true, NOW), missing("two_headers"));
}

#[test]
fn a_good_slow_password_is_remembered_for_five_minutes() {
    let auth = one(&[("password_argon2", text(&argon2id("topsecret")))]);
    let (right, wrong) = (basic("criticalmix:topsecret"), basic("criticalmix:nope"));
    let pending = |value: &str, seconds| is_pending(&*auth, value, NOW + Duration::seconds(seconds));
    assert!(pending(&right, 0));
    assert_eq!(ask(&*auth, &wrong), refused("password"));
    assert!(pending(&wrong, 0), "a bad password is not remembered");
    assert_eq!(ask(&*auth, &right), Ok(Caller::client("criticalmix")));
    assert!(!pending(&right, 0) && !pending(&right, 299));
    assert!(pending(&right, 300), "it is forgotten");
    assert!(pending(&right, -1), "a clock that goes back lengthens nothing");
    assert!(pending(&wrong, 0) && pending(&basic("other:topsecret"), 0));
    assert_eq!(ask(&*auth, &wrong), refused("password"));
    assert!(!pending(&right, 1), "a bad one forgets nothing");
    // Once more after it was forgotten.
    let later = NOW + Duration::seconds(301);
    assert!(ask_all(&*auth, &[right.as_bytes()], true, later).is_ok());
    assert!(!pending(&right, 302));
}

#[test]
fn every_refusal_of_a_slow_mount_is_slow() {
    let rows: &[(&str, Rows<'_>)] = &[
        ("fast", &[("password", text("env:fast"))]),
        ("slow", &[("password_argon2", text(&argon2id("slow")))]),
    ];
    let auth = good(Basic::build, &[], rows);
    for credential in ["fast:no", "slow:no", "nobody:slow", "nobody:fast"] {
        assert!(is_pending(&*auth, &basic(credential), NOW), "{credential}");
        assert!(ask(&*auth, &basic(credential)).is_err(), "{credential}");
    }
    assert!(!is_pending(&*auth, &basic("fast:fast"), NOW));
    // The password of another client is no password.
    assert_eq!(ask(&*auth, &basic("fast:slow")), refused("password"));
    let auth = good(Basic::build, &[], &rows[..1]);
    assert!(!is_pending(&*auth, &basic("nobody:x"), NOW));
}

#[test]
fn checks_in_parallel_all_end() {
    let auth = one(&[("password_argon2", text(&argon2id("topsecret")))]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let (good, bad) = runtime.block_on(async {
        let run = |credential: &str| {
            let (auth, headers) = (auth.clone(), headers(&[basic(credential).as_bytes()]));
            tokio::spawn(async move {
                let request =
                    Presented { method: "GET", target: "/", headers: &headers, body: b"", is_read: true };
                auth.authenticate(&request, NOW).wait().await.is_ok()
            })
        };
        let tasks: Vec<_> = (0..20)
            .map(|n| run(if n % 2 == 0 { "criticalmix:topsecret" } else { "criticalmix:no" }))
            .collect();
        let mut counts = (0, 0);
        for task in tasks {
            if task.await.unwrap() { counts.0 += 1 } else { counts.1 += 1 }
        }
        counts
    });
    assert_eq!((good, bad), (10, 10));
}

#[test]
fn sign_needs_the_password_itself() {
    let auth = good(
        Basic::build,
        &[],
        &[
            ("criticalmix", &[("password", list(&["env:topsecret", "env:old"]))]),
            ("hashed", &[("password_sha256", text(&hex("x")))]),
            ("slow", &[("password_argon2", text(&argon2id("x")))]),
        ],
    );
    let request =
        Presented { method: "GET", target: "/", headers: &HeaderMap::new(), body: b"", is_read: true };
    let sent = auth.sign("criticalmix", &request, NOW);
    assert_eq!(sent, Some(vec![(AUTHORIZATION, "Basic Y3JpdGljYWxtaXg6dG9wc2VjcmV0".to_owned())]));
    for none in ["hashed", "slow", "nobody"] {
        assert_eq!(auth.sign(none, &request, NOW), None);
    }
}

#[test]
fn mistakes_are_said() {
    let good_hash = argon2id("x");
    let costly = good_hash.replace("m=8", "m=999999");
    for (rows, expected) in [
        (&[][..], "a client has exactly one of `password`, `password_sha256` and `password_argon2`"),
        (&[("password", text("env:a")), ("password_sha256", text(&hex("a")))], "exactly one of"),
        (&[("password", text("literal-secret"))], "no secret"),
        (&[("password", text("env:a\nb"))], "without control characters"),
        (&[("password_sha256", text("literal-secret"))], "must be a SHA-256 digest"),
        (&[("password_argon2", text("literal-secret"))], "`password_argon2` must be an Argon2id hash"),
        (&[("password_argon2", text(&good_hash.replace("2id", "2i")))], "must be an Argon2id hash"),
        (&[("password_argon2", text(&good_hash.replace("v=19", "v=16")))], "must be an Argon2id hash"),
        (&[("password_argon2", text(good_hash.rsplit_once('$').unwrap().0))], "must be an Argon2id hash"),
        (&[("password_argon2", text(&costly))], "at most 256 MiB"),
        (&[("password", text("env:a")), ("username", text("a:b"))], "`username` must not be empty"),
        (&[("password", text("env:a")), ("username", text(""))], "`username` must not be empty"),
        (&[("password_argn2", text(&good_hash))], "did you mean `password_argon2`?"),
    ] {
        let (_, problems) = built(Basic::build, &[], &[("a", rows)]);
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:?}");
        assert!(!problems.iter().any(|problem| problem.contains("literal-secret")));
    }
    let twice = [("username", text("a")), ("password", text("env:b"))];
    let (_, problems) = built(Basic::build, &[], &[("a", &twice[1..]), ("b", &twice)]);
    assert_eq!(problems, ["another client has the same `username`"]);
}

proptest! {
    #[test]
    fn no_bytes_authenticate(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let auth = one(&[("password_argon2", text(&argon2id("topsecret")))]);
        let encoded = [b"Basic ", STANDARD.encode(&bytes).as_bytes()].concat();
        prop_assert!(ask_all(&*auth, &[&encoded], true, NOW).is_err());
        let raw: Vec<u8> = bytes.into_iter().filter(|byte| *byte >= 0x20 && *byte != 0x7f).collect();
        prop_assert!(ask_all(&*auth, &[&raw], true, NOW).is_err());
        prop_assert!(ask_all(&*auth, &[&[b"Basic ", raw.as_slice()].concat()], true, NOW).is_err());
    }

    #[test]
    fn no_other_name_or_password_authenticates(credential in "[ -~]{0,14}:[ -~]{0,14}") {
        prop_assume!(credential != "criticalmix:topsecret");
        let auth = one(&[("password_argon2", text(&argon2id("topsecret")))]);
        let with_name = ["criticalmix", &credential[credential.find(':').unwrap_or_default()..]].concat();
        for credential in [&credential, &with_name] {
            let refusal = ask(&*auth, &basic(credential)).unwrap_err();
            prop_assert_eq!(refusal.0, gateway_core::ErrorKind::BadCredential);
        }
    }
}
