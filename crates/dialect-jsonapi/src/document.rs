//! The request document: `{"data":{"type","id","attributes"}}` around the vocabulary (decision 32).

use gateway_core::{Attr, Change, Error, ErrorKind, FieldError, Place, Problem, UserId, Value};
use gateway_dialect::{Field, FieldTable, Json, Mode, Reading, Request, Site, UnknownFields, json};

/// Members that JSON:API gives a document, and a resource in it; what is none of them is unknown.
const TOP: [&str; 6] = ["data", "errors", "meta", "jsonapi", "links", "included"];
const RESOURCE: [&str; 7] = ["type", "id", "lid", "attributes", "relationships", "links", "meta"];
/// Query parameters that JSON:API gives a meaning; none of them is supported here.
const QUERY: [&str; 5] = ["include", "fields", "sort", "page", "filter"];

/// Which id a document must have.
#[derive(Clone, Copy)]
pub(crate) enum Identity {
    /// The one in the path; any, where that one can name nobody.
    Path(Option<UserId>),
    /// None, or one that the client chose.
    Free,
    /// None: the client may not choose it.
    Given,
}

/// What a document says.
pub(crate) struct Document {
    /// The id that the client chose.
    pub(crate) id: Option<UserId>,
    /// The attributes.
    pub(crate) reading: Reading,
}

/// Reads a document: all that is wrong with it at once, the envelope before the attributes.
///
/// # Errors
/// [`ErrorKind::Malformed`] for what is no document, [`ErrorKind::Invalid`] for bad fields.
pub(crate) fn read(
    site: &Site<'_>,
    body: &[u8],
    (table, types): (&FieldTable, &[String]),
    identity: Identity,
    mode: Mode,
) -> Result<Document, Error> {
    let document = json::parse(body).map_err(|malformed| {
        Error::new(ErrorKind::Malformed).message(format!("can't parse content: {malformed}"))
    })?;
    let data = resource(&document)?;
    let empty = Json::Object(Vec::new());
    let attributes = data.get("attributes").unwrap_or(&empty);
    let mut errors = Vec::new();
    if !data.get("type").and_then(Json::as_text).is_some_and(|given| types.iter().any(|one| one == given)) {
        errors.push(problem(data, "type", Problem::Mismatch));
    }
    let id = match identify(data, identity) {
        Ok(id) => id,
        Err(error) => {
            errors.push(error);
            None
        }
    };
    if data.get("relationships").and_then(Json::members).is_some_and(|members| !members.is_empty()) {
        errors.push(problem(data, "relationships", Problem::ReadOnly));
    }
    let mut reading = table.read(attributes, mode, site.today());
    if data.get("attributes").is_none() && !reading.errors.is_empty() {
        // Nothing can be pointed at but what is not there as a whole.
        reading.errors = vec![problem(data, "attributes", Problem::Required)];
    }
    errors.append(&mut reading.errors);
    let strangers = strangers(&document, data, attributes, table);
    if site.unknown_fields == UnknownFields::Reject {
        let refused = |(pointer, _): &(String, String)| member(pointer, Problem::Unknown);
        errors.extend(strangers.iter().map(refused));
    }
    if let (Identity::Path(_), Some(text)) = (identity, attributes.get("createdAt").and_then(Json::as_text)) {
        // Only with the user at hand can one sent back be told from another (decisions 5 and 8).
        errors.retain(|error| error.place != Place::Attr(Attr::CreatedAt));
        reading.changes.push(Change::set(Attr::CreatedAt, Value::text(text)));
    }
    if !errors.is_empty() {
        return Err(Error::invalid(errors));
    }
    reading.unknown = strangers.into_iter().map(|(_, name)| name).collect();
    Ok(Document { id, reading })
}

/// The resource object of a well-formed document.
fn resource<'d, 'j>(document: &'d Json<'j>) -> Result<&'d Json<'j>, Error> {
    let malformed = |fields| Error { fields, ..Error::new(ErrorKind::Malformed) };
    if document.members().is_none() {
        return Err(malformed(vec![member("", Problem::NotObject)]));
    }
    let Some(data) = document.get("data") else {
        return Err(malformed(vec![member("/data", Problem::Required)]));
    };
    if data.members().is_none() {
        return Err(malformed(vec![member("/data", Problem::NotObject)]));
    }
    let mut fields = Vec::new();
    for name in ["type", "id"] {
        if data.get(name).is_some_and(|value| value.as_text().is_none()) {
            fields.push(member(format!("/data/{name}"), Problem::NotText));
        }
    }
    for name in ["attributes", "relationships"] {
        if data.get(name).is_some_and(|value| value.members().is_none()) {
            fields.push(member(format!("/data/{name}"), Problem::NotObject));
        }
    }
    if document.get("errors").is_some() {
        fields.push(member("/errors", Problem::Unknown));
    }
    if fields.is_empty() { Ok(data) } else { Err(malformed(fields)) }
}

