//! Whole requests, as a dialect decodes, judges and answers them.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use gateway::{cli::translate::revised, registry::DIALECTS};
use gateway_core::{
    Attr, Caller, Change, Creation, Error, Namespace, Operation, Outcome, Place, Problem, Profile, Reach,
    Status, User, UserId, Value,
};
use gateway_dialect::{
    Action, Answer, Dialect, Form, Naming, Occasion, Request, Resolution, Ruling, Site, Target, Verb, json,
    resolve,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::{CANARY, seeds::NOW};

/// A request as a seed has it: `METHOD target`, header lines, an empty line, a body.
pub(super) struct Spoken<'b> {
    pub(super) method: Method,
    pub(super) target: &'b str,
    pub(super) headers: HeaderMap,
    pub(super) body: &'b [u8],
}

impl<'b> Spoken<'b> {
    /// Reads one; `None` for what never is a request.
    pub(super) fn read(bytes: &'b [u8]) -> Option<Self> {
        let at = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap_or(bytes.len());
        let body = bytes.get(at + 2..).unwrap_or_default();
        let mut lines = bytes[..at].split(|byte| *byte == b'\n');
        let (method, target) = std::str::from_utf8(lines.next()?).ok()?.split_once(' ')?;
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
            let value = HeaderValue::from_bytes(value[1..].trim_ascii()).ok()?;
            headers.append(HeaderName::from_bytes(name).ok()?, value);
        }
        let is_target = target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic());
        is_target.then_some(Self { method: method.parse().ok()?, target, headers, body })
    }
}

/// True for the headers of a signed request.
pub(super) fn is_signed(name: &str) -> bool {
    ["x-api-key", "x-request-timestamp", "x-request-signature"]
        .iter()
        .any(|one| name.eq_ignore_ascii_case(one))
}

/// A dialect with its default options.
pub(super) fn dialect(name: &str) -> &'static dyn Dialect {
    static ALL: LazyLock<HashMap<&str, Arc<dyn Dialect>>> =
        LazyLock::new(|| DIALECTS.iter().map(|row| (row.name, row.with_defaults())).collect());
    &*ALL[name]
}

/// The prefixes of the demo's mounts: a dialect knows what stands below.
const PREFIXES: [&str; 6] =
    ["/partner/v1", "/social", "/user/2025-1", "/user/2024-2", "/supplier/v1", "/api/v1"];
const PROJECT: &str = "proj1234";
const ID: &str = "c0daf39b-4df5-4241-9e7d-b1b85f829090";

/// The mount and the moment that requests come to.
pub(super) fn at_site<T>(dialect: &dyn Dialect, run: impl FnOnce(&Site<'_>, &Caller) -> T) -> T {
    let namespace = Namespace::parse(PROJECT).unwrap();
    let caller = Caller {
        namespace: Some(namespace.clone()),
        scope: dialect.scopes().into(),
        ..Caller::client("fuzz")
    };
    let reach = if dialect.naming() == Naming::Canonical { Reach::All } else { Reach::Namespace(namespace) };
    let unknown_fields = dialect.unknown_fields();
    run(
        &Site { reach: &reach, unknown_fields, base: "/v1", now: NOW, request_id: ID, form: Form::Document },
        &caller,
    )
}

/// A request is refused in words of the dialect that repeat nothing of it, or is a command: its changes
/// read back, are none the second time, can be said in every dialect, and leave a user that every
/// dialect can show.
pub(super) fn speak(name: &str, bytes: &[u8]) -> bool {
    let dialect = dialect(name);
    let Some(spoken) = Spoken::read(bytes) else { return false };
    let (path, query) = match spoken.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (spoken.target, None),
    };
    let below = PREFIXES.iter().find_map(|prefix| path.strip_prefix(prefix)).unwrap_or(path);
    let Resolution::Found(target) = resolve(dialect.routes(), Verb::of(&spoken.method), below) else {
        return false;
    };
    let request = Request { target, query, headers: &spoken.headers, body: spoken.body };
    at_site(dialect, |site, caller| {
        let decoded = dialect
            .authorize(site, caller, &target)
            .and_then(|()| dialect.form(site, caller, &request))
            .and_then(|form| dialect.decode(&Site { form, ..*site }, caller, &request));
        let fault = match decoded.map(|decoded| decoded.operation) {
            Err(error) | Ok(Operation::Update { deferred: Some(error), .. }) => Some(error),
            Ok(Operation::Update { changes, .. }) => {
                said_everywhere(&changes);
                users().into_iter().find_map(|user| update(dialect, site, user, changes.clone()).err())
            }
            Ok(Operation::Revise(_)) => {
                users().into_iter().find_map(|user| revise(dialect, &request, site, user).err())
            }
            Ok(Operation::Replace(_, creation)) => {
                let revised =
                    users().into_iter().find_map(|user| revise(dialect, &request, site, user).err());
                revised.or(creation.and_then(|creation| create(dialect, site, &creation)).err())
            }
            Ok(Operation::Create(creation) | Operation::ReadOrCreate(creation)) => {
                create(dialect, site, &creation).err()
            }
            Ok(_) => None,
        };
        let Some(error) = fault else { return true };
        let external_id = None;
        let occasion = Occasion { request_id: ID, target: Some(target), external_id };
        let answer = dialect.render(&error, &occasion);
        is_json(&answer);
        assert!(answer.status.is_client_error() || (name == "jsonpatch" && answer.status == 500));
        // A name that a client made up is what some answers are about.
        let is_named = error.fields.iter().any(|field| matches!(field.place, Place::Member(_)));
        let body = String::from_utf8_lossy(&answer.body);
        assert!(is_named || !body.contains(CANARY), "{body}");
        assert!(
            !format!("{error} {:?} {:?} {:?}", error.cause, error.source, error.message).contains(CANARY)
        );
        false
    })
}

