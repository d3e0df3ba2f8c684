//! Opaque tokens, the form of the header, and what a mount demands.

use gateway_core::{Caller, ErrorKind, Namespace};
use gateway_dialect::OptionValue;
use http::{HeaderMap, header::AUTHORIZATION};
use proptest::prelude::*;

use super::{NOW, NOW_S, SECRET, ask, ask_all, built, forge, good, list, missing, part, refused, text};
use crate::{Authenticator, Bearer, Presented, credential::digest};

/// SHA-256 of `hashed-token`.
fn hashed() -> String {
    faster_hex::hex_string(&digest(b"hashed-token"))
}

fn service() -> std::sync::Arc<dyn Authenticator> {
    good(Bearer::build, &[], &[("service", &[("token", text("env:tok-1"))])])
}

#[test]
fn a_known_token_is_its_client() {
    let auth = good(
        Bearer::build,
        &[],
        &[
            (
                "service",
                &[
                    ("token", list(&["env:tok-1", "demo-tok-2"])),
                    ("scope", text("user:users:read user:users:write")),
                    ("project", text("proj1234")),
                ],
            ),
            ("other", &[("token_sha256", text(&hashed().to_uppercase()))]),
        ],
    );
    let service = Caller {
        scope: "user:users:read user:users:write".into(),
        namespace: Namespace::parse("proj1234"),
        ..Caller::client("service")
    };
    // Rotation: both tokens, and no third. The scheme is of either case (RFC 9110, 11.1).
    for value in ["Bearer tok-1", "bearer tok-1", "BEARER demo-tok-2"] {
        assert_eq!(ask(&*auth, value), Ok(service.clone()), "{value}");
    }
    assert_eq!(ask(&*auth, "Bearer hashed-token"), Ok(Caller::client("other")));
    for unknown in ["tok-3", "TOK-1", "tok-1x", "tok-", "demo-tok-2demo-tok-2", &hashed()] {
        assert_eq!(ask(&*auth, &format!("Bearer {unknown}")), refused("unknown_token"), "{unknown}");
    }
}

#[test]
fn no_header_and_an_empty_one_are_no_credential() {
    let auth = service();
    // auth-bearer-001, -009 (a token in the query is none), -010 (nor in the body)
    assert_eq!(ask_all(&*auth, &[], false, NOW), missing("header_missing"));
    // auth-bearer-002
    for empty in ["", " ", "\t "] {
        assert_eq!(ask(&*auth, empty), missing("header_missing"));
    }
}

#[test]
fn anything_else_that_is_not_one_good_token_is_bad() {
    let auth = service();
    let long = format!("Bearer {}", "a".repeat(16_000));
    for (value, cause) in [
        // auth-bearer-003
        ("Bearer", "form"),
        ("Bearer ", "form"),
        // auth-bearer-007
        ("Bearer tok-1, Bearer tok-1", "form"),
        ("Bearer tok-1,tok-1", "unknown_token"),
        // auth-bearer-008
        ("Basic dXNlcjpw", "scheme"),
        // auth-bearer-011
        (&long, "too_long"),
        ("tok-1", "scheme"),
        ("Bearertok-1", "scheme"),
        ("Bearer\ttok-1", "scheme"),
        ("Bearer:tok-1", "scheme"),
        (" Bearer tok-1", "scheme"),
        ("Bearer  tok-1", "form"),
        ("Bearer tok-1 ", "form"),
        ("Bearer tok -1", "form"),
        ("Bearer \"tok-1\"", "unknown_token"),
        ("Bearer tok-é", "form"),
    ] {
        assert_eq!(ask(&*auth, value), refused(cause), "{value}");
    }
    // auth-bearer-006
    for two in [&["Bearer tok-1", "Bearer tok-1"], &["", "Bearer tok-1"], &["Bearer tok-1", "Basic eDp5"]] {
        let two = two.map(str::as_bytes);
        assert_eq!(ask_all(&*auth, &two, false, NOW), refused("two_headers"));
    }
    assert_eq!(ask_all(&*auth, &[b"Bearer \xff\xfe"], false, NOW), refused("form"));
}

