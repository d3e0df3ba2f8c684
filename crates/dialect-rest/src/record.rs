//! Users as records, for other gateways.

use gateway_core::{Attr, Error, ErrorKind, FieldError, Locator, Operation, Outcome, Problem};
use gateway_dialect::{Answer, Hygiene};
use gateway_record::{MEDIA_TYPE, Stored, encode_page};
use http::{HeaderValue, StatusCode, header};

/// PUT: the state of the user that the path names.
///
/// # Errors
/// [`ErrorKind::Malformed`], [`ErrorKind::Invalid`].
pub(crate) fn restated(user: &Locator, body: &[u8]) -> Result<Operation, Error> {
    let malformed = || Error::new(ErrorKind::Malformed).message("The body is not the record of a user");
    let state = Stored::decode(body).and_then(Stored::live).ok_or_else(malformed)?;
    if *user != Locator::Id(state.id) {
        return Err(Error::invalid(vec![FieldError::attr(Attr::Id, Problem::Mismatch)]));
    }
    Ok(Operation::Restate(state))
}

/// What came of it.
pub(crate) fn encode(outcome: &Outcome<'_>) -> Answer {
    let body = match *outcome {
        Outcome::Found(user) => Stored::Live(user.clone().into()).encode(0),
        Outcome::Listed(users, next) => encode_page(users, next),
        Outcome::Created(_) => return Answer::empty(StatusCode::CREATED, Hygiene::Full),
        _ => return Answer::empty(StatusCode::NO_CONTENT, Hygiene::Full),
    };
    let media_type = (header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    Answer { headers: vec![media_type], body: body.into(), ..Answer::empty(StatusCode::OK, Hygiene::Full) }
}
