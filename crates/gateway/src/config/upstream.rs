//! The table `[store.upstream]`: a service that keeps the users.

use std::ops::RangeInclusive;

use gateway_core::Attr;
use gateway_dialect::{Access, Clear, Field, FieldTable, Options, ReadOnly};
use gateway_outbound::{Endpoint, Terms};
use http::{HeaderValue, StatusCode};
use store_upstream::{ErrorRow, Form, Meaning, Routes, Template, Vocabulary};

use super::{
    secrets::Secrets,
    store::{Upstream, cache_bytes},
    tables::{size, timeout, trust},
};
use crate::registry;

const CONCURRENT: RangeInclusive<i64> = 1..=10_000;
const STATUS: RangeInclusive<i64> = 400..=599;

/// What the table says, `None` where it is wrong, and whether its ledger is in a PostgreSQL.
pub(super) fn read(store: &mut Options<'_>, secrets: &Secrets) -> (Option<Upstream>, bool) {
    let mut options = store.table_or_empty("upstream");
    let is_shared = options.choice("ledger", &[("embedded", false), ("postgres", true)], false);
    let endpoint = endpoint(&mut options);
    let trust = trust(&mut options, "ca", secrets);
    let max_concurrent = size(&mut options, "max_concurrent", CONCURRENT).unwrap_or(64);
    let forms = [("auto", Form::Auto), ("record", Form::Record), ("document", Form::Document)];
    let form = options.choice("form", &forms, Form::Auto);
    let (vocabulary, is_own) = vocabulary(&mut options);
    if is_own && form == Form::Record {
        options.problem(
            "form",
            "records are exchanged with another Interlingua alone, which needs no vocabulary",
        );
    }
    let authorization = authorization(&mut options);
    let timeout = timeout(&mut options, "timeout_ms", 2_000);
    let (honours_keys, cache_bytes) = (options.flag("idempotency_keys", true), cache_bytes(&mut options));
    options.finish();
    let form = if is_own { Form::Document } else { form };
    let terms = endpoint.zip(trust).map(|(endpoint, trust)| Terms { endpoint, trust, max_concurrent });
    let upstream = terms.zip(vocabulary).map(|(terms, vocabulary)| Upstream {
        terms,
        authorization,
        timeout,
        form,
        honours_keys,
        cache_bytes,
        vocabulary,
    });
    (upstream, is_shared)
}

/// The base below which users are. Whoever configures it may have it where he likes.
fn endpoint(options: &mut Options<'_>) -> Option<Endpoint> {
    if !options.has("url") {
        options.problem_at(options.span(), "`url` is missing");
    }
    let secret = options.secret("url")?;
    let url = String::from_utf8_lossy(secret.expose()).into_owned();
    let wrong = |why| options.problem("url", format!("what `url` refers to {why}"));
    let endpoint = Endpoint::parse(&url, true).map_err(wrong).ok()?;
    if endpoint.has_query() {
        options.problem("url", "what `url` refers to must not have a query");
    }
    Some(endpoint)
}

fn authorization(options: &mut Options<'_>) -> Option<HeaderValue> {
    let token = options.secret("token")?;
    let value = [b"Bearer ", token.expose()].concat();
    let mut value = HeaderValue::from_bytes(&value).map_err(|_not_shown| {
        options.problem("token", "what `token` refers to cannot stand in a header");
    });
    if let Ok(value) = &mut value {
        value.set_sensitive(true);
    }
    value.ok()
}

/// That of the REST dialect, or what `[store.upstream.vocabulary]` says otherwise; whether it says anything.
fn vocabulary(options: &mut Options<'_>) -> (Option<Vocabulary>, bool) {
    let rest = registry::DIALECTS.iter().find(|row| row.name == "rest").map(|row| row.with_defaults());
    let fields = rest.map(|rest| rest.fields().clone());
    let Some(mut vocabulary) = fields.and_then(|fields| Vocabulary::rest(fields).ok()) else {
        return (None, false);
    };
    let Some(mut own) = options.table("vocabulary") else { return (Some(vocabulary), false) };
    routes(&mut own, &mut vocabulary.routes);
    vocabulary.items = own.text("items").unwrap_or(vocabulary.items);
    vocabulary.next = own.text("next").unwrap_or(vocabulary.next);
    if own.has("field") {
        let fields = fields_of(&mut own, &vocabulary.fields);
        vocabulary.fields = fields.unwrap_or(vocabulary.fields);
    }
    if own.has("error") {
        vocabulary.errors = own.tables("error").into_iter().filter_map(error).collect();
    }
    own.finish();
    (Some(vocabulary), true)
}

/// The requests that are other than the REST dialect's. `link = ""` says that there is none.
fn routes(options: &mut Options<'_>, routes: &mut Routes) {
    for (name, known, needed) in Routes::NAMES {
        let Some(text) = options.text(name) else { continue };
        match (name, text.as_str()) {
            ("link", "") => routes.link = None,
            ("unlink", "") => routes.unlink = None,
            _ => match (Template::parse(&text, known, needed), routes.get_mut(name)) {
                (Ok(template), Some(route)) => *route = template,
                (Err(why), _) => options.problem(name, format!("`{name}` {why}")),
                (Ok(_), None) => {}
            },
        }
    }
}

/// The rows of the service's document: each stands for a field of the REST dialect, in the same spelling.
fn fields_of(options: &mut Options<'_>, rest: &FieldTable) -> Option<FieldTable> {
    let mut rows = Vec::new();
    for mut row in options.tables("field") {
        let (path, stands_for) = (row.required_text("path"), row.required_text("rest"));
        let is_read_only = row.flag("read_only", false);
        let known = stands_for.and_then(|pointer| {
            let known = rest.row(&pointer);
            if known.is_none() {
                row.problem("rest", format!("`{pointer}` is no field of the REST dialect's document"));
            }
            known
        });
        if let (Some(path), Some(known)) = (path, known) {
            let access = if is_read_only { Access::ReadOnly } else { known.access };
            rows.push(Field { wire: path.into(), attr: known.attr, codec: known.codec, access });
        }
        row.finish();
    }
    if !rows.iter().any(|row| row.attr == Attr::Id) {
        options.problem("field", "one `[[store.upstream.vocabulary.field]]` must stand for `/id`");
    }
    let table = FieldTable::build(rows, Clear::Null, ReadOnly::Ignore);
    table.map_err(|why| options.problem("field", why.to_string())).ok()
}

fn error(mut row: Options<'_>) -> Option<ErrorRow> {
    let status = row.integer("status", STATUS).and_then(|status| u16::try_from(status).ok());
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    if status.is_none() && !row.has("status") {
        row.problem_at(row.span(), "`status` is missing");
    }
    let member = row.text("member").zip(row.text("text"));
    let meaning = row.choice("means", &Meaning::NAMES, Meaning::Unknown);
    row.finish();
    Some(ErrorRow { status: status?, member, meaning })
}
