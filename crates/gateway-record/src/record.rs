//! The bytes of a record: a user or its tombstone, a ledger record, an index row.
//!
//! The first byte is the version of the form. Decoding is total: any bytes give a value or `None`.

use std::{borrow::Cow, sync::Arc};

use gateway_core::{
    Attr, Date, ExternalId, LedgerRecord, Link, Namespace, Point, Profile, Status, Suspension, Timestamp,
    User, UserId, Value,
};

use crate::codec::{Reader, Writer};

const VERSION: u8 = 1;
const LIVE: u8 = 1;
const GONE: u8 = 2;

/// What stands under the id of a user.
#[derive(Clone, PartialEq, Debug)]
pub enum Stored {
    /// The user.
    Live(Arc<User>),
    /// Its tombstone: the id and the version are never used again.
    Gone {
        /// Its id.
        id: UserId,
        /// One more than the last of the user.
        version: u64,
        /// When.
        deleted_at: Timestamp,
    },
}

impl Stored {
    /// Whose it is.
    #[must_use]
    pub fn id(&self) -> UserId {
        match self {
            Self::Live(user) => user.id,
            Self::Gone { id, .. } => *id,
        }
    }

    /// The user, where it is one.
    #[must_use]
    pub fn live(self) -> Option<Arc<User>> {
        match self {
            Self::Live(user) => Some(user),
            Self::Gone { .. } => None,
        }
    }

    /// The record; `seq` is the number of the batch that writes it, 0 where a store has none.
    #[must_use]
    pub fn encode(&self, seq: u64) -> Vec<u8> {
        let mut out = Writer::with_capacity(1024);
        out.u8(VERSION);
        match self {
            Self::Live(user) => {
                out.u8(LIVE);
                put_user(&mut out, user, seq);
            }
            Self::Gone { id, version, deleted_at } => {
                out.u8(GONE);
                out.bytes(id.as_bytes());
                out.number(*version);
                out.number(seq);
                out.instant(*deleted_at);
            }
        }
        out.0
    }

    /// The inverse of [`Stored::encode`].
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Reader(bytes);
        if input.u8()? != VERSION {
            return None;
        }
        let stored = match input.u8()? {
            LIVE => Self::Live(Arc::new(get_user(&mut input)?)),
            GONE => {
                let id = UserId::from_bytes(input.array()?);
                let version = input.number()?;
                input.number()?;
                Self::Gone { id, version, deleted_at: input.instant()? }
            }
            _ => return None,
        };
        input.end()?;
        Some(stored)
    }
}

fn put_user(out: &mut Writer, user: &User, seq: u64) {
    out.bytes(user.id.as_bytes());
    out.number(user.version);
    out.number(seq);
    out.u8(user.status as u8);
    out.instant(user.created_at);
    out.instant(user.updated_at);
    put_links(out, &user.links);
    put_suspensions(out, &user.suspensions);
    let stored: Vec<_> = user.profile.stored().collect();
    out.number(stored.len() as u64);
    for (attr, value) in stored {
        out.u8(attr.code());
        put_value(out, &value);
    }
}

fn get_user(input: &mut Reader<'_>) -> Option<User> {
    let id = UserId::from_bytes(input.array()?);
    let version = input.number()?;
    input.number()?;
    Some(User {
        id,
        version,
        status: Status::from_code(input.u8()?)?,
        created_at: input.instant()?,
        updated_at: input.instant()?,
        links: get_links(input)?,
        suspensions: get_suspensions(input)?,
        profile: Profile::from_stored(
            input.list(|input| Some((Attr::from_code(input.u8()?)?, get_value(input)?)))?,
        ),
    })
}

fn put_links(out: &mut Writer, list: &[Link]) {
    out.number(list.len() as u64);
    for link in list {
        out.blob(link.namespace.as_str().as_bytes());
        out.blob(link.external_id.as_str().as_bytes());
    }
}

fn get_links(input: &mut Reader<'_>) -> Option<Vec<Link>> {
    input.list(|input| {
        let namespace = Namespace::parse(input.text()?)?;
        Some(Link { namespace, external_id: ExternalId::parse(input.text()?)? })
    })
}

fn put_suspensions(out: &mut Writer, list: &[Suspension]) {
    out.number(list.len() as u64);
    for one in list {
        out.option(one.reason.as_deref(), |out, reason| out.blob(reason.as_bytes()));
        out.instant(one.starts_at);
        out.option(one.ends_at, Writer::instant);
    }
}

fn get_suspensions(input: &mut Reader<'_>) -> Option<Vec<Suspension>> {
    input.list(|input| {
        Some(Suspension {
            reason: input.option(|input| input.text().map(str::to_owned))?,
            starts_at: input.instant()?,
            ends_at: input.option(Reader::instant)?,
        })
    })
}

fn put_value(out: &mut Writer, value: &Value<'_>) {
    match value {
        Value::Text(text) => {
            out.u8(0);
            out.blob(text.as_bytes());
        }
        Value::Flag(flag) => {
            out.u8(1);
            out.u8(u8::from(*flag));
        }
        Value::Date(date) => {
            out.u8(2);
            out.bytes(&date.to_julian_day().to_be_bytes());
        }
        Value::Instant(instant) => {
            out.u8(3);
            out.instant(*instant);
        }
        Value::Point(point) => {
            out.u8(4);
            out.bytes(&point.longitude.to_be_bytes());
            out.bytes(&point.latitude.to_be_bytes());
        }
        Value::Document(text) => {
            out.u8(5);
            out.blob(text.as_bytes());
        }
        Value::Suspensions(list) => {
            out.u8(6);
            put_suspensions(out, list);
        }
        Value::Links(list) => {
            out.u8(7);
            put_links(out, list);
        }
    }
}

fn get_value(input: &mut Reader<'_>) -> Option<Value<'static>> {
    Some(match input.u8()? {
        0 => Value::text(input.text()?),
        1 => Value::Flag(input.flag()?),
        2 => Value::Date(Date::from_julian_day(i32::from_be_bytes(input.array()?)).ok()?),
        3 => Value::Instant(input.instant()?),
        4 => Value::Point(Point {
            longitude: f64::from_be_bytes(input.array()?),
            latitude: f64::from_be_bytes(input.array()?),
        }),
        5 => Value::Document(Cow::Owned(input.text()?.to_owned())),
        6 => Value::Suspensions(Cow::Owned(get_suspensions(input)?)),
        7 => Value::Links(Cow::Owned(get_links(input)?)),
        _ => return None,
    })
}

/// The record of a ledger row.
#[must_use]
pub fn encode_ledger(record: &LedgerRecord) -> Vec<u8> {
    let mut out = Writer::with_capacity(80 + record.answer.as_ref().map_or(0, |answer| answer.len()));
    out.u8(VERSION);
    out.bytes(&record.fingerprint);
    out.instant(record.at);
    out.option(record.user, |out, user| out.bytes(user.as_bytes()));
    out.option(record.answer.as_deref(), Writer::blob);
    out.0
}

/// The inverse of [`encode_ledger`].
#[must_use]
pub fn decode_ledger(bytes: &[u8]) -> Option<LedgerRecord> {
    let mut input = Reader(bytes);
    if input.u8()? != VERSION {
        return None;
    }
    let record = LedgerRecord {
        fingerprint: input.array()?,
        at: input.instant()?,
        user: input.option(|input| input.array().map(UserId::from_bytes))?,
        answer: input.option(|input| input.blob().map(Arc::from))?,
    };
    input.end()?;
    Some(record)
}
