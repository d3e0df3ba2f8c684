//! The request bodies: an object on create, an array of patch operations on update.

use gateway_core::{
    Attr, Change, Creation, Error, ErrorKind, ExternalId, FieldError, Locator, Operation, Place, Problem,
    Status,
};
use gateway_dialect::{Access, Day, Decoded, Json, Mode, Reading, Site, UnknownFields, json, refused_names};

use crate::wire::TABLE;

/// What an operation without a readable path is said to name: its own member.
pub(crate) const PATH: &str = "path";

/// Reads a user to be made. A name that cannot be written goes before a value that is invalid, as
/// in an update.
pub(crate) fn create(site: &Site<'_>, body: &[u8]) -> Result<Decoded, Error> {
    let document = parse(body)?;
    if document.members().is_none() {
        return Err(ErrorKind::Malformed.into());
    }
    let Reading { changes, errors, unknown } = TABLE.read(&document, Mode::Create, site.today());
    let refused: Vec<FieldError> = refused_names(site, &unknown).into_iter().chain(errors).collect();
    if !refused.is_empty() {
        return Err(Error::invalid(refused));
    }
    let mut reading = Reading { changes, ..Reading::default() };
    let external_id = reading.take_text(Attr::ExternalId).and_then(|id| ExternalId::parse(&id));
    let creation = Creation {
        id: None,
        external_id,
        links: Vec::new(),
        status: Status::Active,
        changes: reading.changes,
    };
    Ok(Decoded { operation: Operation::Create(creation), unknown })
}

/// Reads an update (decision 38): what is not `replace` is dropped first, then each operation is
/// read by itself. What is wrong with one is told once the user is known to exist.
pub(crate) fn update(site: &Site<'_>, user: Locator, body: &[u8]) -> Result<Decoded, Error> {
    let document = parse(body)?;
    let Json::Array(elements) = &document else { return Err(ErrorKind::Malformed.into()) };
    let is_replace = |element: &&Json<'_>| element.get("op").and_then(Json::as_text) == Some("replace");
    let replaces: Vec<&Json<'_>> = elements.iter().filter(is_replace).collect();
    if replaces.is_empty() {
        return Err(ErrorKind::EmptyUpdate.into());
    }
    let mut patch = Patch::default();
    for replace in replaces {
        patch.read(replace, site.unknown_fields, site.today());
    }
    let deferred = patch.first_error();
    let changes = if deferred.is_some() { Vec::new() } else { patch.changes };
    Ok(Decoded { operation: Operation::Update { user, changes, deferred }, unknown: patch.unknown })
}

fn parse(body: &[u8]) -> Result<Json<'_>, Error> {
    // Why it is no JSON has no place in this dialect's errors.
    json::parse(body).or(Err(Error::new(ErrorKind::Malformed)))
}

/// Operations as they are read.
#[derive(Default)]
struct Patch {
    changes: Vec<Change>,
    bad_path: Option<FieldError>,
    bad_value: Option<FieldError>,
    unknown: Vec<String>,
}

impl Patch {
    /// Of two operations on one attribute the last counts, but both must be valid. A pointer has one
    /// spelling (RFC 6901, 3: `~` and `/` in a name are always escaped), so that paths are equal
    /// where their names are once decoded.
    fn read(&mut self, replace: &Json<'_>, unknown_fields: UnknownFields, today: Day) {
        let Some(path) = replace.get("path").and_then(Json::as_text) else {
            return self.refuse(PATH, Problem::Unknown);
        };
        let name = path.strip_prefix('/').unwrap_or(path);
        let row = match TABLE.row(path) {
            None if unknown_fields == UnknownFields::Ignore => return self.unknown.push(name.to_owned()),
            None => return self.refuse(name, Problem::Unknown),
            Some(row) if row.access == Access::CreateOnly => return self.refuse(name, Problem::ReadOnly),
            Some(row) => row,
        };
        let value = replace.get("value").ok_or(Problem::Required);
        match value.and_then(|value| TABLE.read_value(row, value, Mode::Update, today)) {
            Ok(change) => {
                self.changes.retain(|earlier| earlier.attr != change.attr);
                self.changes.push(change);
            }
            Err(problem) => {
                self.bad_value.get_or_insert(FieldError::attr(row.attr, problem));
            }
        }
    }

    fn refuse(&mut self, name: &str, problem: Problem) {
        self.bad_path.get_or_insert(FieldError { place: Place::Member(name.to_owned()), problem });
    }

    /// Any path that cannot be written goes before any invalid value.
    fn first_error(&mut self) -> Option<Error> {
        let field = self.bad_path.take().or(self.bad_value.take())?;
        Some(Error::invalid(vec![field]))
    }
}
