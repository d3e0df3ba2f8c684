//! HMAC-signed requests of the partner API (section A.3, decision 17).
//!
//! `METHOD \n PATH_AND_QUERY \n TIMESTAMP \n BODY`, HMAC-SHA256 with the client's secret, in hex.

use std::{collections::HashMap, sync::Arc};

use gateway_core::{Caller, Error, ErrorKind, Timestamp};
use gateway_dialect::{Options, Secret};
use hmac::Mac;
use http::{HeaderMap, HeaderName};
use subtle::Choice;
use time::{Duration, format_description::well_known::Rfc3339};

use crate::{
    Authenticator, ClientOptions, Manner, Presented, Verdict,
    credential::{Digested, Keyed, SECRETS, any_is, digest, macs, refuse_short, sha256, single},
    rfc3339,
};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-request-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("x-request-signature");

struct Client {
    caller: Caller,
    api_keys: Vec<Secret>,
    /// Signs with the first.
    macs: [Keyed; SECRETS],
}

/// The authenticator of mounts whose clients sign their requests.
pub struct SignedRequests {
    clients: Vec<Client>,
    /// SHA-256 of an API key → its client. Looking up a digest tells nothing about keys.
    by_key: HashMap<Digested, usize>,
    /// Stands in for an unknown client.
    dummy: [Keyed; SECRETS],
    /// How many secrets are tried for every client, known or not: as many as any client of the mount
    /// has, so that the work tells nothing of one of them.
    slots: usize,
    skew: Duration,
}

impl SignedRequests {
    /// Reads `clock_skew_s` and `allow_short_secrets` of the mount, `api_key` and `secret` (one, or
    /// a list of two) of each client.
    pub fn build(mount: &mut Options<'_>, clients: &mut [ClientOptions<'_>]) -> Arc<dyn Authenticator> {
        let skew_s = mount.integer("clock_skew_s", 5..=300).unwrap_or(60);
        let allow_short = mount.flag("allow_short_secrets", false);
        let mut built = Self {
            clients: Vec::new(),
            by_key: HashMap::new(),
            dummy: macs(&[]),
            slots: 1,
            skew: Duration::seconds(skew_s),
        };
        for (name, options) in clients {
            let api_keys = options.secrets("api_key", SECRETS);
            let secrets = options.secrets("secret", SECRETS);
            refuse_short(options, "secret", &secrets, allow_short);
            built.slots = built.slots.max(secrets.len().min(SECRETS));
            for key in &api_keys {
                if built.by_key.insert(digest(key.expose()), built.clients.len()).is_some() {
                    options.problem("api_key", "`api_key` is another client's, or there twice");
                }
            }
            built.clients.push(Client {
                caller: Caller::client(Arc::clone(name)),
                api_keys,
                macs: macs(&secrets),
            });
        }
        Arc::new(built)
    }

    fn verify(&self, request: &Presented<'_>, now: Timestamp) -> Result<&Client, &'static str> {
        let headers = request.headers;
        let client = single(headers, &API_KEY)
            .and_then(|key| self.by_key.get(&digest(key)))
            .and_then(|at| self.clients.get(*at));
        let timestamp = single(headers, &TIMESTAMP).unwrap_or_default();
        let expected = client.map_or(&self.dummy, |client| &client.macs);
        let matched = any_matches(&expected[..self.slots], request, timestamp, &given_mac(headers));
        let in_time = std::str::from_utf8(timestamp)
            .ok()
            .and_then(rfc3339::parse)
            .is_some_and(|at| (now - at).abs() <= self.skew);
        match client {
            None => Err("unknown_key"),
            Some(_) if !bool::from(matched) => Err("signature"),
            Some(_) if !in_time => Err("clock_skew"),
            Some(client) => Ok(client),
        }
    }
}

