//! The dialect called directly: requests decoded, applied, judged and encoded; errors rendered; and
//! the laws of its table over random users and updates.

use super::*;
use gateway_core::{Link, Namespace, Point, Suspension, Timestamp, UserId};
use gateway_dialect::{Form, Resolution, Ruling, UnknownFields, Verb, resolve};
use http::HeaderMap;
use proptest::prelude::*;
use time::macros::{date, utc_datetime};

const NOW: Timestamp = utc_datetime!(2026-03-01 12:00);
const PLAIN: Update = Update { table: &TABLE };
const LOWER: Update = Update { table: &LOWER_TABLE };

fn project() -> Namespace {
    Namespace::parse("proj1234").unwrap()
}

fn reach() -> Reach {
    Reach::Namespace(project())
}

fn site(reach: &Reach) -> Site<'_> {
    Site {
        reach,
        unknown_fields: UnknownFields::Ignore,
        base: "/social",
        now: NOW,
        request_id: "r",
        form: Form::Document,
    }
}

fn service() -> Caller {
    Caller { namespace: Some(project()), ..Caller::client("proj1234") }
}

fn token_of(subject: &str) -> Caller {
    Caller { subject: Some(subject.into()), ..service() }
}

fn user(external_id: &str) -> User {
    let mut user = User::new(UserId::from_bytes([7; 16]), Status::Active, NOW);
    user.links = vec![Link { namespace: project(), external_id: ExternalId::parse(external_id).unwrap() }];
    user
}

fn target(verb: Verb, path: &str) -> Target<'_> {
    match resolve(ROUTES, Some(verb), path) {
        Resolution::Found(target) => target,
        _ => panic!("{path} is no route"),
    }
}

fn patch(dialect: &Update, caller: &Caller, path: &str, body: &str) -> Result<Decoded, Error> {
    let (reach, headers) = (reach(), HeaderMap::new());
    let request =
        Request { target: target(Verb::Patch, path), query: None, headers: &headers, body: body.as_bytes() };
    dialect.negotiate(&request)?;
    dialect.decode(&site(&reach), caller, &request)
}

fn get(caller: &Caller, path: &str, query: &str) -> Result<Operation, Error> {
    let (reach, headers) = (reach(), HeaderMap::new());
    let request =
        Request { target: target(Verb::Get, path), query: Some(query), headers: &headers, body: b"" };
    PLAIN.decode(&site(&reach), caller, &request).map(|decoded| decoded.operation)
}