#[test]
fn a_scope_that_a_token_lacks_is_not_had() {
    // auth-bearer-014: the dialect refuses what the caller has no scope for.
    let auth = good(
        Bearer::build,
        &[],
        &[("reader", &[("token", text("demo-r")), ("scope", text("user:users:read"))])],
    );
    let caller = ask(&*auth, "Bearer demo-r").unwrap();
    assert!(caller.has_scope("user:users:read"));
    assert!(
        !caller.has_scope("user:users:write") && !caller.has_scope("user:users") && !caller.has_scope("")
    );
}

#[test]
fn public_reads_need_no_credential_and_take_no_bad_one() {
    let public = [("public_reads", OptionValue::Flag(true))];
    let auth = good(Bearer::build, &public, &[("service", &[("token", text("demo-t"))])]);
    let anonymous = Caller { is_anonymous: true, ..Caller::client("anonymous") };
    assert_eq!(ask_all(&*auth, &[], true, NOW), Ok(anonymous.clone()));
    assert_eq!(ask_all(&*auth, &[b""], true, NOW), Ok(anonymous));
    assert_eq!(ask_all(&*auth, &[b"Bearer nope"], true, NOW), refused("unknown_token"));
    assert_eq!(ask_all(&*auth, &[b"Bearer demo-t"], true, NOW), Ok(Caller::client("service")));
    assert_eq!(ask_all(&*auth, &[], false, NOW), missing("header_missing"));
    assert_eq!(ask_all(&*service(), &[], true, NOW), missing("header_missing"));
}

