//! Requests and answers about users, in the form that the service speaks.
//!
//! There are two. A *record* is all that a user is, as the stores keep it; another Interlingua exchanges it
//! with whoever has the scope for it. A *document* is JSON by a vocabulary. Which one is spoken shows in the
//! answers to what was asked for in both.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use bytes::Bytes;
use gateway_core::{Attr, Link, Selection, StoreError, UniqueKey, User, UserId, Write};
use gateway_dialect::{Json, json};
use gateway_outbound::Reply;
use gateway_record::{MEDIA_TYPE as RECORD, Stored, decode_page};
use http::{HeaderMap, HeaderValue, Method, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::{
    call::Request,
    document,
    vocabulary::{Given, Vocabulary},
};

const DOCUMENT: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";
/// Users on a page of records, and of documents.
const RECORDS: usize = 1_000;
const DOCUMENTS: usize = 100;

/// In which form users are exchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Form {
    /// As records where the service offers them, else as documents.
    Auto = 0,
    /// As records alone.
    Record = 1,
    /// As documents alone.
    Document = 2,
}

/// Where a list goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    Id(UserId),
    Cursor(String),
}

/// How the service is spoken to.
pub(crate) struct Speech {
    pub(crate) vocabulary: Vocabulary,
    /// The form that is spoken: [`Form::Auto`] until the service has answered.
    spoken: AtomicU8,
}

impl Speech {
    pub(crate) fn new(vocabulary: Vocabulary, form: Form) -> Self {
        Self { vocabulary, spoken: AtomicU8::new(form as u8) }
    }

    pub(crate) fn form(&self) -> Form {
        match self.spoken.load(Ordering::Relaxed) {
            1 => Form::Record,
            2 => Form::Document,
            _ => Form::Auto,
        }
    }

    /// The form of an answer, where it is one that may be: a service that has answered with records does
    /// not fall back to documents, which hold less.
    fn heard(&self, reply: &Reply) -> Option<Form> {
        let media_type = reply.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let form = match media_type.split(';').next()?.trim() {
            RECORD => Form::Record,
            _ => Form::Document,
        };
        let learned =
            self.spoken.compare_exchange(Form::Auto as u8, form as u8, Ordering::Relaxed, Ordering::Relaxed);
        (learned.is_ok() || self.form() == form).then_some(form)
    }

    fn accept(&self) -> HeaderValue {
        HeaderValue::from_static(match self.form() {
            Form::Auto => "application/vnd.interlingua.record, application/json;q=0.5",
            Form::Record => RECORD,
            Form::Document => DOCUMENT,
        })
    }

    /// Asks for one user.
    pub(crate) fn read(&self, id: UserId) -> Request {
        let route = &self.vocabulary.routes.read;
        Request { method: route.method().clone(), ..Request::get(route.fill(&[named(id)]), self.accept()) }
    }

    /// Asks for anybody, to hear in which form it is answered.
    pub(crate) fn probe(&self) -> Request {
        Request::get(self.vocabulary.routes.list.fill(&[("limit", "1".into())]), self.accept())
    }

    /// Asks for users. What the service cannot be asked for is chosen from the answer.
    pub(crate) fn list(&self, of: &Selection, limit: usize, next: Option<&Next>) -> Request {
        let target = if self.form() == Form::Record {
            record_list(of, limit.min(RECORDS), next)
        } else {
            let mut given = vec![("limit", limit.min(DOCUMENTS).to_string().into())];
            if let Some(Next::Cursor(cursor)) = next {
                given.push(("cursor", cursor.as_str().into()));
            }
            given.extend(asked(of));
            self.vocabulary.routes.list.fill(&given)
        };
        Request::get(target, self.accept())
    }

