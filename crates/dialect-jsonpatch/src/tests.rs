//! The dialect without a gateway: bodies in, users and answers out.

mod laws;

use gateway_core::{
    Attr, Caller, Change, Creation, Error, ErrorKind, Link, Namespace, Operation, Outcome, Problem, Reach,
    Status, Timestamp, User, UserId, Value,
};
use gateway_dialect::{
    Answer, Dialect, Form, Hygiene, Occasion, Request, Resolution, Ruling, Site, Target, UnknownFields, Verb,
    resolve,
};
use http::{HeaderMap, header};
use time::macros::utc_datetime;

use crate::{JsonPatch, wire::ROUTES};

const DIALECT: JsonPatch = JsonPatch { etag: false };
const NOW: Timestamp = utc_datetime!(2026-03-01 12:00);
const REQUEST_ID: &str = "00000000-0000-4000-8000-000000000000";

fn namespace() -> Namespace {
    Namespace::parse("demo-supplier").unwrap()
}

/// Runs a body through the stops that a dialect has a part in; with the site of a mount's options.
struct Bench {
    reach: Reach,
    unknown_fields: UnknownFields,
}

impl Bench {
    fn new() -> Self {
        Self { reach: Reach::Namespace(namespace()), unknown_fields: DIALECT.unknown_fields() }
    }

    fn site(&self) -> Site<'_> {
        Site {
            reach: &self.reach,
            unknown_fields: self.unknown_fields,
            base: "/supplier/v1",
            now: NOW,
            request_id: REQUEST_ID,
            form: Form::Document,
        }
    }

    fn decode(&self, verb: Verb, path: &str, body: &str) -> Result<(Operation, Vec<String>), Error> {
        let headers = HeaderMap::new();
        let request =
            Request { target: target(verb, path), query: None, headers: &headers, body: body.as_bytes() };
        let caller = Caller::client("demo-supplier");
        DIALECT.decode(&self.site(), &caller, &request).map(|decoded| (decoded.operation, decoded.unknown))
    }

    fn create(&self, body: &str) -> Result<User, Error> {
        let Operation::Create(Creation { external_id, status, changes, .. }) =
            self.decode(Verb::Post, "/users", body)?.0
        else {
            panic!("not a creation")
        };
        let mut user = User::new(UserId::from_bytes([1; 16]), status, NOW);
        user.profile.apply(&changes);
        user.links = vec![Link { namespace: namespace(), external_id: external_id.unwrap() }];
        let ruling = Ruling { site: &self.site(), before: None, after: &user, changes: &changes };
        DIALECT.judge(&ruling)?;
        Ok(user)
    }

    fn update(&self, user: &User, body: &str) -> Result<User, Error> {
        let Operation::Update { mut changes, deferred, .. } = self.decode(Verb::Patch, "/users/42", body)?.0
        else {
            panic!("not an update")
        };
        if let Some(error) = deferred {
            return Err(error);
        }
        DIALECT.settle(user, &mut changes);
        let after = user.changed(&changes, NOW).unwrap_or_else(|| user.clone());
        let ruling = Ruling { site: &self.site(), before: Some(user), after: &after, changes: &changes };
        DIALECT.judge(&ruling)?;
        Ok(after)
    }

    fn read(&self, user: &User) -> String {
        String::from_utf8(DIALECT.encode(&self.site(), &Outcome::Found(user)).body.to_vec()).unwrap()
    }
}

fn target(verb: Verb, path: &str) -> Target<'_> {
    match resolve(ROUTES, Some(verb), path) {
        Resolution::Found(target) => target,
        _ => panic!("no route: {path}"),
    }
}

fn spoken(error: &Error, verb: Verb, path: &str, external_id: Option<&str>) -> (u16, String) {
    let occasion = Occasion { request_id: REQUEST_ID, target: Some(target(verb, path)), external_id };
    let answer = DIALECT.render(error, &occasion);
    (answer.status.as_u16(), String::from_utf8(answer.body.to_vec()).unwrap())
}

const JANE: &str = r#"{"externalId":"42","email":"user@example.com","country":"US","language":"EN","firstName":"John","lastName":"Doe","address":"123 Main St","city":"Perrysburg","state":"OH","zip":"43551","zip4":"9331","birthDate":"01/31/1980"}"#;

fn jane() -> User {
    Bench::new().create(JANE).unwrap()
}

