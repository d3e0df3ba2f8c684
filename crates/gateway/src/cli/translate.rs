//! `interlingua translate`: an update in one dialect, said in another. No server needed.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
};

use clap::Args;
use gateway_core::{
    Attr, Caller, Change, Error, Namespace, Operation, Place, Reach, Status, Timestamp, User, UserId, Value,
};
use gateway_dialect::{Action, Dialect, Form, Naming, Request, Site, Target, UnknownFields};
use http::HeaderMap;

use crate::{demo, registry::DIALECTS};

/// What to translate.
#[derive(Args, Clone, Debug)]
pub struct Order {
    /// The dialect that the body is in
    #[arg(long, value_name = "DIALECT")]
    pub from: String,
    /// The dialect to say it in
    #[arg(long, value_name = "DIALECT")]
    pub to: String,
    /// The body of an update; standard input when absent
    pub file: Option<PathBuf>,
}

/// The canonical changes, the body in the other dialect, and what it cannot say.
///
/// # Errors
/// A sentence: no such dialect, no such file, or what is wrong with the body.
pub fn translate(order: &Order, now: Timestamp) -> Result<String, String> {
    let (from, to) = (dialect(&order.from)?, dialect(&order.to)?);
    let body = match &order.file {
        Some(path) => fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?,
        None => {
            let mut body = Vec::new();
            io::stdin().read_to_end(&mut body).map_err(|error| format!("standard input: {error}"))?;
            body
        }
    };
    let changes = decode(&*from, &body, now)?;
    let mut text = String::from("canonical changes:\n");
    for change in &changes {
        let value = match &change.value {
            None => "cleared".to_owned(),
            // Not for a console (decision 29).
            Some(_) if change.attr == Attr::SecureMetadata => "(secret)".to_owned(),
            Some(value) => shown(value),
        };
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "  {:?}: {value}", change.attr);
    }
    let expression = to.fields().express(&changes);
    let body = to.compose(&expression.fields, demo::USER);
    let _infallible = write!(text, "as {}:\n{}", to.name(), String::from_utf8_lossy(&body));
    for attr in &expression.lost {
        let _infallible = write!(text, "\n{} cannot express {attr:?}", to.name());
    }
    Ok(text)
}

fn decode(dialect: &dyn Dialect, body: &[u8], now: Timestamp) -> Result<Vec<Change>, String> {
    let update = dialect.routes().iter().find(|route| route.action == Action::Update);
    let route = update.ok_or_else(|| format!("{} has no updates", dialect.name()))?;
    // Whom the update is for does not matter, but some bodies name the user of their path.
    let parameters = match dialect.naming() {
        Naming::InPath(_) => [Some(demo::PROJECT), Some(demo::EXTERNAL_ID), None],
        Naming::External => [Some(demo::EXTERNAL_ID), None, None],
        Naming::Canonical => [Some(named(body).unwrap_or(demo::USER)), None, None],
    };
    let reach = Namespace::parse(demo::PROJECT).map_or(Reach::All, Reach::Namespace);
    let site = Site {
        reach: &reach,
        unknown_fields: UnknownFields::Ignore,
        base: "",
        now,
        request_id: "",
        form: Form::Document,
    };
    let target = Target::new(route, parameters);
    let request = Request { target, query: None, headers: &HeaderMap::new(), body };
    let caller = Caller { namespace: Namespace::parse(demo::PROJECT), ..Caller::client("translate") };
    let decoded = dialect.decode(&site, &caller, &request).map_err(|error| explain(dialect, &error))?;
    match decoded.operation {
        Operation::Update { deferred: Some(error), .. } => Err(explain(dialect, &error)),
        Operation::Update { changes, .. } => Ok(changes),
        Operation::Revise(_) => revised(dialect, &site, &request).map_err(|error| explain(dialect, &error)),
        _ => Err(format!("this is no update of {}", dialect.name())),
    }
}

/// The changes of a patch of a document: what it sets shows on a user without anything, and what it clears
/// on one that has everything.
///
/// # Errors
/// What is wrong with the patch.
pub fn revised(dialect: &dyn Dialect, site: &Site<'_>, request: &Request<'_>) -> Result<Vec<Change>, Error> {
    let blank = User::new(UserId::from_bytes([0; 16]), Status::Active, site.now);
    let mut full = demo::everything(site.now);
    let mut changes = dialect.revise(site, request, &blank)?;
    full.apply(&changes);
    let cleared = dialect.revise(site, request, &full)?;
    changes.extend(cleared.into_iter().filter(|change| change.value.is_none()));
    Ok(changes)
}

/// The id that a body names, as some do beside their path.
fn named(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?;
    let at = text.find("\"id\"")?;
    text.get(at + 4..)?.split('"').nth(1).filter(|id| gateway_core::UserId::parse(id).is_some())
}

fn explain(dialect: &dyn Dialect, error: &Error) -> String {
    let mut text = format!("this is no update of {}: {}", dialect.name(), error.kind.as_str());
    if let Some(message) = &error.message {
        let _infallible = write!(text, ": {message}");
    }
    for field in &error.fields {
        let place = match &field.place {
            Place::Attr(attr) => dialect.fields().wire(*attr).unwrap_or_default().to_owned(),
            Place::Header(name) => (*name).to_owned(),
            Place::Parameter(name) => name.clone().into_owned(),
            Place::Member(name) => name.clone(),
        };
        let _infallible = write!(text, "\n  {place}: {}", field.problem);
    }
    text
}

fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Flag(flag) => flag.to_string(),
        Value::Date(date) => date.to_string(),
        Value::Instant(instant) => instant.to_string(),
        Value::Point(point) => format!("{} E, {} N", point.longitude, point.latitude),
        Value::Document(json) => json.to_string(),
        Value::Suspensions(list) => format!("{} suspensions", list.len()),
        Value::Links(list) => format!("{} links", list.len()),
    }
}

/// A dialect with its default options.
fn dialect(name: &str) -> Result<Arc<dyn Dialect>, String> {
    let row = DIALECTS.iter().find(|row| row.name == name);
    let known = || DIALECTS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
    let row = row.ok_or_else(|| format!("there is no dialect `{name}`; there are: {}", known()))?;
    Ok(row.with_defaults())
}