    /// Asks for whoever may have a unique key.
    pub(crate) fn find(&self, key: &UniqueKey, next: Option<&Next>) -> Request {
        let (list, is_record) = (&self.vocabulary.routes.list, self.form() == Form::Record);
        let link = match key {
            UniqueKey::Username(namespace, name) if is_record => {
                let target = record_list(&Selection::Namespace(namespace.clone()), 1, None);
                return Request::get(target + &parameter("username", name), self.accept());
            }
            UniqueKey::Username(_, name) if list.takes("username") => {
                return self.list(&Selection::Username(name.clone()), usize::MAX, next);
            }
            UniqueKey::Link(link) if is_record || list.takes("externalId") => link,
            UniqueKey::Username(namespace, _) | UniqueKey::Link(Link { namespace, .. }) => {
                return self.list(&Selection::Namespace(namespace.clone()), usize::MAX, next);
            }
        };
        let mut given: Vec<Given<'_>> = vec![
            ("limit", "1".into()),
            ("namespace", link.namespace.as_str().into()),
            ("externalId", link.external_id.as_str().into()),
        ];
        if let Some(Next::Cursor(cursor)) = next {
            given.push(("cursor", cursor.as_str().into()));
        }
        Request::get(list.fill(&given), self.accept())
    }

    /// The user of an answer. In a document its version is 0.
    pub(crate) fn user(&self, reply: &Reply) -> Option<Arc<User>> {
        match self.heard(reply)? {
            Form::Record => Stored::decode(&reply.body)?.live(),
            _ => document::read(&self.vocabulary.fields, &json::parse(&reply.body).ok()?).map(Arc::new),
        }
    }

    /// The users of a list, and where it goes on.
    pub(crate) fn page(&self, reply: &Reply) -> Option<(Vec<Arc<User>>, Option<Next>)> {
        if self.heard(reply)? == Form::Record {
            let (users, next) = decode_page(&reply.body)?;
            return Some((users, next.map(Next::Id)));
        }
        let answer =
            json::parse_within(&reply.body, DOCUMENTS * json::MAX_MEMBERS, 2 + json::MAX_DEPTH).ok()?;
        let items =
            if self.vocabulary.items.is_empty() { Some(&answer) } else { answer.get(&self.vocabulary.items) };
        let Json::Array(items) = items? else { return None };
        let users = items.iter().map(|item| document::read(&self.vocabulary.fields, item).map(Arc::new));
        let next = answer.get(&self.vocabulary.next).and_then(Json::as_text);
        Some((users.collect::<Option<_>>()?, next.map(|cursor| Next::Cursor(cursor.to_owned()))))
    }

    /// The request of a write that starts from what stands under a tag; `None` where there is nothing to say.
    ///
    /// # Errors
    /// For what the form has no word for.
    pub(crate) fn write(
        &self,
        write: &Write,
        tag: Option<HeaderValue>,
    ) -> Result<Option<Request>, StoreError> {
        let routes = &self.vocabulary.routes;
        let (method, target, media_type, body) = match (write, self.form()) {
            (Write::Delete { before }, _) => {
                (routes.delete.method(), routes.delete.fill(&[named(before.id)]), None, Vec::new())
            }
            (Write::Create(user) | Write::Update { after: user, .. }, Form::Record) => {
                let record = Stored::Live(Arc::clone(user)).encode(0);
                (&Method::PUT, format!("/users/{}", user.id), Some(RECORD), record)
            }
            (Write::Create(user), _) => {
                self.can_keep_secret(None, user)?;
                let document = document::whole(&self.vocabulary.fields, user);
                let route = &routes.create;
                (route.method(), route.fill(&[named(user.id)]), Some(DOCUMENT), bytes(&document)?)
            }
            (Write::Update { before, after }, _) => return self.change(before, after, tag),
        };
        Ok(Some(request(method.clone(), target, (media_type, body.into()), condition(tag))))
    }

    /// An update in documents: a merge patch, or one link more or less; not both, since that would be two
    /// requests.
    fn change(
        &self,
        before: &User,
        after: &User,
        tag: Option<HeaderValue>,
    ) -> Result<Option<Request>, StoreError> {
        self.can_keep_secret(Some(before), after)?;
        let fields = &self.vocabulary.fields;
        let routes = &self.vocabulary.routes;
        let patch = document::patch(fields, before, after);
        let (new, gone) = (document::links_beyond(after, before), document::links_beyond(before, after));
        let (method, target, content) = match (patch, &new[..], &gone[..]) {
            (None, [], []) => return Ok(None),
            (Some(patch), [], []) => {
                let content = (Some(MERGE_PATCH), bytes(&patch)?.into());
                (routes.update.method(), routes.update.fill(&[named(after.id)]), content)
            }
            (None, [link], []) | (None, [], [link]) => {
                let route = if new.is_empty() { &routes.unlink } else { &routes.link };
                let route = route.as_ref().ok_or(StoreError::Refused("upstream_has_no_links"))?;
                let (namespace, external_id) = (link.namespace.as_str(), link.external_id.as_str());
                let given =
                    [named(after.id), ("namespace", namespace.into()), ("externalId", external_id.into())];
                (route.method(), route.fill(&given), (None, Bytes::new()))
            }
            _ => return Err(StoreError::Refused("upstream_changes_one_thing_at_a_time")),
        };
        Ok(Some(request(method.clone(), target, content, condition(tag))))
    }

    /// A secret document is refused rather than dropped where the service cannot take it: it has no place for
    /// one, or it is sealed, which is no JSON.
    fn can_keep_secret(&self, before: Option<&User>, after: &User) -> Result<(), StoreError> {
        let of = |user: &User| user.profile.text_of_document(Attr::SecureMetadata).map(str::to_owned);
        let Some(secret) = of(after) else { return Ok(()) };
        let is_taken = self.vocabulary.fields.wire(Attr::SecureMetadata).is_some() && secret.starts_with('{');
        let is_kept = before.and_then(of).is_some_and(|before| before == secret);
        if is_taken || is_kept { Ok(()) } else { Err(StoreError::Refused("upstream_keeps_no_secret")) }
    }

    /// What two states of a user are compared by.
    pub(crate) fn digest(&self, user: &Arc<User>) -> [u8; 32] {
        let bytes = match self.form() {
            Form::Record => Stored::Live(Arc::clone(user)).encode(0),
            _ => bytes(&document::whole(&self.vocabulary.fields, user)).unwrap_or_default(),
        };
        Sha256::digest(bytes).into()
    }
}

