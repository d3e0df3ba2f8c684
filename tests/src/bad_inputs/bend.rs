//! A good request, bent as a step says.

use std::collections::BTreeMap;

use gateway_testkit::{
    cases::{self, Auth, Sign, expand},
    client::RawRequest,
};

use super::format::{Dialect, Good, GoodRequest, Step, Verb};
use crate::now;

/// The request that makes the case's user.
#[must_use]
pub fn user(good: &Good, id: &str) -> RawRequest {
    let create = &good.create;
    let target = create.request.replace("$WHO", &good.who);
    let body = create.body.replace("$WHO", &good.who).replace("$VALUE", &create.value);
    let headers = headers(good, None, None, !body.is_empty());
    let body = expand(&body, id, now()).into_bytes();
    prepare(target, headers, body, good.authorization.is_none(), &Sign::default(), id)
}

/// The request of a step.
#[must_use]
pub fn request(step: &Step, good: &Good, dialect: Dialect, id: &str) -> RawRequest {
    let of = match step.good {
        Verb::Create => &good.create,
        Verb::Update => &good.update,
        Verb::Read => &good.read,
    };
    let who = step.who.as_deref().unwrap_or(&good.who);
    let line = step.request.as_ref().and_then(|by| by.of(dialect)).unwrap_or(&of.request);
    let line = line.replace("$WHO", who) + &step.query;
    let mut body = bytes(&expand(&body(step, of, dialect, who), id, now()));
    if step.utf16 {
        body = String::from_utf8(body).unwrap().encode_utf16().flat_map(u16::to_le_bytes).collect();
    }
    let authorization = step.authorization.as_ref().and_then(|by| by.of(dialect)).map(String::as_str);
    let mut all = headers(good, authorization, step.content_type.as_deref(), !body.is_empty());
    all.extend(step.headers.iter().cloned());
    let signed = good.authorization.is_none() && authorization.is_none();
    prepare(line, all, body, signed, &step.sign, id)
}

/// An earlier request, with the step's headers, and without those that it leaves out.
#[must_use]
pub fn again(step: &Step, earlier: &RawRequest, id: &str) -> RawRequest {
    let mut request = earlier.clone();
    request.headers.retain(|(name, _)| !step.without.iter().any(|out| out.eq_ignore_ascii_case(name)));
    request.headers.extend(step.headers.iter().map(|(name, value)| (name.clone(), expand(value, id, now()))));
    request
}

fn body(step: &Step, of: &GoodRequest, dialect: Dialect, who: &str) -> String {
    if let Some(body) = step.body.as_ref().and_then(|by| by.of(dialect)) {
        return body.replace("$WHO", who);
    }
    let value = step.value.as_ref().and_then(|by| by.of(dialect)).unwrap_or(&of.value);
    of.body.replace("$WHO", who).replace("$VALUE", value)
}

fn headers(
    good: &Good,
    credential: Option<&str>,
    media: Option<&str>,
    has_body: bool,
) -> Vec<(String, String)> {
    let credential = credential.or(good.authorization.as_deref()).filter(|text| *text != "none");
    let of_body = has_body.then_some(good.content_type.as_str());
    let media = media.or(of_body).filter(|text| *text != "none");
    let rows = [("Authorization", credential), ("Content-Type", media)];
    rows.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect()
}

fn prepare(
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    signed: bool,
    sign: &Sign,
    id: &str,
) -> RawRequest {
    let mut sign = sign.clone();
    for text in
        [Some(&mut sign.key), Some(&mut sign.signature), sign.timestamp.as_mut()].into_iter().flatten()
    {
        *text = expand(text, id, now());
    }
    let text = String::from_utf8(body.clone()).ok();
    let step = cases::Step {
        request: line,
        headers,
        body_hex: text.is_none().then(|| body.iter().map(|byte| format!("{byte:02x}")).collect()),
        body: text.unwrap_or_default(),
        auth: if signed { Auth::Partner } else { Auth::None },
        sign,
        status: 0,
        answer_headers: Vec::new(),
        answer_lacks: Vec::new(),
        answer: String::new(),
        keep: BTreeMap::new(),
    };
    cases::prepare(&step, id, now())
}

/// Text with `$HEX(…)` in it.
fn bytes(text: &str) -> Vec<u8> {
    let mut parts = text.split("$HEX(");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part.split_once(')').unwrap_or_else(|| panic!("$HEX( is not closed"));
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        bytes.extend((0..hex.len()).step_by(2).map(digit));
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}