/// The id that the client chose for a new user; none for a user that is there already.
fn identify(data: &Json<'_>, identity: Identity) -> Result<Option<UserId>, FieldError> {
    let given = data.get("id").and_then(Json::as_text);
    match (identity, given) {
        (Identity::Path(_), None) => Err(problem(data, "id", Problem::Required)),
        (Identity::Path(path), Some(given)) => {
            let same = path.is_none_or(|path| UserId::parse(given) == Some(path));
            if same { Ok(None) } else { Err(problem(data, "id", Problem::Mismatch)) }
        }
        (Identity::Free | Identity::Given, None) => Ok(None),
        (Identity::Given, Some(_)) => Err(problem(data, "id", Problem::ReadOnly)),
        (Identity::Free, Some(given)) => {
            UserId::parse(given).map(Some).ok_or_else(|| problem(data, "id", Problem::Uuid))
        }
    }
}

/// A problem of a member of the resource object; one that is not there is missing.
fn problem(data: &Json<'_>, name: &str, problem: Problem) -> FieldError {
    let problem = if data.get(name).is_none() { Problem::Required } else { problem };
    member(format!("/data/{name}"), problem)
}

fn member(pointer: impl Into<String>, problem: Problem) -> FieldError {
    FieldError { place: Place::Member(pointer.into()), problem }
}

/// Pointer and name of every member that means nothing, from the outside to the inside. Members whose
/// name begins with `@` are never anything (JSON:API 1.1, @-members).
fn strangers(
    document: &Json<'_>,
    data: &Json<'_>,
    attributes: &Json<'_>,
    table: &FieldTable,
) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut look = |parent: &str, object: &Json<'_>, known: &dyn Fn(&str) -> bool| {
        for (name, _) in object.members().unwrap_or_default() {
            if !known(name) && !name.starts_with('@') {
                found.push((format!("{parent}/{}", escaped(name)), name.to_string()));
            }
        }
    };
    look("", document, &|name| TOP.contains(&name));
    look("/data", data, &|name| RESOURCE.contains(&name));
    let paths = || table.rows().iter().map(Field::path);
    let of_table = |name: &str| {
        paths().any(|(group, leaf)| if let Some(group) = group { group == name } else { leaf == name })
    };
    look("/data/attributes", attributes, &of_table);
    for (group, value) in attributes.members().unwrap_or_default() {
        if paths().any(|path| path.0 == Some(group)) {
            let of_group = |name: &str| paths().any(|path| path == (Some(group.as_ref()), name));
            look(&format!("/data/attributes/{}", escaped(group)), value, &of_group);
        }
    }
    found
}

/// A name as a part of a JSON pointer (RFC 6901, 3).
pub(crate) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Refuses the query parameters of JSON:API, and with `strict` all that it keeps for itself: names of
/// nothing but lower-case letters.
///
/// # Errors
/// [`ErrorKind::Invalid`], or [`ErrorKind::Malformed`] for a parameter without a name of its own.
pub(crate) fn check_query(request: &Request<'_>, strict: bool) -> Result<(), Error> {
    let mut refused = Vec::new();
    for parameter in request.query.unwrap_or_default().split('&') {
        let raw = parameter.split('=').next().unwrap_or_default();
        let name = gateway_dialect::decode_segment(raw).unwrap_or_default();
        let family = name.split('[').next().unwrap_or_default();
        match QUERY.into_iter().find(|known| *known == family) {
            Some(known) => {
                refused.push(FieldError { place: Place::Parameter(known.into()), problem: Problem::Unknown });
            }
            None if strict && !family.is_empty() && family.bytes().all(|b| b.is_ascii_lowercase()) => {
                return Err(Error::new(ErrorKind::Malformed).message("A query parameter is not known"));
            }
            None => {}
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(Error::invalid(refused)) }
}
