//! Tokens that only their issuer can tell about (RFC 7662).

use serde_json::{Value, json};
use tests::{
    Issuer,
    issued::{Here, Said},
    issuer::{AUD, ISS, Mood, SigningKey},
};
use time::Duration;

fn by_asking(issuer: &Issuer) -> String {
    let url = issuer.introspection_url();
    let ours = format!("issuer = \"{ISS}\"\naudience = \"{AUD}\"");
    format!(
        "introspection_url = \"{url}\"\nintrospection_client_id = \"gate way\"\nintrospection_secret = \"demo-service-token\"\nallow_private = true\n{ours}"
    )
}

fn active(more: Value) -> Value {
    let mut all = json!({"active": true, "iss": ISS, "aud": AUD, "sub": "u", "scope": "user:users:read"});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

/// How often the mounts have asked: each for itself.
fn asked(issuer: &Issuer) -> usize {
    let count = issuer.questions().len();
    assert_eq!(count % 2, 0);
    count / 2
}

#[tokio::test]
async fn answers_are_kept_for_a_moment() {
    let issuer = Issuer::start(&[]);
    let here = Here::new(&by_asking(&issuer)).await;
    issuer.tell("good", active(json!({})));
    issuer.tell("short", active(json!({"exp": here.now_s() + 10})));
    for _ in 0..3 {
        assert_eq!(here.says("good").await, Said::Taken);
        assert_eq!(here.says("short").await, Said::Taken);
        assert_eq!(here.says("bad").await, Said::Refused);
    }
    assert_eq!(asked(&issuer), 3);
    // A bad answer for five seconds: by then the token may be known.
    issuer.tell("bad", active(json!({})));
    here.forward(Duration::milliseconds(4_999));
    assert_eq!(here.says("bad").await, Said::Refused);
    here.forward(Duration::milliseconds(1));
    assert_eq!(here.says("bad").await, Said::Taken);
    assert_eq!(asked(&issuer), 4);
    // A good one never past its end, which has no leeway,
    here.forward(Duration::milliseconds(4_999));
    assert_eq!(here.says("short").await, Said::Taken);
    assert_eq!(asked(&issuer), 4);
    here.forward(Duration::milliseconds(1));
    assert_eq!(here.says("short").await, Said::Refused);
    assert_eq!(asked(&issuer), 5);
    // and for thirty seconds.
    issuer.tell("good", json!({"active": false}));
    here.forward(Duration::milliseconds(19_999));
    assert_eq!(here.says("good").await, Said::Taken);
    here.forward(Duration::milliseconds(1));
    assert_eq!(here.says("good").await, Said::Refused);
    assert_eq!(asked(&issuer), 6);
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_no_access_and_no_refusal() {
    let issuer = Issuer::start(&[]);
    for mood in [
        Mood::Down,
        Mood::Status(500),
        Mood::Status(401),
        Mood::Status(302),
        Mood::Body(String::new()),
        Mood::Body("<html></html>".to_owned()),
        Mood::Body("true".to_owned()),
        Mood::Body("{}".to_owned()),
        Mood::Body(r#"{"active":"true"}"#.to_owned()),
        Mood::Body(r#"{"active":1}"#.to_owned()),
        Mood::Body(r#"{"active":true,"active":false}"#.to_owned()),
        Mood::Body(format!("{}{}", active(json!({})), " ".repeat(70_000))),
    ] {
        issuer.be(Mood::Well);
        let here = Here::new(&by_asking(&issuer)).await;
        issuer.tell("good", active(json!({})));
        assert_eq!(here.says("good").await, Said::Taken);
        assert_eq!(here.says("bad").await, Said::Refused);
        issuer.be(mood.clone());
        // A minute: what is known holds as long as it may, then nothing is.
        for seconds in 0..60 {
            let good = if seconds < 30 { Said::Taken } else { Said::Unavailable };
            let bad = if seconds < 5 { Said::Refused } else { Said::Unavailable };
            assert_eq!(here.says("good").await, good, "{mood:?} {seconds}");
            assert_eq!(here.says("bad").await, bad, "{mood:?} {seconds}");
            assert_eq!(here.says("unseen").await, Said::Unavailable, "{mood:?}");
            here.others_are_served().await;
            here.forward(Duration::SECOND);
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_hangs_is_given_up() {
    let issuer = Issuer::start(&[]);
    let here = Here::new(&by_asking(&issuer)).await;
    issuer.be(Mood::Hang);
    // All wait for one answer, and no longer than for one.
    let (first, second, third) = tokio::join!(here.says("a"), here.says("a"), here.says("b"));
    assert_eq!([first, second, third], [Said::Unavailable; 3]);
    issuer.be(Mood::Well);
    issuer.tell("a", active(json!({})));
    assert_eq!(here.says("a").await, Said::Taken);
}

#[tokio::test]
async fn one_question_answers_all_who_wait() {
    let issuer = Issuer::start(&[]);
    let here = Here::new(&by_asking(&issuer)).await;
    issuer.tell("good", active(json!({})));
    let (a, b, c, d) =
        tokio::join!(here.says("good"), here.says("good"), here.says("good"), here.says("good"));
    assert_eq!([a, b, c, d], [Said::Taken; 4]);
    assert_eq!(asked(&issuer), 1);
    let count = r#"interlingua_introspections_total{mount="user",outcome="active"}"#;
    assert_eq!(here.figure(count), Some(1));
}

/// `auth-jwt-060`, and what of a token and a secret goes where.
#[tokio::test]
async fn a_token_is_asked_about_whole_and_sent_as_a_form() {
    let issuer = Issuer::start(&[]);
    let here = Here::new(&by_asking(&issuer)).await;
    issuer.tell("a%2Bb%26c%3Dd", active(json!({})));
    assert_eq!(here.says("a+b&c=d").await, Said::Taken);
    for near in ["a+b&c=", "a+b&c=dd", "A+b&c=d", "a b"] {
        assert_eq!(here.says(near).await, Said::Refused, "{near}");
    }
    let question = issuer.questions()[0].clone();
    // `gate%20way:demo-service-token`
    assert_eq!(
        question,
        "Basic Z2F0ZSUyMHdheTpkZW1vLXNlcnZpY2UtdG9rZW4= token=a%2Bb%26c%3Dd&token_type_hint=access_token"
    );
}

#[tokio::test]
async fn an_active_token_must_be_ours() {
    let issuer = Issuer::start(&[]);
    let here = Here::new(&by_asking(&issuer)).await;
    let (past, future) = (here.now_s() - 1, here.now_s() + 600);
    for (n, (claims, said)) in [
        (json!({}), Said::Taken),
        (json!({"aud": ["x", AUD], "exp": future}), Said::Taken),
        (json!({"iss": "https://issuer.example.com/"}), Said::Refused),
        (json!({"aud": "others"}), Said::Refused),
        (json!({"aud": null}), Said::Refused),
        (json!({"exp": past}), Said::Refused),
        (json!({"exp": future.to_string()}), Said::Refused),
        (json!({"nbf": future}), Said::Refused),
        (json!({"sub": ""}), Said::Refused),
        (json!({"sub": 7}), Said::Refused),
        (json!({"projectId": "a/b"}), Said::Refused),
    ]
    .into_iter()
    .enumerate()
    {
        let token = format!("token-{n}");
        issuer.tell(&token, active(claims.clone()));
        let user = here.get("/user/users/01020304-0506-4708-890a-0b0c0d0e0f10", &token).await;
        assert_eq!(tests::issued::said(&user), said, "{claims}");
    }
}

/// Nobody is asked about what is known, malformed, or brings a key.
#[tokio::test]
async fn only_unknown_tokens_are_asked_about() {
    let issuer = Issuer::start(&[]);
    let own = "[[mount.client]]\nname = \"own\"\ntoken = \"demo-access-token\"\nscope = \"user:users:read\"\nproject = \"proj1234\"";
    let here = Here::new(&format!("{}\n{own}", by_asking(&issuer))).await;
    assert_eq!(here.says("demo-access-token").await, Said::Taken);
    // auth-bearer-011
    assert_eq!(here.says(&"t".repeat(9_000)).await, Said::Refused);
    let key = SigningKey::ed("k");
    for member in ["jwk", "jku", "x5u", "x5c", "crit"] {
        let header = json!({"alg": "EdDSA", "kid": "k", member: "https://evil.example"});
        assert_eq!(here.says(&key.sign(&header, &json!({"iss": ISS}))).await, Said::Refused, "{member}");
    }
    assert_eq!(asked(&issuer), 0);
    let foreign = key.token(here.now_s(), &json!({}));
    issuer.tell(&foreign, active(json!({})));
    assert_eq!(here.says(&foreign).await, Said::Taken);
    assert_eq!(asked(&issuer), 1);
}
