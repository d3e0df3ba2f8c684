//! The trait called directly.

mod laws;

use std::cell::RefCell;

use gateway_core::{Namespace, Place, Timestamp};
use gateway_dialect::{
    Entry, Form, OptionProblem, OptionValue, Resolution, Secret, SecretSource, UnknownFields, resolve,
};
use http::HeaderMap;
use time::macros::{date, utc_datetime};

use super::*;

const NOW: Timestamp = utc_datetime!(2026-03-01 12:00);
const ID: &str = "c0daf39b-4df5-4241-9e7d-b1b85f829090";
const SEED: &str = r#"{"data":{"type":"User","id":"c0daf39b-4df5-4241-9e7d-b1b85f829090","attributes":{"firstName":"John","lastName":"Smith","email":"user@example.com","phoneNumber":"+1 (425) 555-1212","pictureUrl":"https://api.pace.cloud/user/img/uztqwenbqw87t123jhg87t6876","gender":"male","createdAt":"2021-09-01T23:12:56Z","birthDate":"1997-07-21T00:00:00.000Z","address":{"country":"DE","locality":"Karlsruhe","street":"Haid-und-Neu-Straße","houseNo":18,"additionalAddressLink":"z.H. John Smith","region":"BW","postalCode":76131},"locale":"de-DE","zoneInfo":"Europe/Berlin"}}}"#;

struct NoSecrets;

impl SecretSource for NoSecrets {
    fn resolve(&self, _: &str) -> Result<Secret, String> {
        Err("no secrets here".to_owned())
    }
}

fn build(options: &[(&str, OptionValue)]) -> (Arc<dyn Dialect>, Vec<OptionProblem>) {
    let entry = |(name, value): &(&str, OptionValue)| Entry {
        name: (*name).to_owned(),
        name_span: 0..1,
        value: value.clone(),
        span: 1..2,
    };
    let problems = RefCell::new(Vec::new());
    let mut options = Options::new(options.iter().map(entry).collect(), 0..0, &problems, &NoSecrets);
    let dialect = JsonApi::build(&mut options);
    options.finish();
    (dialect, problems.into_inner())
}

fn text(text: &str) -> OptionValue {
    OptionValue::Text(text.to_owned())
}

fn pace() -> Arc<dyn Dialect> {
    build(&[]).0
}

fn strict() -> Arc<dyn Dialect> {
    build(&[("conformance", text("jsonapi-1.1"))]).0
}

fn site(reach: &Reach) -> Site<'_> {
    Site {
        reach,
        unknown_fields: UnknownFields::Ignore,
        base: "/user/2025-1",
        now: NOW,
        request_id: "00000000-0000-0000-0000-000000000001",
        form: Form::Document,
    }
}

fn target(verb: Verb, path: &str) -> Target<'_> {
    match resolve(ROUTES, Some(verb), path) {
        Resolution::Found(target) => target,
        _ => panic!("{path}"),
    }
}

fn decode(dialect: &dyn Dialect, verb: Verb, path: &str, body: &str) -> Result<Operation, Error> {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let headers = HeaderMap::new();
    let request = Request { target: target(verb, path), query, headers: &headers, body: body.as_bytes() };
    dialect.decode(&site(&Reach::All), &Caller::client("test"), &request).map(|decoded| decoded.operation)
}

fn patch(dialect: &dyn Dialect, body: &str) -> Result<Operation, Error> {
    decode(dialect, Verb::Patch, &format!("/users/{ID}"), body)
}

fn with(attributes: &str) -> String {
    format!(r#"{{"data":{{"type":"User","id":"{ID}","attributes":{attributes}}}}}"#)
}

/// What an update makes of a user, as the gateway does it.
fn updated(dialect: &dyn Dialect, before: &User, operation: Operation) -> Result<User, Error> {
    let Operation::Update { user, mut changes, deferred: None } = operation else { panic!("no update") };
    assert_eq!(user, Locator::Id(before.id));
    dialect.settle(before, &mut changes);
    let after = before.changed(&changes, NOW).unwrap_or_else(|| before.clone());
    let site = site(&Reach::All);
    dialect.judge(&Ruling { site: &site, before: Some(before), after: &after, changes: &changes })?;
    Ok(after)
}

fn shown_by(dialect: &dyn Dialect, user: &User) -> String {
    let answer = dialect.encode(&site(&Reach::All), &Outcome::Found(user));
    String::from_utf8(answer.body.to_vec()).unwrap()
}

fn rendered(dialect: &dyn Dialect, error: &Error) -> (u16, String) {
    let occasion = Occasion { request_id: "r", target: None, external_id: None };
    let answer = dialect.render(error, &occasion);
    assert!(answer.headers.contains(&(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))));
    (answer.status.as_u16(), String::from_utf8(answer.body.to_vec()).unwrap())
}