fn replace(rows: &[(&str, &str)]) -> String {
    let row =
        |(path, value): &(&str, &str)| format!(r#"{{"op":"replace","path":"{path}","value":"{value}"}}"#);
    format!("[{}]", rows.iter().map(row).collect::<Vec<_>>().join(","))
}

fn text(user: &User, attr: Attr) -> Option<String> {
    user.profile.get(attr).and_then(|value| value.as_text().map(str::to_owned))
}

#[test]
fn what_was_created_reads_back_in_the_order_of_the_document() {
    let bench = Bench::new();
    assert_eq!(bench.read(&jane()), JANE);
    assert_eq!(jane().status, Status::Active);
    let least = r#"{"externalId":"42","country":"DE","language":"DE"}"#;
    assert_eq!(bench.read(&bench.create(least).unwrap()), least);
}

#[test]
fn successes_are_bare_and_a_read_is_guarded() {
    let (bench, user) = (Bench::new(), jane());
    for (outcome, status) in [(Outcome::Created(&user), 201), (Outcome::Updated(&user), 200)] {
        let answer = DIALECT.encode(&bench.site(), &outcome);
        assert_eq!((answer.status.as_u16(), answer.hygiene), (status, Hygiene::None));
        assert!(answer.headers.is_empty() && answer.body.is_empty());
    }
    let answer: Answer = DIALECT.encode(&bench.site(), &Outcome::Found(&user));
    assert_eq!((answer.headers.len(), answer.hygiene), (1, Hygiene::Full));
    assert_eq!(DIALECT.request_id_header(), None);
    assert!(!DIALECT.has_entity_tags() && JsonPatch { etag: true }.has_entity_tags());
}

#[test]
fn the_first_bad_path_goes_before_any_bad_value() {
    let bench = Bench::new();
    let rows = [
        (replace(&[("/email", "x"), ("/externalId", "7")]), "externalId"),
        (replace(&[("/nope/deep", "x"), ("/externalId", "7")]), "nope/deep"),
        (replace(&[("email", "a@b.co")]), "email"),
        (replace(&[("//email", "a@b.co")]), "/email"),
        (replace(&[("", "a@b.co")]), ""),
        (replace(&[("/~0", "x")]), "~0"),
        (replace(&[("/e~1mail", "x")]), "e~1mail"),
        (replace(&[("/Email", "a@b.co")]), "Email"),
        (r#"[{"op":"replace","path":5,"value":"x"}]"#.to_owned(), "path"),
        (r#"[{"op":"replace","value":"x"}]"#.to_owned(), "path"),
    ];
    for (body, name) in rows {
        let error = bench.update(&jane(), &body).unwrap_err();
        let expected = format!(r#"{{"message":"Property {name} cannot be updated","code":4}}"#);
        assert_eq!(spoken(&error, Verb::Patch, "/users/42", None), (400, expected));
    }
}

#[test]
fn what_is_no_replace_is_dropped_first() {
    let bench = Bench::new();
    let body = r#"[7,null,"replace",["op"],{},{"op":"test","path":"/nope"},{"op":"Replace"},{"op":"replace","path":"/city","value":"Ghent","from":"/x"}]"#;
    assert_eq!(text(&bench.update(&jane(), body).unwrap(), Attr::City).as_deref(), Some("Ghent"));
    for empty in ["", "{}", "[]", "7", "null", "[7]", r#"[{"op":"remove","path":"/nope"}]"#, "[", "[{}]"] {
        let error = bench.update(&jane(), empty).unwrap_err();
        let expected = (400, r#"{"message":"No properties received for update","code":5}"#.to_owned());
        assert_eq!(spoken(&error, Verb::Patch, "/users/42", None), expected, "{empty}");
    }
}

#[test]
fn an_invalid_value_fails_all_of_it() {
    let bench = Bench::new();
    for (path, value) in [
        ("/email", "null"),
        ("/email", "7"),
        ("/email", "\"x\""),
        ("/country", "\"\""),
        ("/country", "\"us\""),
        ("/country", "null"),
        ("/language", "\"\""),
        ("/language", "\"en\""),
        ("/zip", "43551"),
        ("/zip", "\"4355\""),
        ("/zip", "\"43551-9331\""),
        ("/zip4", "\"933\""),
        ("/state", "\"Ohio\""),
        ("/state", "\"ON\""),
        ("/birthDate", "\"1980-01-31\""),
        ("/firstName", "\" \""),
        ("/firstName", "{}"),
        ("/city", "[]"),
    ] {
        let body = format!(
            r#"[{{"op":"replace","path":"/city","value":"Ghent"}},{{"op":"replace","path":"{path}","value":{value}}}]"#
        );
        let error = bench.update(&jane(), &body).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        let expected = (500, r#"{"message":"Failed updating user","code":1}"#.to_owned());
        assert_eq!(spoken(&error, Verb::Patch, "/users/42", None), expected, "{path} {value}");
    }
    let twice = replace(&[("/birthDate", "02/30/1980"), ("/birthDate", "02/28/1980")]);
    assert!(bench.update(&jane(), &twice).is_err());
    assert!(bench.update(&jane(), r#"[{"op":"replace","path":"/email"}]"#).is_err());
}

#[test]
fn an_empty_value_clears_what_is_optional_and_the_last_operation_wins() {
    let bench = Bench::new();
    let user = bench.update(&jane(), &replace(&[("/email", ""), ("/zip4", "")])).unwrap();
    assert_eq!((text(&user, Attr::Email), text(&user, Attr::PostalCode).as_deref()), (None, Some("43551")));
    let user =
        bench.update(&jane(), &replace(&[("/city", ""), ("/city", "A"), ("/zip", ""), ("/zip", "43552")]));
    let user = user.unwrap();
    assert_eq!(text(&user, Attr::City).as_deref(), Some("A"));
    assert_eq!(text(&user, Attr::PostalCode).as_deref(), Some("43552-9331"));
    let user = bench.update(&jane(), &replace(&[("/zip", "")])).unwrap();
    assert_eq!((text(&user, Attr::Zip), text(&user, Attr::Zip4)), (None, None));
    assert!(bench.update(&user, &replace(&[("/zip4", "9331")])).is_err());
    assert!(bench.update(&jane(), &replace(&[("/zip", ""), ("/zip4", "9331")])).is_err());
    let user = bench.update(&user, &replace(&[("/zip4", "9331"), ("/zip", "43551")])).unwrap();
    assert_eq!(text(&user, Attr::PostalCode).as_deref(), Some("43551-9331"));
}

#[test]
fn a_user_who_leaves_the_us_loses_state_and_zip4() {
    let bench = Bench::new();
    for body in [
        replace(&[("/country", "CA"), ("/city", "Toronto")]),
        replace(&[("/country", "CA"), ("/state", ""), ("/zip4", "")]),
        replace(&[("/zip4", ""), ("/country", "CA")]),
    ] {
        let user = bench.update(&jane(), &body).unwrap();
        assert_eq!(
            (text(&user, Attr::Region), text(&user, Attr::PostalCode).as_deref()),
            (None, Some("43551"))
        );
    }
    let user = bench.update(&jane(), &replace(&[("/zip", "M5V 2T6"), ("/country", "CA")])).unwrap();
    assert_eq!(text(&user, Attr::PostalCode).as_deref(), Some("M5V 2T6"));
    for row in [("/state", "NY"), ("/zip4", "1234")] {
        let error = bench.update(&jane(), &replace(&[("/country", "CA"), row])).unwrap_err();
        assert_eq!(error.fields[0].problem, Problem::OnlyIn { country: "US" });
    }
    let stays = bench.update(&jane(), &replace(&[("/country", "CA"), ("/country", "US")])).unwrap();
    assert_eq!(bench.read(&stays), JANE);
}

#[test]
fn a_user_who_enters_the_us_needs_a_us_address() {
    let bench = Bench::new();
    let body = r#"{"externalId":"42","country":"DE","language":"DE","zip":"D-76131"}"#;
    let user = bench.create(body).unwrap();
    assert!(bench.update(&user, &replace(&[("/country", "US")])).is_err());
    assert!(bench.update(&user, &replace(&[("/state", "OH")])).is_err());
    let moved = replace(&[("/state", "OH"), ("/zip4", "9331"), ("/zip", "43551"), ("/country", "US")]);
    let user = bench.update(&user, &moved).unwrap();
    assert_eq!(text(&user, Attr::PostalCode).as_deref(), Some("43551-9331"));
}

#[test]
fn what_this_dialect_cannot_say_is_left_out_and_kept() {
    let bench = Bench::new();
    let mut user = jane();
    user.profile.apply(&[
        Change::set(Attr::Country, Value::text("CA")),
        Change::set(Attr::Region, Value::text("ON")),
        Change::set(Attr::PostalCode, Value::text("m5v 2t6")),
        Change::set(Attr::Locale, Value::text("fil-PH")),
        Change::clear(Attr::AddressLine1),
        Change::set(Attr::Username, Value::text("jane")),
    ]);
    let shown = r#"{"externalId":"42","email":"user@example.com","country":"CA","firstName":"John","lastName":"Doe","city":"Perrysburg","birthDate":"01/31/1980"}"#;
    assert_eq!(bench.read(&user), shown);
    let after = bench.update(&user, &replace(&[("/city", "Toronto")])).unwrap();
    assert_eq!(text(&after, Attr::Region).as_deref(), Some("ON"));
    assert!(bench.update(&user, &replace(&[("/state", "OH")])).is_err());
    user.profile.apply(&[Change::set(Attr::Country, Value::text("US"))]);
    assert!(!bench.read(&user).contains("state") && !bench.read(&user).contains("zip"));
}

#[test]
fn a_creation_is_refused_by_name_before_value() {
    let bench = Bench::new();
    let at = |body: &str| spoken(&bench.create(body).unwrap_err(), Verb::Post, "/users", None);
    let failed = (500, r#"{"message":"Failed creating user","code":1}"#.to_owned());
    for body in [
        "{}",
        r#"{"externalId":".","country":"US","language":"EN"}"#,
        &JANE.replace("\"OH\"", "\"ON\""),
        &JANE.replace("\"US\"", "\"CA\""),
        &JANE.replace("\"43551\"", "\"\""),
        &JANE.replace("\"John\"", "null"),
    ] {
        assert_eq!(at(body), failed, "{body}");
    }
    let name = r#"{"message":"Property phone cannot be updated","code":4}"#;
    assert_eq!(at(r#"{"phone":"1","email":7}"#), (400, name.to_owned()));
    let empty = r#"{"message":"No properties received for update","code":5}"#;
    for body in ["", "[]", "7", "{"] {
        assert_eq!(at(body), (400, empty.to_owned()));
    }
    let taken = (400, r#"{"message":"User already exists with id: é\"","code":3}"#.to_owned());
    assert_eq!(spoken(&ErrorKind::AlreadyExists.into(), Verb::Post, "/users", Some("é\"")), taken);
}

#[test]
fn unknown_names_are_ignored_where_the_mount_says_so() {
    let bench = Bench { unknown_fields: UnknownFields::Ignore, ..Bench::new() };
    let (_, unknown) = bench.decode(Verb::Post, "/users", &JANE.replace("zip4", "zip5")).unwrap();
    assert_eq!(unknown, ["zip5"]);
    let body = replace(&[("/nope", "x"), ("/city", "Ghent")]);
    let (_, unknown) = bench.decode(Verb::Patch, "/users/42", &body).unwrap();
    assert_eq!(unknown, ["nope"]);
    assert_eq!(text(&bench.update(&jane(), &body).unwrap(), Attr::City).as_deref(), Some("Ghent"));
    assert!(bench.update(&jane(), &replace(&[("/externalId", "7")])).is_err());
}

#[test]
fn errors_that_name_a_user_and_errors_of_the_credential() {
    let not_found = Error::from(ErrorKind::NotFound);
    for (path, id) in [("/users/a%2Fb", "a/b"), ("/users/%4", "%4"), ("/users/%ff", "%ff"), ("/users/", "")] {
        let expected = (404, format!(r#"{{"message":"User not found with id: {id}","code":2}}"#));
        assert_eq!(spoken(&not_found, Verb::Get, path, None), expected);
    }
    let nowhere = Occasion { request_id: REQUEST_ID, target: None, external_id: None };
    let answer = DIALECT.render(&ErrorKind::MissingCredential.into(), &nowhere);
    assert_eq!(&*answer.body, br#"{"message":"Unauthorized"}"#);
    assert!(answer.headers.contains(&(header::WWW_AUTHENTICATE, "Basic".parse().unwrap())));
    let answer = DIALECT.render(&ErrorKind::BadCredential.into(), &nowhere);
    assert_eq!(&*answer.body, br#"{"message":"Invalid authentication credentials"}"#);
    let digest = Error::new(ErrorKind::Malformed).message("Content-Digest does not match the body");
    let expected = (400, r#"{"message":"Content-Digest does not match the body","code":1}"#.to_owned());
    assert_eq!(spoken(&digest, Verb::Patch, "/users/42", None), expected);
}