#[test]
fn a_mount_may_demand_a_linked_identity() {
    // auth-jwt-061
    let auth = good(
        Bearer::build,
        &[("linked_identity_claim", text("linked"))],
        &[
            ("linked", &[("token", text("demo-a")), ("linked_identity", OptionValue::Flag(true))]),
            ("lone", &[("token", text("demo-b"))]),
            ("issuer", &[("jwt_secret", text("demo-c"))]),
        ],
    );
    let lacking = Err((ErrorKind::LinkedIdentityMissing, "no_linked_identity"));
    let issued = |claims: &str| {
        let claims = format!(r#"{{"exp":{}{claims}}}"#, NOW_S + 60);
        ask(&*auth, &format!("Bearer {}", forge(r#"{"alg":"HS256"}"#, claims.as_bytes(), "demo-c")))
    };
    assert_eq!(ask(&*auth, "Bearer demo-a"), Ok(Caller::client("linked")));
    assert_eq!(ask(&*auth, "Bearer demo-b"), lacking);
    assert_eq!(issued(r#","linked":"x""#), Ok(Caller::client("issuer")));
    assert_eq!(issued(r#","linked":null"#), lacking);
    assert_eq!(issued(""), lacking);
    // A bad token is bad before it lacks anything.
    assert_eq!(ask(&*auth, "Bearer demo-d"), refused("unknown_token"));
}

#[test]
fn sign_sends_what_is_known_of_a_client() {
    let auth = good(
        Bearer::build,
        &[],
        &[
            ("clear", &[("token", list(&["demo-new", "demo-old"]))]),
            ("hashed", &[("token_sha256", text(&hashed()))]),
            ("issuer", &[("jwt_secret", text("demo-s"))]),
        ],
    );
    let request =
        Presented { method: "GET", target: "/", headers: &HeaderMap::new(), body: b"", is_read: true };
    let sent = |client| auth.sign(client, &request, NOW);
    assert_eq!(sent("clear"), Some(vec![(AUTHORIZATION, "Bearer demo-new".to_owned())]));
    assert_eq!(sent("hashed"), Some(vec![(AUTHORIZATION, "Bearer $TOKEN".to_owned())]));
    assert_eq!(sent("nobody"), None);
    let issued = ask(&*auth, &sent("issuer").unwrap()[0].1);
    assert_eq!(issued, Ok(Caller { subject: Some("issuer".into()), ..Caller::client("issuer") }));
}

#[test]
fn mistakes_are_said() {
    let short = [("jwt_secret", text("env:short"))];
    let flag = OptionValue::Flag;
    let digits = hashed();
    for (rows, expected) in [
        (
            &[][..],
            "a client has exactly one of `token`, `token_sha256`, `jwt_secret`, `jwks_file`, `jwks_url` and `introspection_url`",
        ),
        (&[("token", text("env:a")), ("token_sha256", text(&digits))], "a client has exactly one of"),
        (&[("token", text("env:a")), ("jwt_secret", text("demo-b"))], "a client has exactly one of"),
        (&[("token", text("literal-secret"))], "no secret"),
        (&[("token", list(&["env:a", "env:b", "env:c"]))], "`token` takes 2 values at most"),
        (&[("token", list(&["env:a", "env:a"]))], "`token` is another client's, or there twice"),
        (&[("token", text("env:a b"))], "`token` cannot be sent"),
        (&[("token_sha256", text("literal-secret"))], "`token_sha256` must be a SHA-256 digest"),
        (&[("token_sha256", list(&[]))], "`token_sha256` takes one value"),
        (&[("token", text("env:a")), ("project", text("a b"))], "`project` must be"),
        (&[("token", text("env:a")), ("scope", text("a  b"))], "`scope` must be"),
        (&[("token", text("env:a")), ("scope", text(""))], "`scope` must be"),
        (&[("token", text("env:a")), ("issuer", text("x"))], "unknown key `issuer`"),
        (&short, "`jwt_secret` is shorter than 32 bytes"),
        (&[("jwt_secret", list(&["demo-b", "demo-b"]))], "`jwt_secret` is another client's, or there twice"),
        (&[("jwt_secret", text("demo-b")), ("audience", text(""))], "`audience` is empty"),
        (
            &[("jwt_secret", text("demo-b")), ("leeway_s", OptionValue::Integer(61))],
            "an integer from 0 to 60",
        ),
        (&[("jwt_secret", text("demo-b")), ("scope", text("a"))], "unknown key `scope`"),
        (&[("jwt_secrt", text("demo-b"))], "did you mean `jwt_secret`?"),
    ] {
        let (_, problems) = built(Bearer::build, &[], &[("a", rows)]);
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:?}");
        assert!(!problems.iter().any(|problem| problem.contains("literal-secret")));
    }
    let two =
        built(Bearer::build, &[], &[("a", &[("token", text("env:a"))]), ("b", &[("token", text("env:a"))])]);
    assert_eq!(two.1, ["`token` is another client's, or there twice"]);
    good(Bearer::build, &[("allow_short_secrets", flag(true))], &[("a", &short)]);
    let lax = built(Bearer::build_with_subject, &[("require_subject", flag(false))], &[]);
    assert_eq!(lax.1, ["this dialect takes no issued token without a subject"]);
}

proptest! {
    #[test]
    fn no_bytes_authenticate(value in prop::collection::vec(prop_oneof![0x20..0x7f_u8, 0x80..=0xff_u8], 0..200)) {
        let auth = good(
            Bearer::build,
            &[],
            &[("service", &[("token", text("demo-t"))]), ("issuer", &[("jwt_secret", text("demo-s"))])],
        );
        prop_assert!(ask_all(&*auth, &[&value], false, NOW).is_err());
        let token = [b"Bearer ", value.as_slice()].concat();
        prop_assert!(ask_all(&*auth, &[&token], false, NOW).is_err());
        let parts = format!("Bearer {0}.{0}.{0}", part(&value));
        prop_assert!(ask(&*auth, &parts).is_err());
    }

    #[test]
    fn no_mutation_of_a_good_token_authenticates(at in any::<prop::sample::Index>(), new in 0x21..0x7f_u8, how in 0..3) {
        let auth = good(Bearer::build, &[], &[("issuer", &[("jwt_secret", text(&format!("env:{SECRET}")))])]);
        let token = auth.mint("issuer", Some("u"), Some("a b"), NOW).unwrap();
        let bearing = |token: &[u8]| ask_all(&*auth, &[&[b"Bearer ", token].concat()], false, NOW);
        prop_assert!(bearing(token.as_bytes()).is_ok());
        let mut bytes = token.clone().into_bytes();
        let at = at.index(bytes.len());
        match how {
            0 => bytes[at] = new,
            1 => bytes.insert(at, new),
            _ => drop(bytes.remove(at)),
        }
        prop_assume!(bytes != token.as_bytes());
        prop_assert!(bearing(&bytes).is_err());
    }
}
