//! Issuers on other servers, as a mount's settings name them. Nobody is asked here.

use gateway_core::ErrorKind;
use gateway_dialect::OptionValue;

use super::{NOW, Rows, SECRET, ask, built, good, part, refused, text};
use crate::Bearer;

/// RFC 8037, A.2.
pub(super) const KEYS: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

const URL: &str = "https://id.example.com/jwks";

/// A client with these, and with what is not among them of a good one at a URL.
fn published(rows: &[(&'static str, &str)]) -> Vec<(&'static str, OptionValue)> {
    let good = [("jwks_url", URL), ("algorithm", "EdDSA"), ("issuer", "i"), ("audience", "a")];
    let is_given = |name: &str| rows.iter().any(|(given, _)| *given == name);
    let by_file = is_given("jwks_file");
    let rest = good.into_iter().filter(|(name, _)| !(is_given(name) || by_file && *name == "jwks_url"));
    let all = rows.iter().copied().chain(rest).filter(|(_, value)| !value.is_empty());
    all.map(|(name, value)| (name, text(value))).collect()
}

fn asked(rows: &[(&'static str, &str)]) -> Vec<(&'static str, OptionValue)> {
    let good = [
        ("introspection_url", "https://id.example.com/introspect"),
        ("introspection_client_id", "us"),
        ("introspection_secret", "env:s"),
    ];
    let rest = good.into_iter().filter(|(name, _)| rows.iter().all(|(given, _)| given != name));
    let all = rows.iter().copied().chain(rest).filter(|(_, value)| !value.is_empty());
    all.map(|(name, value)| (name, text(value))).collect()
}

#[test]
fn good_settings_are_taken() {
    for rows in [
        published(&[]),
        published(&[("jwks_file", "keys"), ("typ", "at+jwt"), ("project", "p")]),
        published(&[("algorithm", "RS256")]),
        published(&[("algorithm", "ES256")]),
        asked(&[]),
        asked(&[("issuer", "i"), ("audience", "a"), ("project", "p")]),
    ] {
        let auth = good(Bearer::build, &[], &[("c", &rows)]);
        // Its tokens are another server's to make.
        assert!(auth.mint("c", Some("u"), None, NOW).is_none());
        let sent = auth.sign(
            "c",
            &crate::Presented {
                method: "GET",
                target: "/",
                headers: &http::HeaderMap::new(),
                body: b"",
                is_read: true,
            },
            NOW,
        );
        assert_eq!(sent.unwrap()[0].1, "Bearer $TOKEN");
    }
}

#[test]
fn mistakes_are_said() {
    let private = [
        published(&[("jwks_url", "http://127.0.0.1/jwks")]),
        vec![("allow_private", OptionValue::Flag(true))],
    ]
    .concat();
    assert_eq!(built(Bearer::build, &[], &[("c", &private)]).1, Vec::<String>::new());
    for (rows, expected) in [
        (published(&[("issuer", "")]), "`issuer` is missing"),
        (published(&[("audience", "")]), "`audience` is missing"),
        (published(&[("algorithm", "")]), "`algorithm` is missing"),
        (published(&[("algorithm", "HS256")]), "`algorithm` must be"),
        (published(&[("algorithm", "none")]), "`algorithm` must be"),
        (
            published(&[("jwks_url", "http://127.0.0.1/jwks")]),
            "`jwks_url` is at a private or special address",
        ),
        (published(&[("jwks_url", "https://u:p@id.example.com/")]), "`jwks_url` must not hold a user name"),
        (published(&[("jwks_url", "id.example.com")]), "`jwks_url` is not an absolute URL"),
        (published(&[("ca", "absent")]), "no file"),
        (published(&[("ca", "page")]), "the file of `ca` is no certificate"),
        (published(&[("jwks_file", "absent")]), "no file"),
        (published(&[("jwks_file", "page")]), "the file of `jwks_file` must hold strict JSON"),
        (
            published(&[("jwks_file", "keys"), ("algorithm", "RS256")]),
            "must hold a key set with a key that fits",
        ),
        (published(&[("jwks_file", "keys"), ("jwks_url", URL)]), "exactly one of"),
        (published(&[("jwt_secret", "env:x")]), "exactly one of"),
        (
            asked(&[("introspection_url", "ftp://id.example.com")]),
            "`introspection_url` must begin with https://",
        ),
        (asked(&[("introspection_secret", "")]), "`introspection_secret` is missing"),
        (asked(&[("introspection_client_id", "")]), "`introspection_client_id` is missing"),
        (asked(&[("algorithm", "RS256")]), "unknown key `algorithm`"),
    ] {
        let problems = built(Bearer::build, &[], &[("c", &rows)]).1;
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:?}");
    }
}

#[test]
fn an_issuer_stands_once_in_a_mount() {
    let (one, other) = (published(&[]), published(&[("issuer", "j"), ("algorithm", "ES256")]));
    let secret = format!("env:{SECRET}");
    let shared: Rows<'_> = &[("jwt_secret", text(&secret)), ("issuer", text("i"))];
    assert_eq!(built(Bearer::build, &[], &[("a", &one), ("b", &other)]).1, Vec::<String>::new());
    for clients in
        [[("a", &*one), ("b", &*one)], [("a", &*one), ("b", shared)], [("a", shared), ("b", &*one)]]
    {
        let problems = built(Bearer::build, &[], &clients).1;
        assert!(problems.iter().any(|problem| problem.contains("another client has the same `issuer`")));
    }
    let (first, second) = (asked(&[]), asked(&[]));
    let problems = built(Bearer::build, &[], &[("a", &first), ("b", &second)]).1;
    assert!(problems.iter().any(|problem| problem.contains("a mount asks one server")));
}

/// A token that says it is from an issuer without keys is not refused, and not let in.
#[test]
fn without_keys_nobody_is_judged() {
    let auth = good(Bearer::build, &[], &[("c", &published(&[]))]);
    let token = |iss: &str, alg: &str| {
        let header = part(format!(r#"{{"alg":"{alg}","kid":"k"}}"#));
        format!("Bearer {header}.{}.{}", part(format!(r#"{{"iss":"{iss}"}}"#)), part([0; 64]))
    };
    assert_eq!(ask(&*auth, &token("i", "EdDSA")), Err((ErrorKind::Unavailable, "issuer")));
    assert_eq!(ask(&*auth, &token("other", "EdDSA")), refused("algorithm"));
    assert_eq!(ask(&*auth, &token("i", "ES256")), refused("algorithm"));
    assert_eq!(ask(&*auth, "Bearer opaque"), refused("unknown_token"));
}
