//! The requests: those of the demo's partner, signed as they are sent.

use std::{io::Write, time::Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::Failure;

const API_KEY: &str = "demo-partner-key";
const SECRET: &[u8] = b"demo-partner-secret";

/// What a run asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Makes the next user.
    Create,
    /// Reads one.
    Get,
    /// Changes one, with an Idempotency-Key of its own.
    Patch,
    /// Changes one, without such a key.
    Plain,
    /// The same request to where no dialect is.
    Passed,
}

impl Kind {
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::Create => 201,
            Self::Get | Self::Patch | Self::Plain | Self::Passed => 200,
        }
    }
}

/// Makes requests, one after the other.
pub(crate) struct Partner {
    mac: Hmac<Sha256>,
    users: u64,
    made: u64,
    timestamp: String,
    stamped: Instant,
    body: Vec<u8>,
}

impl Partner {
    pub(crate) fn new(users: u64) -> Result<Self, Failure> {
        let mac = Hmac::new_from_slice(SECRET)?;
        let mut partner = Self {
            mac,
            users: users.max(1),
            made: 0,
            timestamp: String::new(),
            stamped: Instant::now(),
            body: Vec::new(),
        };
        partner.stamp();
        Ok(partner)
    }

    /// The next user that it makes is the first again.
    pub(crate) fn begin_again(&mut self) {
        self.made = 0;
    }

    /// The time, to the second, is said anew each second.
    fn stamp(&mut self) {
        self.stamped = Instant::now();
        let now = gateway::clock::now().replace_nanosecond(0).ok();
        self.timestamp = now.and_then(|now| now.format(&Rfc3339).ok()).unwrap_or_default();
    }

    /// Writes the next request.
    pub(crate) fn write(&mut self, kind: Kind, out: &mut Vec<u8>) {
        if self.stamped.elapsed().as_secs() > 0 {
            self.stamp();
        }
        self.made += 1;
        // A prime step goes through all users in no order that a cache would like.
        let user = (self.made * 7919) % self.users;
        self.body.clear();
        // Writing to a vector cannot fail.
        let _infallible = match kind {
            Kind::Create => self.wrap(out, kind, "POST", "/partner/v1/users", Some(self.made - 1)),
            Kind::Get => self.wrap(out, kind, "GET", &format!("/partner/v1/users/user-{user}"), None),
            Kind::Patch | Kind::Plain => {
                self.wrap(out, kind, "PATCH", &format!("/partner/v1/users/user-{user}"), None)
            }
            Kind::Passed => self.wrap(out, kind, "PATCH", &format!("/legacy/v1/users/user-{user}"), None),
        };
    }

    fn wrap(
        &mut self,
        out: &mut Vec<u8>,
        kind: Kind,
        method: &str,
        target: &str,
        id: Option<u64>,
    ) -> std::io::Result<()> {
        if method != "GET" {
            write!(self.body, "{{")?;
            if let Some(id) = id {
                write!(self.body, "\"externalId\":\"user-{id}\",")?;
            }
            write!(
                self.body,
                r#""email":"jane.doe@example.com","firstName":"Jane","lastName":"Doe","dateOfBirth":"1990-05-15","addressLine1":"{} Queen Street West","addressLine2":"Suite 1200","city":"Toronto","postalCode":"M5V 2T6","province":"ON","country":"CA","occupation":"Software Engineer","isCiroAffiliate":false}}"#,
                self.made
            )?;
        }
        let mut mac = self.mac.clone();
        for part in [method, target, &self.timestamp] {
            mac.update(part.as_bytes());
            mac.update(b"\n");
        }
        mac.update(&self.body);
        let signature = faster_hex::hex_string(&mac.finalize().into_bytes());
        write!(
            out,
            "{method} {target} HTTP/1.1\r\nHost: api.example.com\r\nX-Api-Key: {API_KEY}\r\nX-Request-Timestamp: {}\r\nX-Request-Signature: {signature}\r\nAccept: application/json\r\nUser-Agent: bench/1.0\r\n",
            self.timestamp
        )?;
        if matches!(kind, Kind::Create | Kind::Patch) {
            write!(out, "Idempotency-Key: {}\r\n", Uuid::new_v4())?;
        }
        if method != "GET" {
            write!(out, "Content-Type: application/json\r\nContent-Length: {}\r\n", self.body.len())?;
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        Ok(())
    }
}
