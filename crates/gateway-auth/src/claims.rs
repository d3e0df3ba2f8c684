//! What claims must say, whoever vouches for them: a signature or an introspection (RFC 7519, 4.1).

use std::sync::Arc;

use gateway_core::{Caller, ErrorKind, Namespace, Timestamp};
use gateway_dialect::{Options, json::Json};

use crate::credential::text;

/// The end of year 9999; a time beyond is no time in seconds.
const MAX_TIME_S: i64 = 253_402_300_799;
const NANOS: i128 = 1_000_000_000;

/// What a client's tokens must say, and who calls with them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Terms {
    pub(crate) client: Arc<str>,
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Option<String>,
    pub(crate) typ: Option<String>,
    pub(crate) project: Option<Namespace>,
    pub(crate) leeway_s: i64,
}

impl Terms {
    /// Reads `issuer`, `audience`, `typ` and `leeway_s`.
    pub(crate) fn read(client: &Arc<str>, project: Option<Namespace>, options: &mut Options<'_>) -> Self {
        Self {
            client: Arc::clone(client),
            issuer: text(options, "issuer"),
            audience: text(options, "audience"),
            typ: text(options, "typ"),
            project,
            leeway_s: options.integer("leeway_s", 0..=60).unwrap_or(30),
        }
    }

    /// True for the `typ` of a header, where one is asked for (RFC 7515, 4.1.9).
    pub(crate) fn is_type(&self, typ: Option<&str>) -> bool {
        self.typ.is_none() || typ.map(media_type) == self.typ.as_deref().map(media_type)
    }

    /// Who the claims of a signed token say calls.
    ///
    /// # Errors
    /// A word for the log.
    pub(crate) fn caller(&self, claims: &Json<'_>, now: Timestamp) -> Result<Caller, &'static str> {
        let expires = instant(claims, "exp")?.ok_or("exp_missing")?;
        if now.unix_timestamp_nanos() >= expires + self.leeway() {
            return Err("expired");
        }
        self.who(claims, now)
    }

    /// Who the claims of an active token say calls, and its end in nanoseconds, where they say one:
    /// what stands for the token is never kept beyond.
    ///
    /// # Errors
    /// A word for the log.
    pub(crate) fn introspected(
        &self,
        claims: &Json<'_>,
        now: Timestamp,
    ) -> Result<(Caller, Option<i128>), &'static str> {
        let expires = instant(claims, "exp")?;
        if expires.is_some_and(|expires| now.unix_timestamp_nanos() >= expires) {
            return Err("expired");
        }
        self.who(claims, now).map(|caller| (caller, expires))
    }

    fn who(&self, claims: &Json<'_>, now: Timestamp) -> Result<Caller, &'static str> {
        self.are_ours(claims, now)?;
        let subject = member(claims, "sub")?;
        let namespace = match member(claims, "projectId")? {
            Some(project) => Some(Namespace::parse(project).ok_or("project")?),
            None => self.project.clone(),
        };
        if subject == Some("") {
            return Err("claim");
        }
        Ok(Caller {
            client: Arc::clone(&self.client),
            subject: subject.map(Arc::from),
            namespace,
            scope: member(claims, "scope")?.unwrap_or_default().into(),
            is_anonymous: false,
        })
    }

    /// Checks from when the token is good, and who it is from and for.
    fn are_ours(&self, claims: &Json<'_>, now: Timestamp) -> Result<(), &'static str> {
        // Issued later than now is not good yet, whatever `nbf` says.
        for from in [instant(claims, "nbf")?, instant(claims, "iat")?].into_iter().flatten() {
            if now.unix_timestamp_nanos() < from - self.leeway() {
                return Err("not_yet_good");
            }
        }
        let issuer = member(claims, "iss")?;
        if self.issuer.is_some() && issuer != self.issuer.as_deref() {
            return Err("issuer");
        }
        let is_for_us = audience(claims, self.audience.as_deref())?;
        if self.audience.is_some() && !is_for_us { Err("audience") } else { Ok(()) }
    }

    const fn leeway(&self) -> i128 {
        self.leeway_s as i128 * NANOS
    }
}

/// What a mount demands of every issued token.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Demands {
    pub(crate) requires_subject: bool,
    pub(crate) linked_identity_claim: Option<String>,
}

impl Demands {
    /// # Errors
    /// What kind of refusal it is, with a word for the log.
    pub(crate) fn met(&self, caller: &Caller, claims: &Json<'_>) -> Result<(), (ErrorKind, &'static str)> {
        if self.requires_subject && caller.subject.is_none() {
            return Err((ErrorKind::BadCredential, "no_subject"));
        }
        let claim = self.linked_identity_claim.as_ref().and_then(|name| claims.get(name));
        self.linked(claim.is_some_and(|claim| *claim != Json::Null))
    }

    /// Refuses a good token without the linked identity that the mount demands.
    pub(crate) fn linked(&self, is_linked: bool) -> Result<(), (ErrorKind, &'static str)> {
        if self.linked_identity_claim.is_none() || is_linked {
            return Ok(());
        }
        Err((ErrorKind::LinkedIdentityMissing, "no_linked_identity"))
    }
}

/// A media type as it is compared (RFC 7515, 4.1.9).
fn media_type(typ: &str) -> String {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").map(str::to_owned).unwrap_or(typ)
}

/// A member that is text where it is there.
pub(crate) fn member<'c>(object: &'c Json<'_>, name: &str) -> Result<Option<&'c str>, &'static str> {
    object.get(name).map(|value| value.as_text().ok_or("claim")).transpose()
}

/// A time (RFC 7519, 2, `NumericDate`) in nanoseconds: a number, never a string of digits.
fn instant(claims: &Json<'_>, name: &str) -> Result<Option<i128>, &'static str> {
    let nanos = match claims.get(name) {
        None => return Ok(None),
        Some(Json::Number(number)) => number.as_i64().map_or_else(
            || number.as_f64().map(|seconds| (seconds * NANOS as f64) as i128),
            |seconds| Some(i128::from(seconds) * NANOS),
        ),
        Some(_) => None,
    };
    let possible = 0..=i128::from(MAX_TIME_S) * NANOS;
    nanos.filter(|nanos| possible.contains(nanos)).map(Some).ok_or("claim")
}

/// True where `aud`, one text or an array of such, holds this one.
fn audience(claims: &Json<'_>, ours: Option<&str>) -> Result<bool, &'static str> {
    let all = match claims.get("aud") {
        None => return Ok(false),
        Some(Json::Array(all)) => all.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    let texts: Option<Vec<_>> = all.iter().map(Json::as_text).collect();
    Ok(texts.ok_or("claim")?.into_iter().any(|one| Some(one) == ours))
}