/// An update through every step but the store.
fn updated(dialect: &Update, before: &User, update: &str) -> Result<User, Error> {
    let decoded = patch(dialect, &service(), "/proj1234/users/67890", &format!(r#"{{"update":{update}}}"#))?;
    let Operation::Update { mut changes, .. } = decoded.operation else { panic!("no update") };
    dialect.settle(before, &mut changes);
    let after = before.changed(&changes, NOW).unwrap_or_else(|| before.clone());
    let reach = reach();
    let site = site(&reach);
    dialect.judge(&Ruling { site: &site, before: Some(before), after: &after, changes: &changes })?;
    Ok(after)
}

fn body(answer: Answer) -> String {
    String::from_utf8(answer.body.to_vec()).unwrap()
}

fn shown(user: &User) -> String {
    let reach = reach();
    body(PLAIN.encode(&site(&reach), &Outcome::Updated(user)))
}

fn refusal(error: &Error) -> (u16, String) {
    let answer = PLAIN.render(error, &Occasion { request_id: "r", target: None, external_id: None });
    (answer.status.as_u16(), body(answer))
}

#[test]
fn the_example_of_the_seed() {
    let first = r#"{"name":"John Doe","avatar":"https://example.com/avatar.jpg","bio":"New bio text","birthdate":"1990-01-01"}"#;
    let second = r#"{"username":"new_username","location":{"longitude":34.05,"latitude":-118.25},"metadata":{"theme":"dark"},"secureMetadata":{"pin":1}}"#;
    let user = updated(&PLAIN, &updated(&PLAIN, &user("67890"), first).unwrap(), second).unwrap();
    assert_eq!(
        shown(&user),
        r#"{"id":"67890","username":"new_username","name":"John Doe","avatar":"https://example.com/avatar.jpg","bio":"New bio text","birthdate":"1990-01-01T00:00:00.000Z","location":{"type":"Point","coordinates":[34.05,-118.25]},"metadata":{"theme":"dark"},"suspensions":[]}"#
    );
}

#[test]
fn all_nine_members_of_a_new_user_and_eight_of_a_suggestion() {
    let mut user = user("67890");
    let nine = r#"{"id":"67890","username":null,"name":null,"avatar":null,"bio":null,"birthdate":null,"location":null,"metadata":{},"suspensions":[]}"#;
    assert_eq!(shown(&user), nine);
    user.suspensions = vec![Suspension { reason: None, starts_at: NOW, ends_at: None }];
    let reach = reach();
    let found = [Arc::new(user)];
    assert_eq!(
        body(PLAIN.encode(&site(&reach), &Outcome::Suggested(&found))),
        r#"[{"id":"67890","username":null,"name":null,"avatar":null,"bio":null,"birthdate":null,"location":null,"suspensions":[{"reason":null,"startDate":"2026-03-01T12:00:00.000Z","endDate":null}]}]"#
    );
    assert_eq!(body(PLAIN.encode(&site(&reach), &Outcome::Available(false))), r#"{"available":false}"#);
    assert_eq!(PLAIN.encode(&site(&reach), &Outcome::Created(&found[0])).status, StatusCode::CREATED);
}

#[test]
fn a_user_token_writes_only_itself() {
    let write = |caller: &Caller, path, body| patch(&PLAIN, caller, path, body).map_err(|error| error.kind);
    let good = r#"{"update":{"bio":"x"}}"#;
    assert!(write(&token_of("a/b"), "/proj1234/users/a%2Fb", good).is_ok());
    assert!(write(&service(), "/proj1234/users/other", good).is_ok());
    for path in ["/proj1234/users/other", "/proj1234/users/%zz", "/proj1234/users/"] {
        assert_eq!(write(&token_of("a/b"), path, good).err(), Some(ErrorKind::Forbidden), "{path}");
        let bad = r#"{"update":{"bio":1}}"#;
        assert_eq!(write(&token_of("a/b"), path, bad).err(), Some(ErrorKind::Invalid), "{path}");
    }
}

#[test]
fn a_project_is_seen_by_its_own_tokens() {
    let (here, nobody) = (reach(), Reach::Nobody);
    let read = target(Verb::Get, "/proj1234/users/1");
    let write = target(Verb::Patch, "/proj1234/users/1");
    let judged =
        |reach, caller: &Caller, target| PLAIN.authorize(&site(reach), caller, target).map_err(|e| e.kind);
    let other = Caller { namespace: Namespace::parse("proj9"), ..service() };
    let anonymous = Caller { namespace: None, is_anonymous: true, ..service() };
    for target in [&read, &write] {
        assert_eq!(judged(&here, &service(), target), Ok(()));
        assert_eq!(judged(&here, &token_of("1"), target), Ok(()));
        assert_eq!(judged(&here, &other, target), Err(ErrorKind::NotFound));
        assert_eq!(judged(&here, &Caller::client("x"), target), Err(ErrorKind::NotFound));
        assert_eq!(judged(&nobody, &service(), target), Err(ErrorKind::NotFound));
        assert_eq!(judged(&nobody, &anonymous, target), Err(ErrorKind::NotFound));
    }
    assert_eq!(judged(&here, &anonymous, &read), Ok(()));
    assert_eq!(judged(&here, &anonymous, &write), Err(ErrorKind::MissingCredential));
}

#[test]
fn a_foreign_id_makes_a_user_for_a_service_only() {
    let path = "/proj1234/users/by-foreign-id";
    let query = "foreignId=a+b%2Fc&createIfNotFound=true&name=+Ann+&username=an-n&bio=&metadata=%7B%22k%22%3A1%7D&secureMetadata={}&birthdate=x";
    let Ok(Operation::ReadOrCreate(creation)) = get(&service(), path, query) else { panic!("no creation") };
    assert_eq!(creation.external_id.as_ref().map(ExternalId::as_str), Some("a b/c"));
    let mut user = user("a b/c");
    user.profile.apply(&creation.changes);
    assert_eq!(
        shown(&user),
        r#"{"id":"a b/c","username":"ann","name":"Ann","avatar":null,"bio":"","birthdate":null,"location":null,"metadata":{"k":1},"suspensions":[]}"#
    );
    let anonymous = Caller { is_anonymous: true, ..service() };
    for caller in [token_of("1"), anonymous] {
        assert!(matches!(get(&caller, path, query), Ok(Operation::Read(Locator::External(_)))));
    }
    assert!(matches!(get(&service(), path, "foreignId=1"), Ok(Operation::Read(_))));
    assert!(matches!(get(&service(), path, "foreignId=1&createIfNotFound=1"), Ok(Operation::Read(_))));
    assert!(matches!(get(&service(), path, "foreignId=.."), Ok(Operation::Read(Locator::Nobody))));
    for (query, error, code) in [
        ("", "Missing or invalid foreign user ID.", "user/invalid-identifier"),
        ("foreignId=", "Missing or invalid foreign user ID.", "user/invalid-identifier"),
        ("foreignId=1&foreignId=2", "Missing or invalid foreign user ID.", "user/invalid-identifier"),
        (
            "foreignId=..&createIfNotFound=true",
            "Missing or invalid foreign user ID.",
            "user/invalid-identifier",
        ),
        ("foreignId=1&createIfNotFound=true&username=-", "Invalid username", "user/missing-data"),
        ("foreignId=1&createIfNotFound=true&name=%ff", "Invalid name", "user/missing-data"),
        ("foreignId=1&createIfNotFound=true&metadata=x&bio=%ff", "Invalid bio", "user/missing-data"),
        (
            "foreignId=1&createIfNotFound=true&secureMetadata=[]",
            "Invalid secureMetadata",
            "user/missing-data",
        ),
        ("foreignId=1&createIfNotFound=true&metadata=null", "Invalid metadata", "user/missing-data"),
    ] {
        let error_body = format!(r#"{{"error":"{error}","code":"{code}"}}"#);
        assert_eq!(refusal(&get(&service(), path, query).unwrap_err()), (400, error_body), "{query}");
    }
}

#[test]
fn bodies_that_say_nothing_or_nonsense() {
    for (text, error) in [
        ("", "Invalid JSON"),
        ("[]", "Invalid JSON"),
        (r#"{"update":{"bio":"x"},"update":{}}"#, "Invalid JSON"),
        ("{}", "Missing required data"),
        (r#"{"update":null}"#, "Missing required data"),
        (r#"{"update":[{"bio":"x"}]}"#, "Missing required data"),
        (r#"{"update":{}}"#, "Missing required data"),
        (r#"{"update":{"suspensions":1,"metadata":null,"username":"-"}}"#, "Invalid username"),
        (r#"{"update":{"metadata":null}}"#, "Invalid metadata"),
        (r#"{"update":{"secureMetadata":null}}"#, "Invalid secureMetadata"),
    ] {
        let refused = refusal(&patch(&PLAIN, &service(), "/proj1234/users/1", text).unwrap_err());
        assert_eq!(refused, (400, format!(r#"{{"error":"{error}","code":"user/missing-data"}}"#)), "{text}");
    }
    let text = r#"{"update":{"role":"admin","id":"2","suspensions":[]},"token":1}"#;
    let decoded = patch(&PLAIN, &service(), "/proj1234/users/1", text).unwrap();
    assert_eq!(decoded.unknown, ["role", "token"]);
    assert!(matches!(decoded.operation, Operation::Update { changes, .. } if changes.is_empty()));
}

#[test]
fn errors_speak_the_dialect() {
    for (error, status, text) in [
        (Error::new(ErrorKind::MissingCredential), 401, "Unauthorized"),
        (Error::new(ErrorKind::BadCredential).message("expired"), 403, "Forbidden"),
        (ErrorKind::RateLimited.into(), 429, "Too many attempts, please try again shortly"),
        (
            ErrorKind::UsernameTaken.into(),
            409,
            r#"{"error":"Username already taken","field":"username","code":"DUPLICATE_USERNAME"}"#,
        ),
        (
            Error::new(ErrorKind::Internal).message("secret"),
            500,
            r#"{"error":"Internal server error","code":"user/server-error","details":"The request failed within the service. X-Request-Id names it."}"#,
        ),
        (
            Error::new(ErrorKind::RuleViolated).message("Not that name"),
            400,
            r#"{"error":"Not that name","code":"user/validation-failed"}"#,
        ),
        (
            ErrorKind::Vetoed.into(),
            400,
            r#"{"error":"User validation failed","code":"user/validation-failed"}"#,
        ),
        (
            Error::new(ErrorKind::ValidatorFailed).message("secret"),
            500,
            r#"{"error":"Internal server error","code":"user/server-error","details":"The request failed within the service. X-Request-Id names it."}"#,
        ),
    ] {
        assert_eq!(refusal(&error), (status, text.to_owned()));
    }
    let occasion = Occasion {
        request_id: "r",
        target: Some(target(Verb::Get, "/p/users/check-username")),
        external_id: None,
    };
    let answer = PLAIN.render(&ErrorKind::Internal.into(), &occasion);
    assert!(body(answer).contains(r#""code":"username/server-error""#));
    let unauthorized = PLAIN.render(&ErrorKind::MissingCredential.into(), &occasion);
    assert!(unauthorized.headers.contains(&(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))));
}

#[test]
fn a_composed_update_says_the_same() {
    let text = r#"{"update":{"username":"ann","bio":null,"location":{"longitude":34.05,"latitude":7},"metadata":{"b":1,"a":2},"secureMetadata":{"pin":1}}}"#;
    let decoded = patch(&PLAIN, &service(), "/proj1234/users/1", text).unwrap();
    let Operation::Update { changes, .. } = decoded.operation else { panic!("no update") };
    let expression = PLAIN.fields().express(&changes);
    assert_eq!(String::from_utf8(PLAIN.compose(&expression.fields, "1")).unwrap(), text);
}

#[test]
fn a_question_is_what_would_be_written() {
    let question = |text: &str, secure| {
        let decoded = patch(&PLAIN, &service(), "/proj1234/users/1", text).unwrap();
        let Operation::Update { changes, .. } = decoded.operation else { panic!("no update") };
        String::from_utf8(PLAIN.question(&site(&reach()), &changes, secure)).unwrap()
    };
    // The vector of B.7.
    assert_eq!(
        question(r#"{"update":{"username":"new_username"}}"#, false),
        r#"{"projectId":"proj1234","data":{"username":"new_username"}}"#
    );
    let text = r#"{"update":{"secureMetadata":{"pin":1},"location":{"latitude":7,"longitude":34.05},"bio":null,"username":"a!n n","metadata":{},"id":"other","role":"admin","birthdate":"1990-01-01"}}"#;
    let data = |secure| {
        format!(
            r#"{{"projectId":"proj1234","data":{{"username":"ann","bio":null,"birthdate":"1990-01-01T00:00:00.000Z","location":{{"longitude":34.05,"latitude":7}},"metadata":{{}}{secure}}}}}"#
        )
    };
    assert_eq!(question(text, false), data(""));
    assert_eq!(question(text, true), data(r#","secureMetadata":{"pin":1}"#));
}

/// A spelling of every field, by its number: good ones, `null` among them.
fn spelling() -> impl Strategy<Value = (&'static str, String)> {
    let quoted = |text: String| serde_json::to_string(&text).unwrap();
    let degrees = -180.0..=180.0_f64;
    prop_oneof![
        "[a-z]{1,5}[._A-Z0-9-]{0,5}".prop_map(move |text| ("username", quoted(text))),
        "[ a-zé]{0,9}".prop_map(move |text| ("name", quoted(text))),
        "[ a-z\n]{0,9}".prop_map(move |text| ("bio", quoted(text))),
        "(https://[a-z]{1,9}\\.example/[a-z]{0,5})?".prop_map(move |text| ("avatar", quoted(text))),
        (1900..2026, 1..=12, 1..=28, 0..24)
            .prop_map(|(y, m, d, h)| ("birthdate", format!("\"{y}-{m:02}-{d:02}T{h:02}:00:00.5Z\""))),
        (1900..2026, 1..=12, 1..=28).prop_map(|(y, m, d)| ("birthdate", format!("\"{y}-{m:02}-{d:02}\""))),
        (degrees.clone(), degrees)
            .prop_map(|(lon, lat)| ("location", format!(r#"{{"longitude":{lon},"latitude":{lat}}}"#))),
        proptest::collection::btree_map("[a-z]{1,3}", any::<i64>(), 0..3)
            .prop_map(|map| ("metadata", serde_json::to_string(&map).unwrap())),
        any::<u8>().prop_map(|pin| ("secureMetadata", format!(r#"{{"pin":{pin}}}"#))),
        prop::sample::select(vec!["username", "name", "avatar", "bio", "birthdate", "location"])
            .prop_map(|name| (name, "null".to_owned())),
    ]
}

/// An update without a name twice.
fn update() -> impl Strategy<Value = String> {
    proptest::collection::vec(spelling(), 1..6).prop_map(|fields| {
        let mut members: Vec<String> = Vec::new();
        for (name, value) in fields {
            let start = format!("\"{name}\":");
            members.retain(|member| !member.starts_with(&start));
            members.push(start + &value);
        }
        format!("{{{}}}", members.join(","))
    })
}

/// What this dialect would not have stored like that.
fn untidy(number: f64) -> Change {
    let instant = utc_datetime!(1990-01-01 08:30:15.123_456_789);
    match number {
        0.0..20.0 => Change::set(Attr::BirthInstant, Value::Instant(instant)),
        20.0..40.0 => Change::set(Attr::DisplayName, Value::text(" Ann\u{a0}")),
        40.0..60.0 => Change::set(Attr::Username, Value::text("Mixed.Case")),
        _ => Change::set(Attr::Metadata, Value::Document("{}".into())),
    }
}

/// A user that other dialects wrote.
fn foreign() -> impl Strategy<Value = User> {
    let name = || proptest::option::of(" ?[A-Z][a-z]{1,8} ?");
    (name(), name(), proptest::option::of(0..40_000_i64), proptest::option::of(-90.0..90.0_f64)).prop_map(
        |(given, family, born, degrees)| {
            let mut user = user("67890");
            let texts = [(Attr::GivenName, given), (Attr::FamilyName, family.clone()), (Attr::City, family)];
            let mut changes: Vec<_> = texts
                .into_iter()
                .filter_map(|(attr, text)| Some(Change::set(attr, Value::text(text?))))
                .collect();
            let day = |days| date!(1900 - 01 - 01) + time::Duration::days(days);
            changes.extend(born.map(|days| Change::set(Attr::BirthDate, Value::Date(day(days)))));
            let point = |degrees| Value::Point(Point { longitude: degrees, latitude: -degrees });
            changes.extend(degrees.map(|degrees| Change::set(Attr::Geo, point(degrees))));
            changes.extend(degrees.filter(|degrees| *degrees > 0.0).map(untidy));
            user.profile.apply(&changes);
            user.suspensions = vec![Suspension { reason: None, starts_at: NOW, ends_at: None }];
            user
        },
    )
}

proptest! {
    #[test]
    fn reading_what_you_wrote_gives_it_back(before in foreign(), update in update()) {
        let after = updated(&PLAIN, &before, &update).unwrap();
        let (answer, update) = (shown(&after), json::parse(update.as_bytes()).unwrap());
        let answer = json::parse(answer.as_bytes()).unwrap();
        for (name, sent) in update.members().unwrap() {
            let row = TABLE.row(&format!("/{name}")).unwrap();
            if row.access == gateway_dialect::Access::WriteOnly {
                prop_assert!(answer.get(name).is_none());
                continue;
            }
            let got = answer.get(name).unwrap();
            if *sent == Json::Null {
                // An unset name falls back (E.3, 1).
                prop_assert!(*got == Json::Null || name == "name");
            } else {
                prop_assert_eq!(row.codec.read(got, NOW.date()), row.codec.read(sent, NOW.date()));
            }
        }
    }

    #[test]
    fn writing_back_what_you_read_changes_nothing(before in foreign(), update in update()) {
        let reach = reach();
        for dialect in [PLAIN, LOWER] {
            for user in [updated(&dialect, &before, &update).unwrap(), before.clone()] {
                let shown = body(dialect.encode(&site(&reach), &Outcome::Updated(&user)));
                prop_assert_eq!(&updated(&dialect, &user, &shown).unwrap(), &user);
            }
        }
    }

    #[test]
    fn a_write_touches_no_group_that_it_does_not_name(before in foreign(), update in update()) {
        for dialect in [PLAIN, LOWER] {
            let after = updated(&dialect, &before, &update).unwrap();
            let named: Vec<_> = json::parse(update.as_bytes()).unwrap().members().unwrap().iter()
                .map(|(name, _)| TABLE.row(&format!("/{name}")).unwrap().attr.group()).collect();
            for attr in Attr::STORED.into_iter().filter(|attr| !named.contains(&attr.group())) {
                prop_assert_eq!(before.profile.get(attr), after.profile.get(attr), "{:?}", attr);
            }
            prop_assert_eq!(&before.suspensions, &after.suspensions);
        }
    }
}
