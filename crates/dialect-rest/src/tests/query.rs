//! Queries of lists, cursors, and media types.

use gateway_core::{Caller, ErrorKind, Place, Problem, Reach, Timestamp, UserId};
use gateway_dialect::{Form, Request, Route, Site, Target, UnknownFields, Verb};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    negotiate::{self, is_json_patch},
    query::{read, read_cursor, write_cursor},
    wire::ROUTES,
};

fn problems(raw: &str) -> Vec<(String, Problem)> {
    let named = |place: &Place| match place {
        Place::Parameter(name) => name.clone().into_owned(),
        _ => String::new(),
    };
    let errors = read(Form::Document, Some(raw)).map_or_else(|error| error.fields, |_| Vec::new());
    errors.iter().map(|error| (named(&error.place), error.problem)).collect()
}

#[test]
fn a_query_says_what_it_wants() {
    let none = read(Form::Document, None).unwrap();
    assert_eq!((none.limit, none.after, none.email), (25, None, None));
    let id = UserId::from_bytes([9; 16]);
    let raw = format!(
        "limit=100&cursor={}&email=a%2Bb%40c.de&username=J+D&status=suspended&link=n.1%3Aa:b%20c",
        write_cursor(id)
    );
    let query = read(Form::Document, Some(&raw)).unwrap();
    assert_eq!((query.limit, query.after), (100, Some(id)));
    assert_eq!((query.email.as_deref(), query.username.as_deref()), (Some("a+b@c.de"), Some("J D")));
    assert_eq!(query.standing.map(|standing| standing.as_str()), Some("suspended"));
    let link = query.link.unwrap();
    assert_eq!((link.namespace.as_str(), link.external_id.as_str()), ("n.1", "a:b c"));
    assert!(read(Form::Document, Some("&&limit=1&")).is_ok());
}

#[test]
fn every_bad_parameter_is_told() {
    for bad in ["0", "101", "-1", "+5", "1e1", "", " 1", "٣", "0025"] {
        assert_eq!(problems(&format!("limit={bad}")).len(), 1, "{bad}");
    }
    for bad in [
        "cursor=",
        "cursor=x",
        "status=Active",
        "status=",
        "link=x",
        "link=:x",
        "link=n:",
        "link=n:..",
        "email=",
        "username=%ff",
        "username=%zz",
        "sort=id",
        "Limit=1",
        "=1",
    ] {
        assert_eq!(problems(bad).len(), 1, "{bad}");
    }
    let found = problems("limit=1&limit=2&foo=1&status=no");
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["limit", "foo", "status"]);
    assert_eq!((found[0].1, found[1].1), (Problem::Repeated, Problem::Unknown));
}

/// What no JSON of ours can hold does not get into an answer.
#[test]
fn a_name_that_cannot_be_shown_is_not() {
    for raw in ["a%00b=1", "a%1F", "%0A=1", "a%00b"] {
        assert_eq!(problems(raw), [(String::new(), Problem::Unknown)], "{raw}");
    }
}

#[test]
fn cursors_are_safe_in_urls_and_come_back() {
    for byte in [0, 7, 255] {
        let id = UserId::from_bytes([byte; 16]);
        let cursor = write_cursor(id);
        assert!(cursor.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{cursor}");
        assert_eq!(read_cursor(&cursor), Some(id));
        assert_eq!(read_cursor(&format!("{cursor}=")), None);
        assert_eq!(read_cursor(&cursor[1..]), None);
    }
    // Another version of the form.
    assert_eq!(read_cursor("AgAAAAAAAAAAAAAAAAAAAAA"), None);
}

/// What a client with such scopes gets, on a mount that sees all users.
fn form(request: &Request<'_>, scope: &str) -> Result<Form, ErrorKind> {
    let site = Site {
        reach: &Reach::All,
        unknown_fields: UnknownFields::Reject,
        base: "",
        now: Timestamp::UNIX_EPOCH,
        request_id: "",
        form: Form::Document,
    };
    let caller = Caller { scope: scope.into(), ..Caller::client("one") };
    negotiate::form(&site, &caller, request).map_err(|error| error.kind)
}

fn ask(verb: Verb, body: &[u8], rows: &[(HeaderName, &'static str)]) -> (bool, Option<bool>) {
    let headers: HeaderMap =
        rows.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
    let route: &'static Route = ROUTES.iter().find(|route| route.verb == verb).unwrap();
    let request = Request { target: Target::new(route, [None; 3]), query: None, headers: &headers, body };
    (form(&request, "").is_ok(), is_json_patch(&request).ok())
}

#[test]
fn the_type_of_a_patch_says_what_it_is() {
    for (kind, is_json_patch) in [
        ("application/merge-patch+json", Some(false)),
        ("application/json", Some(false)),
        ("Application/JSON-Patch+JSON; charset=utf-8", Some(true)),
        ("application/json-patch+json; charset=latin1", None),
        ("application/xml", None),
        ("", None),
    ] {
        let asked = ask(Verb::Patch, b"[]", &[(header::CONTENT_TYPE, kind)]);
        assert_eq!(asked, (is_json_patch.is_some(), is_json_patch), "{kind}");
    }
    assert_eq!(ask(Verb::Patch, b"{}", &[]), (true, Some(false)));
    for (kind, taken) in [("application/json", true), ("application/merge-patch+json", false)] {
        assert_eq!(ask(Verb::Put, b"{}", &[(header::CONTENT_TYPE, kind)]).0, taken);
        // What a DELETE carries means nothing, but must not be sent under a wrong name.
        assert_eq!(ask(Verb::Delete, b"{}", &[(header::CONTENT_TYPE, kind)]).0, taken);
    }
    assert!(ask(Verb::Delete, b"", &[(header::CONTENT_TYPE, "text/plain")]).0);
    assert!(!ask(Verb::Post, b"{}", &[(header::CONTENT_ENCODING, "gzip")]).0);
}

#[test]
fn what_is_accepted() {
    for (accept, fits) in [
        ("*/*", true),
        ("application/json", true),
        ("APPLICATION/JSON;q=0.1", true),
        ("application/problem+json", true),
        ("application/*;q=0.5, text/html", true),
        ("text/html, application/json;charset=utf-8", true),
        ("application/json;q=0, application/problem+json;q=0", false),
        ("application/json;q=0, application/problem+json;q=0, */*", false),
        ("application/json;q=0, */*", true),
        ("text/html", false),
        ("*/*;q=0", false),
        ("application/vnd.api+json", false),
        ("application/json;q=x", false),
        ("", true),
    ] {
        assert_eq!(ask(Verb::Get, b"", &[(header::ACCEPT, accept)]).0, fits, "{accept}");
    }
}
