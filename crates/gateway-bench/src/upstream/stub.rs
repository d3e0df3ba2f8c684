//! The service behind the gateway and behind its peers: to the gateway it speaks in records of users who were
//! always there, to a proxy it answers a constant.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use clap::Args;
use gateway_core::{Attr, ExternalId, Link, Namespace, Profile, Status, Timestamp, User, UserId, Value};
use gateway_record::{MEDIA_TYPE, Stored, encode_page};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use http_body_util::Full;

use crate::{
    Failure,
    bare::{constant, json, serve},
};

/// How long its constant is.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Bytes of the answer to what is no record
    #[arg(long)]
    pub(crate) constant: usize,
}

/// Those who were written.
type Written = Arc<Mutex<BTreeMap<UserId, Arc<User>>>>;

/// Serves until it is killed.
pub(crate) fn run(size: Size) -> Result<(), Failure> {
    let (constant, written) = (constant(size.constant), Written::default());
    serve(move |head, body| {
        let target = head.uri.path_and_query().map_or("", |target| target.as_str());
        match head.method {
            Method::GET if is_record(head, &header::ACCEPT) => found(&written, target),
            Method::PUT if is_record(head, &header::CONTENT_TYPE) => replaced(&written, &body),
            _ => json(constant.clone()),
        }
    })
}

fn is_record(head: &Parts, name: &HeaderName) -> bool {
    head.headers.get(name).is_some_and(|value| value.as_bytes().starts_with(MEDIA_TYPE.as_bytes()))
}

/// Whoever has an id, or, in a list, an external id.
fn found(written: &Written, target: &str) -> Response<Full<Bytes>> {
    let named = target.strip_prefix("/users/");
    let Some(user) = named.map_or_else(|| Some(user(number(target))), |id| by_id(UserId::parse(id)?)) else {
        return empty(StatusCode::NOT_FOUND);
    };
    let written = written.lock().unwrap_or_else(PoisonError::into_inner);
    let user = written.get(&user.id).cloned().unwrap_or_else(|| Arc::new(user));
    let version = user.version;
    let body = if named.is_some() { Stored::Live(user).encode(0) } else { encode_page(&[user], None) };
    let mut response = Response::new(Full::new(body.into()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    tagged(response, version)
}

fn replaced(written: &Written, body: &[u8]) -> Response<Full<Bytes>> {
    let Some(user) = Stored::decode(body).and_then(Stored::live) else {
        return empty(StatusCode::BAD_REQUEST);
    };
    let version = user.version;
    written.lock().unwrap_or_else(PoisonError::into_inner).insert(user.id, user);
    tagged(empty(StatusCode::NO_CONTENT), version)
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn tagged(mut response: Response<Full<Bytes>>, version: u64) -> Response<Full<Bytes>> {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// The number in `user-NUMBER`, wherever it stands.
fn number(target: &str) -> u64 {
    let behind = target.split_once("user-").or_else(|| target.split_once("user%2D"));
    let digits = behind.map_or("", |(_, behind)| behind);
    digits.split(|end: char| !end.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// The last half of an id is its user's number.
fn by_id(id: UserId) -> Option<User> {
    let (_, last) = id.as_bytes().split_last_chunk()?;
    Some(user(u64::from_be_bytes(*last)))
}

/// The user of a number, as the partner would have made it.
fn user(number: u64) -> User {
    let id = 0x0199_0000_0000_7000 << 64 | u128::from(number);
    let mut user = User::new(UserId::from_bytes(id.to_be_bytes()), Status::Active, Timestamp::UNIX_EPOCH);
    let namespace = Namespace::parse("demo-partner");
    let named = namespace.zip(ExternalId::parse(&format!("user-{number}")));
    user.links.extend(named.map(|(namespace, external_id)| Link { namespace, external_id }));
    let texts = [
        (Attr::GivenName, "Jane"),
        (Attr::FamilyName, "Doe"),
        (Attr::Email, "jane.doe@example.com"),
        (Attr::AddressLine1, "1 Queen Street West"),
        (Attr::AddressLine2, "Suite 1200"),
        (Attr::City, "Toronto"),
        (Attr::Region, "ON"),
        (Attr::PostalCode, "M5V 2T6"),
        (Attr::Country, "CA"),
        (Attr::Occupation, "Software Engineer"),
    ];
    user.profile = Profile::from_stored(texts.map(|(attr, text)| (attr, Value::text(text))));
    user
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_both_their_names() {
        for target in
            ["/users?limit=1&link=demo-partner:user-17", "/users?link=demo%2Dpartner%3Auser%2D17&x=1"]
        {
            assert_eq!(number(target), 17, "{target}");
        }
        assert_eq!((number("/users?limit=1"), number("/users?link=user-")), (0, 0));
        let own = user(17);
        assert_eq!(by_id(own.id), Some(own.clone()));
        assert_eq!(own.links.iter().map(|link| link.external_id.as_str()).collect::<Vec<_>>(), ["user-17"]);
    }
}
