//! Tokens that are minted here, and keys that mounts have in common.

use gateway_core::{Caller, Namespace};
use gateway_dialect::json;
use time::Duration;

use super::{NOW, NOW_S, ask_all, good, refused, text};
use crate::{Bearer, credential::digest};

#[test]
fn a_minted_token_is_good_for_half_an_hour() {
    let auth = good(
        Bearer::build,
        &[],
        &[
            (
                "issuer",
                &[
                    ("jwt_secret", text("demo-s")),
                    ("project", text("proj1234")),
                    ("issuer", text("us")),
                    ("audience", text("them")),
                    ("typ", text("at+jwt")),
                ],
            ),
            ("service", &[("token", text("demo-t"))]),
        ],
    );
    let token = auth.mint("issuer", Some("user \"1\""), Some("a b"), NOW).unwrap();
    let at = |now| ask_all(&*auth, &[format!("Bearer {token}").as_bytes()], false, now);
    let caller = Caller {
        subject: Some("user \"1\"".into()),
        scope: "a b".into(),
        namespace: Namespace::parse("proj1234"),
        ..Caller::client("issuer")
    };
    assert_eq!(at(NOW), Ok(caller.clone()));
    assert_eq!(at(NOW + Duration::seconds(1_829)), Ok(caller));
    assert_eq!(at(NOW + Duration::seconds(1_830)), refused("expired"));
    assert_eq!(at(NOW - Duration::seconds(31)), refused("not_yet_good"));
    assert!(auth.mint("issuer", None, None, NOW).is_some());
    assert!(auth.mint("service", Some("u"), None, NOW).is_none());
    assert!(auth.mint("nobody", Some("u"), None, NOW).is_none());
}

#[test]
fn a_minted_token_says_what_is_known_and_no_more() {
    let auth = good(Bearer::build, &[], &[("issuer", &[("jwt_secret", text("demo-s"))])]);
    let token = auth.mint("issuer", None, None, NOW).unwrap();
    let parts: Vec<_> = token.split('.').map(base64_url).collect();
    assert_eq!(parts[0], br#"{"alg":"HS256","typ":"JWT"}"#);
    assert_eq!(parts[1], format!(r#"{{"iat":{NOW_S},"exp":{}}}"#, NOW_S + 1_800).as_bytes());
    assert!(json::parse(&parts[1]).is_ok());
}

fn base64_url(part: &str) -> Vec<u8> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.decode(part).unwrap()
}

#[test]
fn keys_without_an_audience_are_told() {
    let auth = good(
        Bearer::build,
        &[],
        &[
            ("open", &[("jwt_secret", super::list(&["demo-a", "demo-b"]))]),
            ("confined", &[("jwt_secret", text("demo-c")), ("audience", text("us"))]),
            ("service", &[("token", text("demo-d"))]),
        ],
    );
    assert_eq!(auth.keys_without_audience(), [digest(b"demo-a"), digest(b"demo-b")]);
}
