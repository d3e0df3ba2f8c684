//! The codecs that only this dialect needs. Each takes all that any dialect can write, so that a user can
//! be copied.

use gateway_core::{
    ExternalId, Link, Namespace, Point, Problem, Status, Suspension, Timestamp, User, Value, check,
};
use gateway_dialect::{
    CANADIAN_OR_OTHER_POSTAL_CODE, Codec, Day, FREE_TEXT, Json, milliseconds, object, read_degrees,
    read_nothing, schema, text, write_degrees, write_text,
};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use crate::forms;

/// The longest line of an address: what the longest street and number of any dialect come to.
pub(crate) const LONGEST_LINE: u16 = 306;
/// The longest reason of a suspension, in characters.
pub(crate) const LONGEST_REASON: u16 = 500;

/// The standing of the account; `suspended` comes and goes by suspensions alone.
pub(crate) const STATUS: Codec =
    Codec::new("status", "`pendingCompliance`, `active` or `closed`", read_status, write_text)
        .described(forms::status);
/// As the wrapper dialect keeps usernames (decision 26); what it would delete is refused here.
pub(crate) const USERNAME: Codec =
    Codec::new("plain-username", "characters of `[a-zA-Z0-9._]`", read_username, write_text)
        .described(forms::username);
/// An address line, or a street.
pub(crate) const LINE: Codec = FREE_TEXT.chars(1, LONGEST_LINE);
/// A postal code; a Canadian one gets its space (decision 6).
pub(crate) const POSTAL_CODE: Codec =
    Codec::new("any-postal-code", "postal code", read_postal_code, write_text)
        .chars(1, 20)
        .described(schema::free_text);
/// A place on the map.
pub(crate) const GEO: Codec =
    Codec::new("geo", "`{longitude, latitude}`, degrees within ±180", read_geo, write_geo)
        .described(forms::geo);
/// An instant in milliseconds, UTC. Only written.
pub(crate) const INSTANT: Codec =
    Codec::new("milliseconds", "instant, `YYYY-MM-DDThh:mm:ss.sssZ`", read_nothing, write_instant)
        .described(schema::instant);
/// All suspensions.
pub(crate) const SUSPENSIONS: Codec = Codec::new(
    "all-suspensions",
    "array of at most 100 `{reason, startsAt, endsAt}`",
    read_suspensions,
    write_suspensions,
)
.described(forms::suspensions);
/// All links.
pub(crate) const LINKS: Codec =
    Codec::new("links", "array of at most 100 `{namespace, externalId}`", read_links, write_links)
        .described(forms::links);

fn read_status(_: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    let status = Status::parse(text(json)?);
    let status = status.ok_or(Problem::NotOneOf { values: "pendingCompliance, active, closed" })?;
    Ok(Value::text(status.as_str()))
}

fn read_username(codec: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    let name = text(json)?;
    check::length(name, codec.min, codec.max)?;
    if check::sanitized_username(name).is_ok_and(|kept| kept == name) {
        Ok(Value::text(name))
    } else {
        Err(Problem::PlainUsername)
    }
}

fn read_postal_code(codec: &Codec, json: &Json<'_>, today: Day) -> Result<Value<'static>, Problem> {
    let blank = json.as_text().is_some_and(|code| code.bytes().all(|byte| byte == b' '));
    let read = if blank { FREE_TEXT } else { CANADIAN_OR_OTHER_POSTAL_CODE };
    read.chars(codec.min, codec.max).read(json, today)
}

fn read_geo(_: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    match (read_degrees(json.get("longitude")), read_degrees(json.get("latitude"))) {
        (Some(longitude), Some(latitude)) if has_only(json, &["longitude", "latitude"]) => {
            Ok(Value::Point(Point { longitude, latitude }))
        }
        _ => Err(Problem::Coordinates),
    }
}

fn write_geo<'a>(value: &Value<'a>) -> Json<'a> {
    let Value::Point(Point { longitude, latitude }) = value else { return Json::Null };
    object([("longitude", write_degrees(*longitude)), ("latitude", write_degrees(*latitude))])
}

fn write_instant<'a>(value: &Value<'a>) -> Json<'a> {
    match value {
        Value::Instant(instant) => milliseconds(*instant),
        _ => Json::Null,
    }
}

