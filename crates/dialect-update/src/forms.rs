//! What the codecs of this dialect take and answer, as JSON Schema.

use gateway_dialect::{
    Codec, Schema, Side, URL,
    schema::{BLANK, HIDDEN, SPACE, date_pattern, nullable, object, text},
};
use serde_json::json;

/// What is kept of it counts, 1 to 255 characters.
pub(crate) fn username(codec: &Codec, side: Side) -> Schema {
    match side {
        Side::Answered => text(codec, side),
        Side::Sent(_) => {
            let most = codec.max;
            let kept = format!("^[^a-zA-Z0-9._]*(?:[a-zA-Z0-9._][^a-zA-Z0-9._]*){{1,{most}}}$");
            json!({"type": "string", "pattern": kept})
        }
    }
}

/// What is left of it once it is trimmed counts.
pub(crate) fn name(codec: &Codec, side: Side) -> Schema {
    if side == Side::Answered {
        return text(codec, side);
    }
    let shown = format!("[^{HIDDEN}]*[^{HIDDEN}{BLANK}][^{HIDDEN}]*");
    json!({
        "type": "string",
        "pattern": format!("^{SPACE}*(?:{shown})?{SPACE}*$"),
        "allOf": [{"pattern": format!("^{SPACE}*[^{HIDDEN}]{{0,{}}}{SPACE}*$", codec.max)}]
    })
}

pub(crate) fn avatar(_: &Codec, side: Side) -> Schema {
    match side {
        Side::Answered => URL.schema(side),
        Side::Sent(_) => json!({"anyOf": [URL.schema(side), {"const": ""}]}),
    }
}

pub(crate) fn birth_instant(_: &Codec, side: Side) -> Schema {
    const TIME: &str = "T(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.][0-9]{1,9})?)?";
    const OFFSET: &str = "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])";
    match side {
        Side::Answered => json!({"type": "string", "format": "date-time"}),
        Side::Sent(today) => {
            let date = date_pattern(today, |date| date.join("-"));
            json!({"type": "string", "pattern": format!("^{date}(?:{TIME}{OFFSET})?$")})
        }
    }
}

pub(crate) fn location(_: &Codec, side: Side) -> Schema {
    let degrees = || json!({"type": "number", "minimum": -180, "maximum": 180});
    let point = json!({
        "type": "object",
        "properties": {
            "type": {"const": "Point"},
            "coordinates": {
                "type": "array", "items": degrees(), "minItems": 2, "maxItems": 2,
                "description": "Longitude, latitude."
            }
        },
        "required": ["type", "coordinates"]
    });
    let pair = json!({
        "type": "object",
        "properties": {"longitude": degrees(), "latitude": degrees()},
        "required": ["longitude", "latitude"]
    });
    if side == Side::Answered { point } else { json!({"anyOf": [pair, point]}) }
}

pub(crate) fn suspensions(_: &Codec, _: Side) -> Schema {
    let instant = || json!({"type": "string", "format": "date-time"});
    let one = object([
        ("reason", nullable(json!({"type": "string"}))),
        ("startDate", instant()),
        ("endDate", nullable(instant())),
    ]);
    json!({"type": "array", "items": one})
}
