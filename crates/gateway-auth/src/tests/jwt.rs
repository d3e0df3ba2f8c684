//! Tokens that clients issue: what a header, claims and times must be.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gateway_core::{Caller, Namespace};
use time::Duration;

use super::{Answer, NOW, NOW_S, Rows, SECRET, ask, ask_all, forge, good, list, part, refused, text};
use crate::{
    Authenticator, Bearer,
    credential::{keyed, mac},
};

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

fn issuer(rows: Rows<'_>) -> std::sync::Arc<dyn Authenticator> {
    let secret = [("jwt_secret", text(&format!("env:{SECRET}")))];
    good(Bearer::build, &[], &[("issuer", &[&secret, rows].concat())])
}

fn check(auth: &dyn Authenticator, header: &str, claims: &str) -> Answer {
    ask(auth, &format!("Bearer {}", forge(header, claims.as_bytes(), SECRET)))
}

/// Claims that are good for a minute, and these.
fn claims(more: &str) -> String {
    format!(r#"{{"exp":{}{more}}}"#, NOW_S + 60)
}

fn user() -> Caller {
    Caller::client("issuer")
}

#[test]
fn the_claims_say_who_calls() {
    let auth = issuer(&[("project", text("proj1234"))]);
    let project = |name| Caller { namespace: Namespace::parse(name), ..user() };
    assert_eq!(check(&*auth, HEADER, &claims("")), Ok(project("proj1234")));
    assert_eq!(check(&*auth, HEADER, &claims(r#","projectId":"p2""#)), Ok(project("p2")));
    let all = claims(r#","sub":"user-1","scope":"a b","role":"user","nonce":null"#);
    let caller = Caller { subject: Some("user-1".into()), scope: "a b".into(), ..project("proj1234") };
    // auth-jwt-032: the subject is told; whether it may write another user is the dialect's to say.
    assert_eq!(check(&*auth, HEADER, &all), Ok(caller));
    for bad in [
        r#","sub":1"#,
        r#","sub":null"#,
        r#","sub":"""#,
        r#","scope":["a"]"#,
        r#","projectId":7"#,
        r#","iss":7"#,
    ] {
        assert_eq!(check(&*auth, HEADER, &claims(bad)), refused("claim"), "{bad}");
    }
    for bad in ["", "a/b", "a b", "é"] {
        let bad = claims(&format!(r#","projectId":"{bad}""#));
        assert_eq!(check(&*auth, HEADER, &bad), refused("project"));
    }
}

#[test]
fn the_vector_of_rfc_7515_verifies() {
    const KEY: &str =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    const INPUT: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const SIGNATURE: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let key = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(KEY).unwrap();
    assert_eq!(part(mac(&keyed(&key), &[INPUT.as_bytes()])), SIGNATURE);
    // Its key is no text, so that the token is checked here with the parts beneath the settings.
    let issuer = crate::jwt::Issuer::of_key("joe", &key);
    let token = format!("{INPUT}.{SIGNATURE}");
    let token = crate::jws::Compact::split(&token).unwrap();
    let issuers = [issuer];
    let found = crate::jwt::signer(&issuers, token.input, token.signature().as_deref()).unwrap();
    let payload = token.payload().unwrap();
    let claims = gateway_dialect::json::parse(&payload).unwrap();
    let expires = gateway_core::Timestamp::from_unix_timestamp(1_300_819_380).unwrap();
    assert_eq!(found.terms.caller(&claims, expires), Ok(Caller::client("joe")));
    assert_eq!(found.terms.caller(&claims, expires + Duration::seconds(30)), Err("expired"));
}

#[test]
fn a_header_chooses_nothing() {
    let auth = issuer(&[]);
    let with = |more: &str| format!(r#"{{"alg":"HS256"{more}}}"#);
    for good in ["", r#","typ":"JWT""#, r#","typ":"at+jwt""#, r#","cty":"x","x":{"y":1}"#] {
        assert_eq!(check(&*auth, &with(good), &claims("")), Ok(user()), "{good}");
    }
    for (header, cause) in [
        // auth-jwt-003
        (r#"{"typ":"JWT"}"#.to_owned(), "algorithm"),
        (r#"{"alg":"none"}"#.to_owned(), "algorithm"),
        (r#"{"alg":"hs256"}"#.to_owned(), "algorithm"),
        (r#"{"alg":"HS384"}"#.to_owned(), "algorithm"),
        (r#"{"alg":["HS256"]}"#.to_owned(), "algorithm"),
        // auth-jwt-004, -005, -038, -039: other algorithms are none of ours, whoever signed.
        (r#"{"alg":"RS256"}"#.to_owned(), "algorithm"),
        (r#"{"alg":"ES256","kid":"rsa"}"#.to_owned(), "algorithm"),
        // auth-jwt-007, -008
        (with(r#","kid":"unknown""#), "header_member"),
        // auth-jwt-009
        (with(r#","kid":"../../dev/null""#), "header_member"),
        // auth-jwt-012
        (with(r#","jku":"https://evil/jwks""#), "header_member"),
        // auth-jwt-013
        (with(r#","x5u":"https://evil""#), "header_member"),
        // auth-jwt-014
        (with(r#","jwk":{"kty":"oct","k":"AAAA"}"#), "header_member"),
        (with(r#","x5c":["AAAA"]"#), "header_member"),
        // auth-jwt-016
        (with(r#","b64":false,"crit":["b64"]"#), "header_member"),
        (with(r#","crit":["exp"]"#), "header_member"),
        // auth-jwt-043
        (with(r#","zip":"DEF""#), "header_member"),
        (r#"{"alg":"dir","enc":"A256GCM","zip":"DEF"}"#.to_owned(), "algorithm"),
        (with(r#","enc":"A256GCM""#), "header_member"),
        (with(r#","typ":7"#), "claim"),
        (with(r#","alg":"HS256""#), "header"),
        (r#"{"alg":"none","alg":"HS256"}"#.to_owned(), "header"),
        (r#""HS256""#.to_owned(), "header"),
        (String::new(), "header"),
        (format!("{HEADER} x"), "header"),
    ] {
        assert_eq!(check(&*auth, &header, &claims("")), refused(cause), "{header}");
    }
}

#[test]
fn only_three_parts_of_strict_base64url_are_a_token() {
    let auth = issuer(&[]);
    let token = forge(HEADER, claims("").as_bytes(), SECRET);
    let (input, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = input.split_once('.').unwrap();
    assert_eq!(ask(&*auth, &format!("Bearer {token}")), Ok(user()));
    let standard = STANDARD.encode(mac(&keyed(SECRET.as_bytes()), &[input.as_bytes()]));
    for (bad, cause) in [
        // auth-jwt-035
        (format!("{token}="), "signature"),
        // auth-jwt-036
        (format!("{input}.{}", standard.trim_end_matches('=')), "signature"),
        // auth-jwt-040
        (format!("{token}.d"), "unknown_token"),
        (format!("{token}."), "unknown_token"),
        ("a.b.c.d.e".to_owned(), "unknown_token"),
        (input.to_owned(), "unknown_token"),
        (format!("{input}."), "signature"),
        (format!("{input}.{}", &signature[..42]), "signature"),
        (format!("{input}.{}", part([0; 32])), "signature"),
        (format!("{header}=.{payload}.{signature}"), "header"),
        ("..".to_owned(), "header"),
        (forge(HEADER, claims("").as_bytes(), "another secret of thirty-two byte"), "signature"),
        // auth-jwt-060: a token is known whole
        (token[..token.len() - 1].to_owned(), "signature"),
        (format!("{}.{payload}.", part(r#"{"alg":"none"}"#)), "algorithm"),
        (forge(HEADER, claims("").as_bytes(), ""), "signature"),
    ] {
        assert_eq!(ask(&*auth, &format!("Bearer {bad}")), refused(cause), "{bad}");
    }
    // A signature of 32 bytes whose digits say `+/` in one alphabet and `-_` in the other.
    let told_apart = (0..64).any(|n| {
        let input = format!("{}.{}", part(HEADER), part(claims(&format!(r#","n":{n}"#))));
        let standard = STANDARD.encode(mac(&keyed(SECRET.as_bytes()), &[input.as_bytes()]));
        let bad = format!("Bearer {input}.{}", standard.trim_end_matches('='));
        standard.contains(['+', '/']) && ask(&*auth, &bad) == refused("signature")
    });
    assert!(told_apart);
}

#[test]
fn claims_are_one_strict_object() {
    let auth = issuer(&[]);
    let utf_16: Vec<u8> = claims("").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let exp = NOW_S + 60;
    for (bad, cause) in [
        // auth-jwt-046
        (b"\"str\"".to_vec(), "exp_missing"),
        (b"[]".to_vec(), "exp_missing"),
        // auth-jwt-047
        (utf_16, "claims"),
        (format!(r#"{{"exp":{exp},"exp":{exp}}}"#).into_bytes(), "claims"),
        (format!(r#"{{"exp":{exp},"sub":"a","s\u0075b":"b"}}"#).into_bytes(), "claims"),
        (format!("\u{feff}{}", claims("")).into_bytes(), "claims"),
        (format!("{}{{}}", claims("")).into_bytes(), "claims"),
        (Vec::new(), "claims"),
    ] {
        assert_eq!(ask(&*auth, &format!("Bearer {}", forge(HEADER, &bad, SECRET))), refused(cause));
    }
}

#[test]
fn times_are_numbers_and_hold() {
    let auth = issuer(&[]);
    let far = NOW_S + 3_600;
    for (bad, cause) in [
        // auth-jwt-020
        ("{}".to_owned(), "exp_missing"),
        (format!(r#"{{"exp":"{far}"}}"#), "claim"),
        (r#"{"exp":null}"#.to_owned(), "claim"),
        (r#"{"exp":true}"#.to_owned(), "claim"),
        (r#"{"exp":1e300}"#.to_owned(), "claim"),
        (r#"{"exp":18446744073709551615}"#.to_owned(), "claim"),
        // Milliseconds would be good for 55,000 years.
        (format!(r#"{{"exp":{far}000}}"#), "claim"),
        (r#"{"exp":-1}"#.to_owned(), "claim"),
        (r#"{"exp":0}"#.to_owned(), "expired"),
        // auth-jwt-018
        (claims(r#","nbf":"9999999999""#), "claim"),
        (claims(r#","nbf":"1""#), "claim"),
        (claims(&format!(r#","nbf":{far}"#)), "not_yet_good"),
        // auth-jwt-024
        (claims(&format!(r#","iat":{far}"#)), "not_yet_good"),
        (claims(&format!(r#","iat":"{NOW_S}""#)), "claim"),
    ] {
        assert_eq!(check(&*auth, HEADER, &bad), refused(cause), "{bad}");
    }
    for good in [claims(&format!(r#","nbf":{NOW_S},"iat":0"#)), format!(r#"{{"exp":{far}.25}}"#)] {
        assert_eq!(check(&*auth, HEADER, &good), Ok(user()), "{good}");
    }
}

#[test]
fn the_leeway_has_edges() {
    let leeway = |seconds| issuer(&[("leeway_s", gateway_dialect::OptionValue::Integer(seconds))]);
    for (auth, leeway) in [(issuer(&[]), 30), (leeway(0), 0), (leeway(60), 60)] {
        let at = |claims: String, ms: i64| {
            let value = format!("Bearer {}", forge(HEADER, claims.as_bytes(), SECRET));
            ask_all(&*auth, &[value.as_bytes()], false, NOW + Duration::milliseconds(ms))
        };
        let exp = format!(r#"{{"exp":{NOW_S}}}"#);
        assert_eq!(at(exp.clone(), leeway * 1_000 - 1), Ok(user()), "{leeway}");
        assert_eq!(at(exp, leeway * 1_000), refused("expired"), "{leeway}");
        for name in ["nbf", "iat"] {
            let from = format!(r#"{{"exp":{},"{name}":{NOW_S}}}"#, NOW_S + 600);
            assert_eq!(at(from.clone(), -leeway * 1_000), Ok(user()), "{name} {leeway}");
            assert_eq!(at(from, -leeway * 1_000 - 1), refused("not_yet_good"), "{name} {leeway}");
        }
    }
}

#[test]
fn what_is_configured_must_match() {
    let auth = issuer(&[
        ("issuer", text("https://id.example")),
        ("audience", text("ours")),
        ("typ", text("at+jwt")),
    ]);
    let at = r#"{"alg":"HS256","typ":"at+jwt"}"#;
    let with = |iss: &str, aud: &str| claims(&format!(r#","iss":{iss},"aud":{aud}"#));
    let right = with(r#""https://id.example""#, r#""ours""#);
    // auth-jwt-029: one of several audiences is enough.
    for good in [&right, &with(r#""https://id.example""#, r#"["x","ours"]"#)] {
        assert_eq!(check(&*auth, at, good), Ok(user()));
    }
    assert_eq!(check(&*auth, r#"{"alg":"HS256","typ":"application/AT+JWT"}"#, &right), Ok(user()));
    for (bad, cause) in [
        // auth-jwt-025
        (with(r#""https://other.example""#, r#""ours""#), "issuer"),
        // auth-jwt-026
        (with(r#""https://id.example/""#, r#""ours""#), "issuer"),
        (claims(r#","aud":"ours""#), "issuer"),
        // auth-jwt-027
        (with(r#""https://id.example""#, r#""theirs""#), "audience"),
        (with(r#""https://id.example""#, "[]"), "audience"),
        // auth-jwt-028
        (claims(r#","iss":"https://id.example""#), "audience"),
        (with(r#""https://id.example""#, r#"["ours",7]"#), "claim"),
        (with(r#""https://id.example""#, "null"), "claim"),
    ] {
        assert_eq!(check(&*auth, at, &bad), refused(cause), "{bad}");
    }
    // auth-jwt-030: an ID token is no access token.
    for header in [HEADER, r#"{"alg":"HS256"}"#, r#"{"alg":"HS256","typ":""}"#] {
        assert_eq!(check(&*auth, header, &right), refused("typ"));
    }
}

#[test]
fn two_secrets_live_at_once_and_no_third() {
    let auth = good(
        Bearer::build,
        &[],
        &[
            ("one", &[("jwt_secret", list(&["demo-new", "demo-old"]))]),
            ("two", &[("jwt_secret", text("demo-other"))]),
        ],
    );
    for (secret, expected) in [
        ("demo-new", Ok(Caller::client("one"))),
        ("demo-old", Ok(Caller::client("one"))),
        ("demo-other", Ok(Caller::client("two"))),
        ("demo-third", refused("signature")),
    ] {
        let token = forge(HEADER, claims("").as_bytes(), secret);
        assert_eq!(ask(&*auth, &format!("Bearer {token}")), expected, "{secret}");
    }
}

#[test]
fn a_mount_may_demand_a_subject() {
    let clients: &[(&str, Rows<'_>)] =
        &[("issuer", &[("jwt_secret", text("demo-s"))]), ("service", &[("token", text("demo-t"))])];
    let required = [("require_subject", gateway_dialect::OptionValue::Flag(true))];
    let strict = [good(Bearer::build_with_subject, &[], clients), good(Bearer::build, &required, clients)];
    for auth in strict {
        let token = |more: &str| format!("Bearer {}", forge(HEADER, claims(more).as_bytes(), "demo-s"));
        assert_eq!(ask(&*auth, &token("")), refused("no_subject"));
        assert_eq!(ask(&*auth, &token(r#","sub":"u""#)).unwrap().subject.as_deref(), Some("u"));
        assert_eq!(ask(&*auth, "Bearer demo-t"), Ok(Caller::client("service")));
    }
}
