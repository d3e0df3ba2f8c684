//! What the codecs of this dialect take and answer, as JSON Schema.

use gateway_core::{Standing, Status, User};
use gateway_dialect::{
    Codec, EXTERNAL_ID, Schema, Side,
    schema::{nullable, object, one_of, pattern, text},
};
use serde_json::json;

use crate::codec::LONG_TEXT;

/// Standings, in the order of an account's life; one is suspended by suspensions alone.
pub(crate) fn status(_: &Codec, side: Side) -> Schema {
    let plain = [Status::PendingCompliance, Status::Active, Status::Closed];
    let suspended = (side == Side::Answered).then_some(Standing::Suspended.as_str());
    one_of(plain.into_iter().map(Status::as_str).chain(suspended))
}

pub(crate) fn username(codec: &Codec, side: Side) -> Schema {
    if side == Side::Answered { text(codec, side) } else { pattern(codec, side, "^[a-zA-Z0-9._]+$") }
}

pub(crate) fn geo(_: &Codec, _: Side) -> Schema {
    let degrees = || json!({"type": "number", "minimum": -180, "maximum": 180});
    object([("longitude", degrees()), ("latitude", degrees())])
}

pub(crate) fn suspensions(_: &Codec, side: Side) -> Schema {
    let instant = || json!({"type": "string", "format": "date-time"});
    let reason = LONG_TEXT.schema(side);
    let mut one = object([("startsAt", instant())]);
    let optional = |schema| if side == Side::Answered { schema } else { nullable(schema) };
    one["properties"]["endsAt"] = optional(instant());
    one["properties"]["reason"] = optional(reason);
    json!({"type": "array", "items": one, "maxItems": User::MAX_LINKS})
}

pub(crate) fn links(_: &Codec, side: Side) -> Schema {
    json!({"type": "array", "items": link(side), "maxItems": User::MAX_LINKS, "uniqueItems": true})
}

/// One link.
pub(crate) fn link(side: Side) -> Schema {
    object([
        ("namespace", json!({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"})),
        ("externalId", EXTERNAL_ID.schema(side)),
    ])
}