/// Makes a user, of what is judged to be one.
fn create(dialect: &dyn Dialect, site: &Site<'_>, creation: &Creation) -> Result<(), Error> {
    let mut after = User::new(UserId::parse(ID).unwrap(), creation.status, NOW);
    after.apply(&creation.changes);
    after.links.clone_from(&creation.links);
    dialect.judge(&Ruling { site, before: None, after: &after, changes: &creation.changes })?;
    shown_everywhere(&after);
    Ok(())
}

/// Works out what a patch of a document changes, and holds the laws of a write.
fn revise(dialect: &dyn Dialect, request: &Request<'_>, site: &Site<'_>, user: User) -> Result<(), Error> {
    let changes = dialect.revise(site, request, &user)?;
    said_everywhere(&changes);
    update(dialect, site, user, changes)
}

/// What an update could be made of: nothing, and one of everything.
fn users() -> [User; 2] {
    let new = || User::new(UserId::parse(ID).unwrap(), Status::Active, NOW - time::Duration::DAY);
    let mut full = new();
    full.profile = Profile::from_stored(
        [
            (Attr::Username, "jane"),
            (Attr::GivenName, "Jane"),
            (Attr::FamilyName, "Doe"),
            (Attr::Email, "jane@example.com"),
            (Attr::AddressLine1, "12 Main St"),
            (Attr::City, "Toledo"),
            (Attr::Region, "OH"),
            (Attr::PostalCode, "43551-9331"),
            (Attr::Country, "US"),
            (Attr::Locale, "en-US"),
        ]
        .map(|(attr, text)| (attr, Value::text(text))),
    );
    [new(), full]
}

/// Applies an update, and holds the laws of a write (ARCHITECTURE.md, "A dialect").
fn update(
    dialect: &dyn Dialect,
    site: &Site<'_>,
    before: User,
    mut changes: Vec<Change>,
) -> Result<(), Error> {
    dialect.settle(&before, &mut changes);
    let after = before.changed(&changes, NOW).unwrap_or_else(|| before.clone());
    dialect.judge(&Ruling { site, before: Some(&before), after: &after, changes: &changes })?;
    for change in changes.iter().filter(|change| change.attr != Attr::Name || change.value.is_some()) {
        assert_eq!(
            read_back(&after, change.attr),
            change.value.clone().filter(|value| !is_none(value)),
            "{:?} does not read back",
            change.attr
        );
    }
    assert_eq!(after.changed(&changes, NOW), None, "the second time changes something");
    is_json(&dialect.encode(site, &Outcome::Updated(&after)));
    shown_everywhere(&after);
    Ok(())
}