fn read_suspensions(_: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    list(json)
        .and_then(|items| items.iter().map(suspension).collect::<Option<Vec<_>>>())
        .map(|list| Value::Suspensions(list.into()))
        .ok_or(Problem::Suspensions)
}

fn list<'j, 'a>(json: &'j Json<'a>) -> Option<&'j [Json<'a>]> {
    match json {
        Json::Array(items) if items.len() <= User::MAX_LINKS => Some(items),
        _ => None,
    }
}

fn suspension(json: &Json<'_>) -> Option<Suspension> {
    let given = |name| json.get(name).filter(|value| **value != Json::Null);
    let instant = |value: &Json<'_>| value.as_text().and_then(instant);
    let reason = given("reason").map(|reason| {
        let reason = reason.as_text().filter(|reason| check::length(reason, 1, LONGEST_REASON).is_ok());
        reason
            .filter(|reason| LONG_TEXT.read(&Json::Text((*reason).into()), Day::MAX).is_ok())
            .map(str::to_owned)
    });
    let starts_at = instant(json.get("startsAt")?)?;
    let ends_at = given("endsAt").map(instant);
    let (reason, ends_at) = (absent_or(reason)?, absent_or(ends_at)?);
    let in_order = ends_at.is_none_or(|end| end > starts_at);
    let known = has_only(json, &["reason", "startsAt", "endsAt"]);
    (in_order && known).then_some(Suspension { reason, starts_at, ends_at })
}

/// Some lines, as long as a reason may be.
pub(crate) const LONG_TEXT: Codec = gateway_dialect::LINES.chars(1, LONGEST_REASON);

/// `None` for what is there but no good.
fn absent_or<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(read) => read.map(Some),
    }
}

/// In whole milliseconds, as it is answered.
fn instant(text: &str) -> Option<Timestamp> {
    let utc = OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)?;
    let instant = Timestamp::from(utc);
    (0..=9_999).contains(&instant.year()).then(|| instant.replace_millisecond(instant.millisecond()).ok())?
}

fn write_suspensions<'a>(value: &Value<'a>) -> Json<'a> {
    let Value::Suspensions(list) = value else { return Json::Null };
    let one = |suspension: &Suspension| {
        let reason = suspension.reason.clone().map(|reason| ("reason".into(), Json::Text(reason.into())));
        let start = ("startsAt".into(), milliseconds(suspension.starts_at));
        let end = suspension.ends_at.map(|end| ("endsAt".into(), milliseconds(end)));
        Json::Object(reason.into_iter().chain([start]).chain(end).collect())
    };
    Json::Array(list.iter().map(one).collect())
}

fn read_links(_: &Codec, json: &Json<'_>, _: Day) -> Result<Value<'static>, Problem> {
    let links = list(json).and_then(|items| items.iter().map(link).collect::<Option<Vec<_>>>());
    let different = |links: &Vec<Link>| {
        let mut sorted: Vec<_> = links.iter().collect();
        sorted.sort_unstable();
        sorted.windows(2).all(|pair| pair[0] != pair[1])
    };
    links.filter(different).map(|links| Value::Links(links.into())).ok_or(Problem::Links)
}

fn link(json: &Json<'_>) -> Option<Link> {
    let namespace = Namespace::parse(json.get("namespace")?.as_text()?)?;
    let external_id = ExternalId::parse(json.get("externalId")?.as_text()?)?;
    has_only(json, &["namespace", "externalId"]).then_some(Link { namespace, external_id })
}

fn write_links<'a>(value: &Value<'a>) -> Json<'a> {
    match value {
        Value::Links(links) => Json::Array(links.iter().map(write_link).collect()),
        _ => Json::Null,
    }
}

/// A link as it is answered.
pub(crate) fn write_link(link: &Link) -> Json<'static> {
    object([
        ("namespace", Json::Text(link.namespace.as_str().to_owned().into())),
        ("externalId", Json::Text(link.external_id.as_str().to_owned().into())),
    ])
}

fn has_only(json: &Json<'_>, names: &[&str]) -> bool {
    json.members().is_some_and(|members| members.iter().all(|(name, _)| names.contains(&name.as_ref())))
}
