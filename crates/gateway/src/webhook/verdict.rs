//! What an answer of the webhook means.

use gateway_dialect::{Json, json};
use gateway_outbound::{CallError, Reply};
use http::StatusCode;

use super::keys::{Keys, RESPONSE_SIGNATURE};

/// The longest message that is passed on, in characters.
const MAX_MESSAGE: usize = 200;

/// What came of a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// The update may be committed.
    Approved,
    /// It may not; with a message for the client, where there is one to pass on.
    Vetoed(Option<String>),
    /// Nobody knows.
    Failed(Failure),
}

/// Why there is no verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// The call came to nothing.
    Call(CallError),
    /// A status of the server's own failing.
    ServerError,
    /// Another status than 200.
    OtherStatus,
    /// No signature, or a wrong one.
    Unsigned,
}

impl Failure {
    /// True where it was not there, not in time, or failing: what `on_failure = "allow"` allows.
    pub(crate) const fn is_down(self) -> bool {
        match self {
            Self::Call(error) => error.is_down(),
            Self::ServerError => true,
            Self::OtherStatus | Self::Unsigned => false,
        }
    }

    /// For the log.
    pub(crate) const fn cause(self) -> &'static str {
        match self {
            Self::ServerError => "webhook_server_error",
            Self::OtherStatus => "webhook_status",
            Self::Unsigned => "webhook_signature",
            Self::Call(error) => match error {
                CallError::Refused => "webhook_refused_address",
                CallError::Resolve => "webhook_resolve",
                CallError::Connect => "webhook_connect",
                CallError::Tls => "webhook_tls",
                CallError::Timeout => "webhook_timeout",
                CallError::Reset => "webhook_reset",
                CallError::TooLarge => "webhook_too_large",
                CallError::Protocol => "webhook_protocol",
                CallError::Busy => "webhook_busy",
                CallError::Open => "webhook_circuit_open",
            },
        }
    }
}

/// A signed 200 is a verdict: it approves where it says so, and vetoes whatever else it says.
pub(crate) fn read(keys: &Keys, reply: &Reply) -> Verdict {
    if reply.status != StatusCode::OK {
        let is_down = reply.status.is_server_error();
        return Verdict::Failed(if is_down { Failure::ServerError } else { Failure::OtherStatus });
    }
    let mut signatures = reply.headers.get_all(RESPONSE_SIGNATURE).iter();
    let is_signed = signatures.next().is_some_and(|one| keys.signed_response(&reply.body, one.as_bytes()));
    if !is_signed || signatures.next().is_some() {
        return Verdict::Failed(Failure::Unsigned);
    }
    let Ok(answer) = json::parse(&reply.body) else { return Verdict::Vetoed(None) };
    if answer.get("valid") == Some(&Json::Bool(true)) {
        return Verdict::Approved;
    }
    let message = answer.get("message").and_then(Json::as_text).filter(|message| is_shown(message));
    Verdict::Vetoed(message.map(str::to_owned))
}

/// What is passed on to clients: a line that is not too long.
fn is_shown(message: &str) -> bool {
    !message.trim().is_empty()
        && message.chars().take(MAX_MESSAGE + 1).count() <= MAX_MESSAGE
        && !message.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_dialect::Secret;
    use http::{HeaderMap, HeaderValue};

    fn keys() -> Keys {
        Keys::new(&[Secret::new(b"whsec_test".to_vec(), false)])
    }

    fn reply(status: u16, body: &str, signatures: &[&str]) -> Reply {
        let mut headers = HeaderMap::new();
        for signature in signatures {
            headers.append(RESPONSE_SIGNATURE, HeaderValue::from_str(signature).unwrap());
        }
        Reply { status: StatusCode::from_u16(status).unwrap(), headers, body: body.to_owned().into() }
    }

    fn signed(status: u16, body: &str) -> Verdict {
        read(&keys(), &reply(status, body, &[&keys().of_response(body.as_bytes())]))
    }

    #[test]
    fn only_a_signed_200_that_says_true_approves() {
        assert_eq!(signed(200, r#"{"valid":true}"#), Verdict::Approved);
        assert_eq!(signed(200, "{ \"more\": [1], \"valid\": true }\n"), Verdict::Approved);
        for odd in [
            "",
            "true",
            "[]",
            "{}",
            "<html>",
            r#"{"valid":"true"}"#,
            r#"{"valid":1}"#,
            r#"{"valid":null}"#,
            r#"{"Valid":true}"#,
            r#"{"valid":false,"valid":true}"#,
            r#"{"valid":true,"valid":true}"#,
            r#"{"valid":true}{}"#,
            "\u{feff}{\"valid\":true}",
            r#"{"data":{"valid":true}}"#,
        ] {
            assert_eq!(signed(200, odd), Verdict::Vetoed(None), "{odd}");
        }
        for status in [201, 202, 204, 302, 400, 403, 404, 429] {
            assert_eq!(signed(status, r#"{"valid":true}"#), Verdict::Failed(Failure::OtherStatus));
        }
        for status in [500, 502, 503, 599] {
            assert_eq!(signed(status, r#"{"valid":true}"#), Verdict::Failed(Failure::ServerError));
        }
    }

    #[test]
    fn nothing_unsigned_is_believed_not_even_a_veto() {
        let good = keys().of_response(br#"{"valid":true}"#);
        for (body, signatures) in [
            (r#"{"valid":true}"#, &[][..]),
            (r#"{"valid":true}"#, &[""]),
            (r#"{"valid":true}"#, &[&good, &good]),
            (r#"{"valid": true}"#, &[&good]),
            (r#"{"valid":false}"#, &[]),
            (r#"{"valid":false}"#, &[&good]),
        ] {
            let verdict = read(&keys(), &reply(200, body, signatures));
            assert_eq!(verdict, Verdict::Failed(Failure::Unsigned), "{body}");
        }
        assert!(!Failure::Unsigned.is_down());
    }

    #[test]
    fn a_message_is_passed_on_if_it_is_a_short_line() {
        let message = |text: &str| {
            let body = format!(r#"{{"valid":false,"message":{}}}"#, serde_json::to_string(text).unwrap());
            match signed(200, &body) {
                Verdict::Vetoed(message) => message,
                other => panic!("{other:?}"),
            }
        };
        let longest = "\u{e4}".repeat(MAX_MESSAGE);
        for good in ["Username not allowed", "Nein, \u{fc}bel", &longest] {
            assert_eq!(message(good).as_deref(), Some(good));
        }
        for bad in ["", "  ", "a\nb", "a\u{0}b", "\u{9b}31m", &format!("{longest}x")] {
            assert_eq!(message(bad), None, "{bad:?}");
        }
        assert_eq!(signed(200, r#"{"valid":false,"message":7}"#), Verdict::Vetoed(None));
    }
}