impl Authenticator for SignedRequests {
    fn precheck(&self, headers: &HeaderMap, _: bool) -> Result<(), Error> {
        if [&API_KEY, &TIMESTAMP, &SIGNATURE].iter().all(|name| headers.contains_key(*name)) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::MissingCredential).cause("header_missing"))
    }

    fn authenticate<'a>(&'a self, request: &Presented<'a>, now: Timestamp) -> Verdict<'a> {
        let verified = self.verify(request, now).map_err(|cause| {
            let missing = self.precheck(request.headers, request.is_read).err();
            missing.unwrap_or_else(|| Error::new(ErrorKind::BadCredential).cause(cause))
        });
        Verdict::Ready(verified.map(|client| client.caller.clone()))
    }

    fn manner(&self) -> Manner {
        Manner::Headers(&[
            ("X-Api-Key", "The client's key."),
            ("X-Request-Timestamp", "The time of the request: RFC 3339, for example 2026-03-13T12:00:00Z."),
            (
                "X-Request-Signature",
                "HMAC-SHA256 by the client's secret, in hex, of method, target, timestamp and body, with a \
                 line feed between each.",
            ),
        ])
    }

    fn proof(&self, headers: &HeaderMap) -> Option<Vec<u8>> {
        single(headers, &SIGNATURE).map(<[u8]>::to_ascii_lowercase)
    }

    fn sign(
        &self,
        client: &str,
        request: &Presented<'_>,
        now: Timestamp,
    ) -> Option<Vec<(HeaderName, String)>> {
        let client = self.clients.iter().find(|one| &*one.caller.client == client)?;
        let key = String::from_utf8(client.api_keys.first()?.expose().to_vec()).ok()?;
        let timestamp = now.replace_nanosecond(0).ok()?.format(&Rfc3339).ok()?;
        let mac = mac(&client.macs[0], request, timestamp.as_bytes());
        Some(vec![(API_KEY, key), (TIMESTAMP, timestamp), (SIGNATURE, faster_hex::hex_string(&mac))])
    }
}

fn mac(keyed: &Keyed, request: &Presented<'_>, timestamp: &[u8]) -> Digested {
    let mut mac = keyed.clone();
    for part in [request.method.as_bytes(), request.target.as_bytes(), timestamp] {
        mac.update(part);
        mac.update(b"\n");
    }
    mac.update(request.body);
    mac.finalize().into_bytes().into()
}

/// Computes every MAC and compares each whole, whatever came before.
fn any_matches(
    expected: &[Keyed],
    request: &Presented<'_>,
    timestamp: &[u8],
    given: &Option<Digested>,
) -> Choice {
    let candidate = given.unwrap_or_default();
    let any = any_is(expected.iter().map(|keyed| mac(keyed, request, timestamp)), &candidate);
    any & Choice::from(u8::from(given.is_some()))
}