/// What an attribute is after a write; no suspensions are none.
fn read_back(user: &User, attr: Attr) -> Option<Value<'_>> {
    match attr {
        // The standing may be a suspension's.
        Attr::Standing => Some(Value::text(user.status.as_str())),
        Attr::AllSuspensions => {
            Some(Value::Suspensions(user.suspensions.as_slice().into())).filter(|value| !is_none(value))
        }
        profile => user.profile.get(profile),
    }
}

fn is_none(value: &Value<'_>) -> bool {
    matches!(value, Value::Suspensions(list) if list.is_empty())
}

/// Every dialect can show a user, and the store keeps it whole.
fn shown_everywhere(user: &User) {
    let stored = store_embedded::fuzz::decode_user(&store_embedded::fuzz::encode_user(user));
    assert_eq!(stored.as_deref(), Some(user), "the store keeps another");
    for dialect in DIALECTS.iter().map(|row| dialect(row.name)) {
        at_site(dialect, |site, _| is_json(&dialect.encode(site, &Outcome::Found(user))));
    }
}

/// Every dialect takes what it says itself, and says it again in the same words. A region that fits no
/// country may be refused, since the dialect that it came from judges it later.
fn said_everywhere(changes: &[Change]) {
    for dialect in DIALECTS.iter().map(|row| dialect(row.name)) {
        let expression = dialect.fields().express(changes);
        if expression.fields.is_empty() {
            continue;
        }
        let body = dialect.compose(&expression.fields, ID);
        let route = dialect.routes().iter().find(|route| route.action == Action::Update).unwrap();
        let is_in_path = matches!(dialect.naming(), Naming::InPath(_));
        let parameters = if is_in_path { [Some(PROJECT), Some(ID), None] } else { [Some(ID), None, None] };
        let (target, headers) = (Target::new(route, parameters), &HeaderMap::new());
        let request = Request { target, query: None, headers, body: &body };
        let decoded = at_site(dialect, |site, caller| dialect.decode(site, caller, &request));
        let said = body.escape_ascii();
        match decoded.map(|decoded| decoded.operation) {
            Ok(Operation::Update { changes: again, deferred: None, .. }) => {
                let fields = dialect.fields().express(&again).fields;
                let again = dialect.compose(&fields, ID);
                assert_eq!(again, body, "{} says {said}, then {}", dialect.name(), again.escape_ascii());
            }
            Ok(Operation::Update { deferred: Some(error), .. }) | Err(error) => {
                let is_judged = error.fields.iter().all(|field| field.problem == Problem::Region);
                assert!(
                    is_judged && !error.fields.is_empty(),
                    "{} refuses {said}: {error:?}",
                    dialect.name()
                );
            }
            // A merge patch has no word for a null within a document.
            Ok(Operation::Revise(_)) if changes.iter().any(holds_null) => {}
            Ok(Operation::Revise(_)) => {
                let again = at_site(dialect, |site, _| revised(dialect, site, &request));
                let fields = dialect
                    .fields()
                    .express(
                        &again.unwrap_or_else(|error| panic!("{} refuses {said}: {error:?}", dialect.name())),
                    )
                    .fields;
                let again = dialect.compose(&fields, ID);
                assert_eq!(again, body, "{} says {said}, then {}", dialect.name(), again.escape_ascii());
            }
            Ok(_) => panic!("{}: an update is something else", dialect.name()),
        }
    }
}

fn holds_null(change: &Change) -> bool {
    fn within(json: &json::Json<'_>) -> bool {
        let members = json.members().unwrap_or_default();
        members.iter().any(|(_, value)| *value == json::Json::Null || within(value))
    }
    match &change.value {
        Some(Value::Document(text)) => json::parse(text.as_bytes()).is_ok_and(|document| within(&document)),
        _ => false,
    }
}

/// The body is what its type says.
pub(super) fn is_json(answer: &Answer) {
    let typed = answer.headers.iter().find(|(name, _)| *name == header::CONTENT_TYPE);
    match typed {
        Some((_, value)) if value.to_str().is_ok_and(|value| value.contains("json")) => {
            let parsed = json::parse(&answer.body);
            assert!(parsed.is_ok(), "{:?}: {}", parsed.err(), answer.body.escape_ascii());
        }
        Some(_) => {}
        None => assert!(answer.body.is_empty()),
    }
}