fn blank() -> User {
    let mut user = User::new(UserId::parse(ID).unwrap(), Status::Active, utc_datetime!(2021-09-01 23:12:56));
    user.profile.apply(&[Change::set(Attr::Email, gateway_core::Value::text("a@b.co"))]);
    user
}

#[test]
fn the_seed_reads_and_writes_to_the_letter() {
    let without_created = SEED.replace(r#""createdAt":"2021-09-01T23:12:56Z","#, "");
    for verb in [Verb::Patch, Verb::Put] {
        let operation = decode(&*pace(), verb, &format!("/users/{ID}"), &without_created).unwrap();
        let user = updated(&*pace(), &blank(), operation).unwrap();
        assert_eq!(shown_by(&*pace(), &user), SEED);
    }
    let (dialect, problems) = build(&[
        ("numeric_address", OptionValue::Flag(false)),
        ("birth_date_format", text("date")),
        ("types", OptionValue::List(vec![(text("users"), 0..1), (text("User"), 1..2)])),
    ]);
    assert_eq!(problems, []);
    let user = updated(&*dialect, &blank(), patch(&*dialect, &without_created).unwrap()).unwrap();
    let expected = SEED
        .replace("\"User\"", "\"users\"")
        .replace(":18,", ":\"18\",")
        .replace("76131", "\"76131\"")
        .replace("T00:00:00.000Z", "");
    assert_eq!(shown_by(&*dialect, &user), expected);
}

#[test]
fn a_creation_says_where_the_user_is() {
    let body = format!(r#"{{"data":{{"type":"User","id":"{ID}","attributes":{{"email":"a@b.co"}}}}}}"#);
    let Operation::Create(creation) = decode(&*pace(), Verb::Post, "/users", &body).unwrap() else {
        panic!("no creation")
    };
    assert_eq!((creation.id, creation.status), (UserId::parse(ID), Status::Active));
    let answer = strict().encode(&site(&Reach::All), &Outcome::Created(&blank()));
    let location = HeaderValue::try_from(format!("/user/2025-1/users/{ID}")).unwrap();
    assert_eq!(answer.status, StatusCode::CREATED);
    assert!(answer.headers.contains(&(header::LOCATION, location)));
    let expected = format!(
        r#"{{"data":{{"type":"User","id":"{ID}","attributes":{{"email":"a@b.co","createdAt":"2021-09-01T23:12:56Z"}},"links":{{"self":"/user/2025-1/users/{ID}"}}}}}}"#
    );
    assert_eq!(String::from_utf8(answer.body.to_vec()).unwrap(), expected);
    // Where only some users are seen, nobody chooses ids.
    let reach = Reach::Namespace(Namespace::parse("a").unwrap());
    let (headers, body) = (HeaderMap::new(), body.as_bytes());
    let request = Request { target: target(Verb::Post, "/users"), query: None, headers: &headers, body };
    let error = pace().decode(&site(&reach), &Caller::client("test"), &request).unwrap_err();
    assert_eq!(rendered(&*pace(), &error).0, 403);
}

#[test]
fn bad_documents_have_a_status_by_conformance() {
    for (body, pointer, by_pace, by_spec) in [
        ("{", None, 422, 400),
        ("[]", Some(""), 422, 400),
        ("{}", Some(""), 422, 400),
        (r#"{"data":[]}"#, Some("/data"), 422, 400),
        (r#"{"data":null}"#, Some("/data"), 422, 400),
        (r#"{"data":{"type":"User","id":7}}"#, Some("/data/id"), 422, 400),
        (r#"{"data":{"type":null,"id":"x"}}"#, Some("/data/type"), 422, 400),
        (&with("[]"), Some("/data/attributes"), 422, 400),
        (r#"{"data":{"type":"User"}}"#, Some("/data"), 422, 422),
        (&with("{}").replace("User", "Account"), Some("/data/type"), 422, 409),
        (&with("{}").replace("c0da", "c0db"), Some("/data/id"), 422, 409),
        (&with("{\"createdAt\":null}"), Some("/data/attributes/createdAt"), 403, 403),
        (&with("{\"address\":7}"), Some("/data/attributes/address"), 422, 422),
        (&with("{\"address\":{\"country\":\"XX\"}}"), Some("/data/attributes/address/country"), 422, 422),
    ] {
        for (dialect, status) in [(pace(), by_pace), (strict(), by_spec)] {
            let (answered, document) = rendered(&*dialect, &patch(&*dialect, body).unwrap_err());
            assert_eq!(answered, status, "{body} {document}");
            let source = pointer.map(|pointer| format!(r#""source":{{"pointer":"{pointer}"}}"#));
            assert!(source.is_none_or(|source| document.contains(&source)), "{body} {document}");
        }
    }
    let upper = with("{}").replace(ID, &ID.to_uppercase());
    assert!(patch(&*strict(), &upper).is_ok());
}

#[test]
fn every_bad_field_is_told_with_its_own_status() {
    let body = with(r#"{"email":null,"createdAt":1,"gender":"m","address":{"houseNo":true}}"#);
    let (status, document) = rendered(&*pace(), &patch(&*pace(), &body).unwrap_err());
    let object = |title, detail, status, code, pointer| {
        format!(
            r#"{{"id":"r","title":"{title} is invalid","detail":"{detail}","status":"{status}","code":"{code}","source":{{"pointer":"/data/attributes/{pointer}"}}}}"#
        )
    };
    let expected = [
        object("Email", "Must not be null or empty", 422, "invalid", "email"),
        object("Gender", "Must be one of male, female, other", 422, "invalid", "gender"),
        object("CreatedAt", "Cannot be changed", 403, "forbidden", "createdAt"),
        object("HouseNo", "Must be a string or an integer", 422, "invalid", "address/houseNo"),
    ];
    assert_eq!((status, document), (403, format!(r#"{{"errors":[{}]}}"#, expected.join(","))));
}

#[test]
fn a_put_needs_an_email_and_clears_what_is_absent() {
    let path = format!("/users/{ID}");
    let mut before = blank();
    before.profile.apply(&[
        Change::set(Attr::GivenName, gateway_core::Value::text("Jo")),
        Change::set(Attr::AddressLine1, gateway_core::Value::text("12 Main St")),
        Change::set(Attr::Country, gateway_core::Value::text("US")),
        Change::set(Attr::Bio, gateway_core::Value::text("not seen here")),
    ]);
    let body = with(r#"{"email":"c@d.co","address":{"houseNo":7}}"#);
    let after = updated(&*pace(), &before, decode(&*pace(), Verb::Put, &path, &body).unwrap()).unwrap();
    let left: Vec<_> = after.profile.stored().map(|(attr, _)| attr).collect();
    assert_eq!(left, [Attr::Email, Attr::Bio, Attr::HouseNumber]);
    for (attributes, pointer) in [("{}", "/data/attributes"), ("{\"firstName\":\"x\"}", "/data/attributes")] {
        let error = decode(&*pace(), Verb::Put, &path, &with(attributes)).unwrap_err();
        assert!(rendered(&*pace(), &error).1.contains(&format!(r#""source":{{"pointer":"{pointer}"}}"#)));
    }
    let bare = format!(r#"{{"data":{{"type":"User","id":"{ID}"}}}}"#);
    let error = decode(&*pace(), Verb::Put, &path, &bare).unwrap_err();
    assert!(rendered(&*pace(), &error).1.contains(r#""source":{"pointer":"/data"}"#));
}

#[test]
fn what_another_dialect_left_empty_is_unset_and_stays() {
    let mut before = blank();
    before.profile.apply(&[Change::set(Attr::AvatarUrl, gateway_core::Value::text(""))]);
    assert!(!shown_by(&*pace(), &before).contains("pictureUrl"));
    for body in [with(r#"{"pictureUrl":null}"#), with(r#"{"pictureUrl":""}"#)] {
        let after = updated(&*pace(), &before, patch(&*pace(), &body).unwrap()).unwrap();
        assert_eq!(after, before);
    }
    let put = decode(&*pace(), Verb::Put, &format!("/users/{ID}"), &with(r#"{"email":"a@b.co"}"#)).unwrap();
    assert_eq!(updated(&*pace(), &before, put).unwrap(), before);
}

#[test]
fn regions_are_judged_where_they_move() {
    let set = |rows: &[(Attr, &str)]| {
        let mut user = blank();
        let change = |(attr, value): &(Attr, &str)| Change::set(*attr, gateway_core::Value::text(*value));
        user.profile.apply(&rows.iter().map(change).collect::<Vec<_>>());
        user
    };
    let elsewhere = set(&[(Attr::Country, "DE"), (Attr::Region, "BW")]);
    let wrong = set(&[(Attr::Country, "US"), (Attr::Region, "BW")]);
    let judged = |user: &User, attributes: &str| {
        updated(&*pace(), user, patch(&*pace(), &with(attributes)).unwrap()).map_err(|error| error.fields)
    };
    let at = |attr| Err(vec![FieldError::attr(attr, Problem::Region)]);
    assert_eq!(judged(&elsewhere, r#"{"address":{"country":"us"}}"#), at(Attr::Country));
    assert_eq!(judged(&elsewhere, r#"{"address":{"country":"US","region":"XX"}}"#), at(Attr::Region));
    assert!(judged(&elsewhere, r#"{"address":{"country":"CA","region":"ON"}}"#).is_ok());
    assert!(judged(&elsewhere, r#"{"address":{"country":"FR"}}"#).is_ok());
    assert!(judged(&wrong, r#"{"firstName":"Jo","address":{"region":"BW"}}"#).is_ok());
    assert_eq!(judged(&wrong, r#"{"address":{"region":"Ontario"}}"#), at(Attr::Region));
}

#[test]
fn scopes_and_subjects() {
    let path = format!("/users/{ID}");
    let allowed = |dialect: &dyn Dialect, scope: &str, subject: Option<&str>, verb: Verb, path: &str| {
        let caller =
            Caller { scope: scope.into(), subject: subject.map(Into::into), ..Caller::client("test") };
        dialect.authorize(&site(&Reach::All), &caller, &target(verb, path)).map_err(|error| error.message)
    };
    for (verb, scope) in [
        (Verb::Get, "user:users:read"),
        (Verb::Put, "user:users:write"),
        (Verb::Patch, "user:users:write"),
        (Verb::Delete, "user:users:delete"),
    ] {
        assert_eq!(allowed(&*pace(), &format!("openid {scope}"), None, verb, &path), Ok(()));
        for other in ["", "user:users", "user:users:readonly", &format!("{scope}s"), &scope.to_uppercase()] {
            let title = format!("Forbidden - requires scope \"{scope}\"");
            assert_eq!(allowed(&*pace(), other, None, verb, &path), Err(Some(title.into())), "{other}");
        }
    }
    let (own, _) = build(&[("subject", text("self"))]);
    let (all, upper) = ("user:users:read user:users:write", ID.to_uppercase());
    assert_eq!(allowed(&*own, all, Some(ID), Verb::Patch, &format!("/users/{upper}")), Ok(()));
    for (subject, verb, path) in [
        (None, Verb::Patch, &*path),
        (Some("c0daf39b-4df5-4241-9e7d-b1b85f829091"), Verb::Get, &path),
        (Some("abc"), Verb::Get, "/users/abc"),
        (Some(ID), Verb::Post, "/users"),
    ] {
        assert_eq!(allowed(&*own, all, subject, verb, path), Err(None), "{subject:?} {path}");
    }
}

#[test]
fn query_parameters_of_the_standard_are_refused() {
    let read = |dialect: &dyn Dialect, query: &str| {
        decode(dialect, Verb::Get, &format!("/users/{ID}?{query}"), "").map_err(|error| {
            let (status, _) = rendered(dialect, &error);
            assert_eq!(status, 400, "{query}");
            error.fields.first().map(|field| field.place.clone())
        })
    };
    for (query, name) in [
        ("include=foo", "include"),
        ("filter[a]=1", "filter"),
        ("x_y=1&filter%5Ba%5D=1", "filter"),
        ("fields[User]=email", "fields"),
        ("page[size]=1", "page"),
        ("sort", "sort"),
    ] {
        assert_eq!(read(&*pace(), query).unwrap_err(), Some(Place::Parameter(name.into())), "{query}");
    }
    for custom in ["", "_=1", "camelCase=1", "a1", "%zz"] {
        assert!(read(&*pace(), custom).is_ok() && read(&*strict(), custom).is_ok(), "{custom}");
    }
    assert!(read(&*pace(), "verbose=1").is_ok());
    assert_eq!(read(&*strict(), "verbose=1").unwrap_err(), None);
}

#[test]
fn unknown_names_are_counted_or_refused_where_they_stand() {
    let body = r#"{"meta":{},"x":1,"@y":1,"data":{"type":"User","id":"c0daf39b-4df5-4241-9e7d-b1b85f829090","lid":"1","relationships":{},"z/":1,"attributes":{"role":"admin","id":"1","address":{"zip":1,"country":"DE"}}}}"#;
    let headers = HeaderMap::new();
    let path = format!("/users/{ID}");
    let target = target(Verb::Patch, &path);
    let request = Request { target, query: None, headers: &headers, body: body.as_bytes() };
    let caller = Caller::client("test");
    let decoded = pace().decode(&site(&Reach::All), &caller, &request).unwrap();
    assert_eq!(decoded.unknown, ["x", "z/", "role", "id", "zip"]);
    let reject = Site { unknown_fields: UnknownFields::Reject, ..site(&Reach::All) };
    let error = pace().decode(&reject, &caller, &request).unwrap_err();
    let pointers: Vec<_> = error
        .fields
        .iter()
        .map(|field| match &field.place {
            Place::Member(pointer) => pointer.as_str(),
            _ => "",
        })
        .collect();
    let expected =
        ["/x", "/data/z~1", "/data/attributes/role", "/data/attributes/id", "/data/attributes/address/zip"];
    assert_eq!(pointers, expected);
    assert_eq!(rendered(&*pace(), &error).0, 422);
}

#[test]
fn an_update_composed_is_an_update_read() {
    let changes = [
        Change::set(Attr::GivenName, gateway_core::Value::text("Jo")),
        Change::set(Attr::BirthDate, gateway_core::Value::Date(date!(1990 - 05 - 15))),
        Change::set(Attr::AddressLine1, gateway_core::Value::text("Am Ring 7")),
        Change::clear(Attr::City),
    ];
    let body = pace().compose(&pace().fields().express(&changes).fields, ID);
    let expected = with(
        r#"{"firstName":"Jo","birthDate":"1990-05-15T00:00:00.000Z","address":{"locality":null,"street":"Am Ring","houseNo":7}}"#,
    );
    assert_eq!(String::from_utf8(body.clone()).unwrap(), expected);
    assert!(patch(&*pace(), std::str::from_utf8(&body).unwrap()).is_ok());
}

#[test]
fn bad_options_are_told_where_they_stand() {
    let (_, problems) = build(&[
        ("conformance", text("strict")),
        ("types", OptionValue::List(vec![(text(""), 7..8)])),
        ("numeric_address", text("yes")),
        ("subject", OptionValue::Flag(true)),
    ]);
    assert_eq!(problems.len(), 4);
    assert!(problems.iter().any(|problem| problem.span == (7..8)));
}

/// Decision 5: what was answered may be sent back; decision 8: nothing else is a time of creation.
#[test]
fn only_the_time_of_creation_itself_may_be_sent_back() {
    let before = blank();
    let mut same = vec![Change::set(
        Attr::CreatedAt,
        SECONDS.write(&Value::Instant(before.created_at)).as_text().map(Value::text).unwrap(),
    )];
    let mut other = vec![Change::set(Attr::CreatedAt, Value::text("1999-01-01T00:00:00Z"))];
    pace().settle(&before, &mut same);
    pace().settle(&before, &mut other);
    assert_eq!((same.len(), other.len()), (0, 1));
}
