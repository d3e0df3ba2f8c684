//! Tests of authenticators as a mount builds and asks them.

mod basic;
mod bearer;
mod jwk;
mod jwt;
mod keys;
mod outside;

use std::{cell::RefCell, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway_core::{Caller, ErrorKind, Timestamp};
use gateway_dialect::{Entry, OptionValue, Options, Secret, SecretSource};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use time::macros::utc_datetime;

use crate::{
    Authenticator, Build, Presented,
    credential::{keyed, mac},
};

const NOW: Timestamp = utc_datetime!(2026-03-13 12:00);
const NOW_S: i64 = 1_773_403_200;
/// A secret as issuers have them: not a demo one, long enough.
const SECRET: &str = "0123456789abcdef0123456789abcdef";

type Rows<'r> = &'r [(&'r str, OptionValue)];

/// `env:x` is the secret `x`; what begins with `demo-` is a shipped one.
struct Source;

impl SecretSource for Source {
    fn resolve(&self, reference: &str) -> Result<Secret, String> {
        let known = reference.strip_prefix("env:").map(|text| (text, false));
        let known = known.or_else(|| reference.starts_with("demo-").then_some((reference, true)));
        known.map(|(text, is_demo)| Secret::new(text.into(), is_demo)).ok_or_else(|| "no secret".to_owned())
    }

    fn file(&self, path: &str) -> Result<Vec<u8>, String> {
        match path {
            "keys" => Ok(outside::KEYS.into()),
            "page" => Ok(b"<html></html>".to_vec()),
            _ => Err("no file".to_owned()),
        }
    }
}

fn text(text: &str) -> OptionValue {
    OptionValue::Text(text.to_owned())
}

fn list(texts: &[&str]) -> OptionValue {
    OptionValue::List(texts.iter().map(|one| (text(one), 0..0)).collect())
}

/// The authenticator, and the mistakes in its settings.
fn built(
    build: Build,
    mount: Rows<'_>,
    clients: &[(&str, Rows<'_>)],
) -> (Arc<dyn Authenticator>, Vec<String>) {
    let problems = RefCell::default();
    let options = |rows: Rows<'_>| {
        let entry = |(name, value): &(&str, OptionValue)| Entry {
            name: (*name).to_owned(),
            name_span: 0..0,
            value: value.clone(),
            span: 0..0,
        };
        Options::new(rows.iter().map(entry).collect(), 0..0, &problems, &Source)
    };
    let mut mount = options(mount);
    let mut clients: Vec<_> = clients.iter().map(|(name, rows)| (Arc::from(*name), options(rows))).collect();
    let auth = build(&mut mount, &mut clients);
    mount.finish();
    clients.into_iter().for_each(|(_, client)| client.finish());
    let messages = problems.into_inner().into_iter().map(|problem| problem.message).collect();
    (auth, messages)
}

fn good(build: Build, mount: Rows<'_>, clients: &[(&str, Rows<'_>)]) -> Arc<dyn Authenticator> {
    let (auth, problems) = built(build, mount, clients);
    assert_eq!(problems, Vec::<String>::new());
    auth
}

fn headers(values: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

type Answer = Result<Caller, (ErrorKind, &'static str)>;

/// What the two stops say of these `Authorization` headers together.
fn ask_all(auth: &dyn Authenticator, values: &[&[u8]], is_read: bool, now: Timestamp) -> Answer {
    let headers = headers(values);
    let request =
        Presented { method: "GET", target: "/x?access_token=good", headers: &headers, body: b"", is_read };
    let checked = auth.precheck(&headers, is_read);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let identified = runtime.block_on(auth.authenticate(&request, now).wait());
    if let Err(early) = checked {
        assert_eq!(early.kind, identified.as_ref().unwrap_err().kind);
    }
    identified.map_err(|error| (error.kind, error.cause.unwrap_or_default()))
}

fn ask(auth: &dyn Authenticator, value: &str) -> Answer {
    ask_all(auth, &[value.as_bytes()], false, NOW)
}

fn refused(cause: &'static str) -> Answer {
    Err((ErrorKind::BadCredential, cause))
}

fn missing(cause: &'static str) -> Answer {
    Err((ErrorKind::MissingCredential, cause))
}

fn part(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token with a right signature, whatever it says.
fn forge(header: &str, claims: &[u8], secret: &str) -> String {
    let input = format!("{}.{}", part(header), part(claims));
    let signature = part(mac(&keyed(secret.as_bytes()), &[input.as_bytes()]));
    format!("{input}.{signature}")
}