/// 64 hex digits, either case.
fn given_mac(headers: &HeaderMap) -> Option<Digested> {
    single(headers, &SIGNATURE).and_then(sha256)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::utc_datetime;

    const AT: &str = "2026-03-13T12:00:00Z";
    const NOW: Timestamp = utc_datetime!(2026-03-13 12:00);

    fn signed_by(secrets: &[&str]) -> SignedRequests {
        let secrets: Vec<_> =
            secrets.iter().map(|text| Secret::new(text.as_bytes().to_vec(), true)).collect();
        let client = Client {
            caller: Caller::client("acme"),
            api_keys: vec![Secret::new(b"key".to_vec(), true)],
            macs: macs(&secrets),
        };
        let by_key = HashMap::from([(digest(b"key"), 0)]);
        let (dummy, slots) = (macs(&[]), secrets.len());
        SignedRequests { clients: vec![client], by_key, dummy, slots, skew: Duration::seconds(60) }
    }

    fn headers(rows: &[(&HeaderName, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in rows {
            map.append((*name).clone(), value.parse().unwrap());
        }
        map
    }

    fn check(
        auth: &SignedRequests,
        method: &str,
        target: &str,
        body: &str,
        signature: &str,
        now: Timestamp,
    ) -> Result<(), Option<&'static str>> {
        let headers = headers(&[(&API_KEY, "key"), (&TIMESTAMP, AT), (&SIGNATURE, signature)]);
        let request = Presented { method, target, headers: &headers, body: body.as_bytes(), is_read: false };
        identified(auth.authenticate(&request, now)).map(|_| ()).map_err(|error| error.cause)
    }

    fn identified(verdict: Verdict<'_>) -> crate::Identified {
        match verdict {
            Verdict::Ready(identified) => identified,
            Verdict::Pending(_) => panic!("a signature needs nobody else"),
        }
    }

    /// The three vectors of section A.3.
    const VECTORS: [(&str, &str, &str, &str); 3] = [
        (
            "GET",
            "/v1/users/ext123/balances",
            "",
            "c53c2a3b8623c9c0f3d9c270dfcae3c62977868a0ce6f6a7964e080b8afbfd90",
        ),
        (
            "PATCH",
            "/v1/users/partner-user-42",
            r#"{"addressLine1":"456 Queen St W","city":"Toronto","postalCode":"M5V 1Z8"}"#,
            "d7d642b29c6c5d0b77d71a3d2d1217f207bbbf0b2af9588c20e181d800906a83",
        ),
        (
            "GET",
            "/v1/users/partner-user-42/documents?cursor=2026-03-12T18%3A30%3A00Z&limit=25",
            "",
            "d350011056a215e4ca0401d73bb3be25829ed4cc49e7cc164c02a699133b66fd",
        ),
    ];

    #[test]
    fn the_published_vectors_verify() {
        let auth = signed_by(&["test_secret"]);
        for (method, target, body, signature) in VECTORS {
            assert_eq!(check(&auth, method, target, body, signature, NOW), Ok(()));
            assert_eq!(check(&auth, method, target, body, &signature.to_uppercase(), NOW), Ok(()));
            assert_eq!(check(&auth, "PUT", target, body, signature, NOW), Err(Some("signature")));
            assert_eq!(
                check(&auth, method, &format!("{target}?"), body, signature, NOW),
                Err(Some("signature"))
            );
            assert_eq!(
                check(&auth, method, target, &format!("{body} "), signature, NOW),
                Err(Some("signature"))
            );
        }
    }

    #[test]
    fn the_published_vectors_are_what_sign_makes() {
        let auth = signed_by(&["test_secret"]);
        for (method, target, body, signature) in VECTORS {
            let request = Presented {
                method,
                target,
                headers: &HeaderMap::new(),
                body: body.as_bytes(),
                is_read: false,
            };
            let made = auth.sign("acme", &request, NOW).unwrap();
            assert_eq!(made[1], (TIMESTAMP, AT.to_owned()));
            assert_eq!(made[2], (SIGNATURE, signature.to_owned()));
        }
    }

    #[test]
    fn two_secrets_live_at_once_and_no_third() {
        let (_, target, body, signature) = VECTORS[1];
        for (secrets, good) in [
            (&["old", "test_secret"][..], true),
            (&["test_secret", "new"], true),
            (&["old", "new"], false),
            (&[""], false),
        ] {
            assert_eq!(
                check(&signed_by(secrets), "PATCH", target, body, signature, NOW).is_ok(),
                good,
                "{secrets:?}"
            );
        }
    }

    #[test]
    fn the_window_is_sixty_seconds_inclusive() {
        let auth = signed_by(&["test_secret"]);
        let (method, target, body, signature) = VECTORS[1];
        for (offset_ms, good) in [
            (0, true),
            (60_000, true),
            (-60_000, true),
            (60_001, false),
            (-60_001, false),
            (90_000_000, false),
        ] {
            let now = NOW + Duration::milliseconds(offset_ms);
            let expected = if good { Ok(()) } else { Err(Some("clock_skew")) };
            assert_eq!(check(&auth, method, target, body, signature, now), expected, "{offset_ms}");
        }
    }

    #[test]
    fn odd_signatures_are_refused() {
        let auth = signed_by(&["test_secret"]);
        let (method, target, body, good) = VECTORS[1];
        for bad in [
            String::new(),
            good[..63].into(),
            format!("{good}0"),
            good[..62].into(),
            format!("0x{good}"),
            format!("sha256={good}"),
            format!("{good},{good}"),
            "z".repeat(64),
            "0".repeat(64),
            "a".repeat(10_000),
        ] {
            assert_eq!(check(&auth, method, target, body, &bad, NOW), Err(Some("signature")));
        }
    }

    #[test]
    fn each_header_is_there_once() {
        let auth = signed_by(&["test_secret"]);
        let (method, target, body, good) = VECTORS[1];
        let all = [(&API_KEY, "key"), (&TIMESTAMP, AT), (&SIGNATURE, good)];
        for i in 0..3 {
            let mut twice = all.to_vec();
            twice.push(all[i]);
            let two = headers(&twice);
            let request = Presented { method, target, headers: &two, body: body.as_bytes(), is_read: false };
            assert_eq!(
                identified(auth.authenticate(&request, NOW)).unwrap_err().kind,
                ErrorKind::BadCredential
            );
            let mut without = all.to_vec();
            without.remove(i);
            assert_eq!(
                auth.precheck(&headers(&without), false).unwrap_err().kind,
                ErrorKind::MissingCredential
            );
        }
    }
}
