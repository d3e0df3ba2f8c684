//! What can go wrong on a route: every error that a mount can answer there.

use gateway_auth::Manner;
use gateway_core::{Attr, Error, ErrorKind, Place, Problem};
use gateway_dialect::{Access, Action, Description, KeyForm, Route, Verb, bad};
use http::HeaderMap;

use crate::config::MountConfig;

/// The errors, the most common first.
pub(super) fn of(mount: &MountConfig, route: &Route, description: Description) -> Vec<Error> {
    let mut errors = credentials(mount, route);
    if takes_body(route) {
        errors.extend(
            [ErrorKind::Malformed, ErrorKind::TooLarge, ErrorKind::Timeout, ErrorKind::UnsupportedMediaType]
                .map(Error::from),
        );
    }
    errors.push(Error::new(ErrorKind::Malformed).message("Content-Digest does not match the body"));
    errors.extend(description.errors);
    if route.template.contains('{') {
        errors.push(ErrorKind::NotFound.into());
    }
    if names_user(route) {
        errors.push(ErrorKind::PreconditionFailed.into());
    }
    if makes(route, description.creates) {
        errors.push(ErrorKind::AlreadyExists.into());
    }
    if writes_username(mount, route) {
        errors.push(ErrorKind::UsernameTaken.into());
    }
    if route.action == Action::Update && mount.webhook.is_some() {
        errors.extend([ErrorKind::Vetoed, ErrorKind::ValidatorFailed].map(Error::from));
    }
    if route.action.writes() {
        errors.extend(keys(mount));
        errors.push(Error::new(ErrorKind::UnknownOutcome).retry_after(1));
    }
    errors.push(Error::new(ErrorKind::RateLimited).retry_after(1));
    errors.push(Error::new(ErrorKind::Unavailable).retry_after(1));
    errors.push(ErrorKind::Internal.into());
    errors
}

fn credentials(mount: &MountConfig, route: &Route) -> Vec<Error> {
    let mut kinds = vec![ErrorKind::BadCredential];
    if is_needed(mount, route) {
        kinds.insert(0, ErrorKind::MissingCredential);
    }
    if matches!(mount.authenticator.manner(), Manner::Bearer { needs_linked_identity: true, .. }) {
        kinds.push(ErrorKind::LinkedIdentityMissing);
    }
    kinds.into_iter().map(Error::from).collect()
}

/// Whether a route needs a credential.
pub(super) fn is_needed(mount: &MountConfig, route: &Route) -> bool {
    mount.authenticator.precheck(&HeaderMap::new(), route.verb == Verb::Get).is_err()
}

fn keys(mount: &MountConfig) -> [Error; 3] {
    let problem = match mount.dialect.key_form() {
        KeyForm::Uuid => Problem::Uuid,
        KeyForm::Text => Problem::NotText,
    };
    [
        bad(Place::Header("Idempotency-Key"), problem),
        ErrorKind::KeyReused.into(),
        Error::new(ErrorKind::KeyInFlight).retry_after(1),
    ]
}

/// Whether a request has a body that counts.
pub(super) const fn takes_body(route: &Route) -> bool {
    route.verb.has_body() && !matches!(route.action, Action::Link | Action::Unlink)
}

/// Whether a route is about one user that may be there already, so that entity tags can be demanded.
pub(super) const fn names_user(route: &Route) -> bool {
    !matches!(route.action, Action::Create | Action::CheckUsername | Action::Suggest | Action::List)
}

/// Whether a route makes a user.
pub(super) fn makes(route: &Route, creates: bool) -> bool {
    match route.action {
        Action::Create | Action::ReadOrCreate => true,
        Action::Replace => creates,
        _ => false,
    }
}

fn writes_username(mount: &MountConfig, route: &Route) -> bool {
    let writable = mount
        .dialect
        .fields()
        .rows()
        .iter()
        .any(|row| row.attr == Attr::Username && row.access != Access::ReadOnly);
    let writes = matches!(
        route.action,
        Action::Create | Action::Update | Action::Replace | Action::ReadOrCreate | Action::Link
    );
    writable && writes
}