/// A version for what has an entity tag alone: the same for the same tag, in every gateway.
pub(crate) fn version(tag: &HeaderValue) -> u64 {
    let digest = Sha256::digest(tag.as_bytes());
    let bytes: [u8; 8] = std::array::from_fn(|at| digest[at]);
    // Room is left for the versions that are counted up from it.
    (u64::from_be_bytes(bytes) >> 2) + 1
}

fn named(id: UserId) -> Given<'static> {
    ("id", id.to_string().into())
}

/// A page of records: `after` and the selections belong to that form alone.
fn record_list(of: &Selection, limit: usize, next: Option<&Next>) -> String {
    let mut target = format!("/users?limit={limit}");
    if let Some(Next::Id(after)) = next {
        target.push_str(&format!("&after={after}"));
    }
    let asked = match of {
        Selection::All => None,
        Selection::Namespace(namespace) => Some(("namespace", namespace.as_str())),
        Selection::Email(email) => Some(("email", email.as_str())),
        Selection::Username(name) => Some(("username", name.as_str())),
        Selection::Status(status) => Some(("status", status.as_str())),
        Selection::Suspended => Some(("suspended", "true")),
    };
    if let Some((name, value)) = asked {
        target.push_str(&parameter(name, value));
    }
    target
}

fn parameter(name: &str, value: &str) -> String {
    format!("&{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))
}

fn asked(of: &Selection) -> Option<Given<'_>> {
    match of {
        Selection::Email(email) => Some(("email", email.as_str().into())),
        Selection::Username(name) => Some(("username", name.as_str().into())),
        // A status of a document says of suspended users that they are suspended.
        Selection::All | Selection::Namespace(_) | Selection::Suspended | Selection::Status(_) => None,
    }
}

/// A change stands on what it was made from; something new on there being nothing.
fn condition(tag: Option<HeaderValue>) -> (http::HeaderName, HeaderValue) {
    match tag {
        Some(tag) => (header::IF_MATCH, tag),
        None => (header::IF_NONE_MATCH, HeaderValue::from_static("*")),
    }
}

fn request(
    method: Method,
    target: String,
    (media_type, body): (Option<&'static str>, Bytes),
    condition: (http::HeaderName, HeaderValue),
) -> Request {
    // Room for who asks, the key, and what the client adds.
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(condition.0, condition.1);
    if let Some(media_type) = media_type {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    Request { method, target, headers, body }
}

fn bytes(json: &Json<'_>) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(json).map_err(|error| StoreError::Engine(Box::new(error)))
}
