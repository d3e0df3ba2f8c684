//! Field tables: a dialect's vocabulary. Reading, writing, error paths and documentation follow from
//! its rows.

use std::{borrow::Cow, fmt::Write as _};

use gateway_core::{Attr, Change, FieldError, Place, Problem, Value, View};

use crate::{Access, Clear, Codec, Day, Field, Json, Mode, ReadOnly, Unset};

/// A vocabulary: rows in the order in which they are answered.
#[derive(Clone, Debug)]
pub struct FieldTable {
    rows: Cow<'static, [Field]>,
    clear: Clear,
    read_only: ReadOnly,
}

/// Why rows built at run time are no table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TableError {
    /// A wire path that is not one or two names behind slashes.
    Path(String),
    /// A wire path that two rows have.
    DuplicatePath(String),
    /// An attribute that two rows have.
    DuplicateAttr(Attr),
}

impl std::fmt::Display for TableError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => write!(f, "`{path}` is not a JSON pointer of one or two names"),
            Self::DuplicatePath(path) => write!(f, "`{path}` is there twice"),
            Self::DuplicateAttr(attr) => write!(f, "{attr:?} is there twice"),
        }
    }
}

impl std::error::Error for TableError {}

/// What a body said.
#[derive(Debug, Default)]
pub struct Reading {
    /// The changes it asks for, in the order of the table.
    pub changes: Vec<Change>,
    /// Every bad field, in the order of the table.
    pub errors: Vec<FieldError>,
    /// Names that the table does not know, in the order of the body.
    pub unknown: Vec<String>,
}

impl Reading {
    /// Takes out the text given for an attribute that is no part of the profile.
    pub fn take_text(&mut self, attr: Attr) -> Option<String> {
        let at = self.changes.iter().position(|change| change.attr == attr)?;
        match self.changes.remove(at).value {
            Some(Value::Text(text)) => Some(text.into_owned()),
            _ => None,
        }
    }
}

impl FieldTable {
    /// A table of `const` rows; a repeated path or attribute does not compile.
    ///
    /// # Panics
    /// On a repeated path or attribute, and on a path that does not start with `/`; in a `const`
    /// that is at compile time.
    #[must_use]
    pub const fn new(rows: &'static [Field], clear: Clear, read_only: ReadOnly) -> Self {
        let mut i = 0;
        while i < rows.len() {
            let path = const_path(&rows[i]);
            assert!(!path.is_empty() && path.as_bytes()[0] == b'/', "a wire path starts with a slash");
            let mut j = 0;
            while j < i {
                let other = const_path(&rows[j]);
                assert!(!clash(path, other), "two rows have the same wire path");
                assert!(rows[i].attr as u8 != rows[j].attr as u8, "two rows have the same attribute");
                j += 1;
            }
            i += 1;
        }
        Self { rows: Cow::Borrowed(rows), clear, read_only }
    }

    /// A table of rows made at run time, under the same checks.
    ///
    /// # Errors
    /// The first row that is not like the others.
    pub fn build(rows: Vec<Field>, clear: Clear, read_only: ReadOnly) -> Result<Self, TableError> {
        for (i, row) in rows.iter().enumerate() {
            let names: Vec<&str> = row.wire.split('/').collect();
            if !matches!(names[..], ["", a] | ["", a, _] if !a.is_empty()) || row.path().1.is_empty() {
                return Err(TableError::Path(row.wire.to_string()));
            }
            if rows[..i].iter().any(|other| clash(&other.wire, &row.wire)) {
                return Err(TableError::DuplicatePath(row.wire.to_string()));
            }
            if rows[..i].iter().any(|other| other.attr == row.attr) {
                return Err(TableError::DuplicateAttr(row.attr));
            }
        }
        Ok(Self { rows: Cow::Owned(rows), clear, read_only })
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[Field] {
        &self.rows
    }

    /// What spells "clear".
    #[must_use]
    pub const fn clear(&self) -> Clear {
        self.clear
    }

    /// What a read-only name does.
    #[must_use]
    pub const fn read_only(&self) -> ReadOnly {
        self.read_only
    }

    /// The row at a wire path.
    #[must_use]
    pub fn row(&self, wire: &str) -> Option<&Field> {
        self.rows.iter().find(|row| row.wire == wire)
    }

    /// The wire path of an attribute.
    #[must_use]
    pub fn wire(&self, attr: Attr) -> Option<&str> {
        self.rows.iter().find(|row| row.attr == attr).map(|row| row.wire.as_ref())
    }

    /// Reads an object: all changes, all bad fields, all unknown names.
    #[must_use]
    pub fn read(&self, object: &Json<'_>, mode: Mode, today: Day) -> Reading {
        let mut reading = Reading::default();
        for row in self.rows.iter() {
            let (group, name) = row.path();
            let given = match group.map(|group| object.get(group)) {
                None => object.get(name),
                Some(Some(Json::Null)) if self.clear.by_null() => Some(&Json::Null),
                Some(inner) => inner.and_then(|inner| inner.get(name)),
            };
            match self.read_row(row, given, mode, today) {
                Ok(None) => {}
                Ok(Some(change)) => reading.changes.push(change),
                Err(problem) => reading.errors.push(FieldError::attr(row.attr, problem)),
            }
        }
        self.find_strangers(object, &mut reading);
        reading
    }

    fn read_row(
        &self,
        row: &Field,
        given: Option<&Json<'_>>,
        mode: Mode,
        today: Day,
    ) -> Result<Option<Change>, Problem> {
        let Some(json) = given else {
            let missing = mode == Mode::Create && matches!(row.access, Access::Required | Access::CreateOnly);
            return if missing { Err(Problem::Required) } else { Ok(None) };
        };
        if row.access == Access::ReadOnly && self.read_only == ReadOnly::Ignore {
            return Ok(None);
        }
        self.read_value(row, json, mode, today).map(Some)
    }

    /// Reads the value given for a row.
    ///
    /// # Errors
    /// What is wrong with it, or with writing it at all.
    pub fn read_value(
        &self,
        row: &Field,
        json: &Json<'_>,
        mode: Mode,
        today: Day,
    ) -> Result<Change, Problem> {
        match (row.access, mode) {
            (Access::ReadOnly, _) | (Access::CreateOnly | Access::Initial, Mode::Update) => {
                Err(Problem::ReadOnly)
            }
            (Access::Optional, _) if self.clear.is_spelt(json, &row.codec) => Ok(Change::clear(row.attr)),
            _ if *json == Json::Null => Err(Problem::NotClearable),
            _ => row.codec.read(json, today).map(|value| Change::set(row.attr, value)),
        }
    }

    /// Unknown names, and groups that are no objects.
    fn find_strangers(&self, object: &Json<'_>, reading: &mut Reading) {
        for (name, value) in object.members().unwrap_or_default() {
            if self.rows.iter().any(|row| row.is_named(name)) {
                continue;
            }
            if !self.rows.iter().any(|row| row.path().0 == Some(name)) {
                reading.unknown.push(name.to_string());
                continue;
            }
            match value {
                Json::Object(inner) => {
                    let known =
                        |leaf: &str| self.rows.iter().any(|row| row.path() == (Some(name.as_ref()), leaf));
                    reading.unknown.extend(
                        inner.iter().filter(|(leaf, _)| !known(leaf)).map(|(leaf, _)| leaf.to_string()),
                    );
                }
                Json::Null if self.clear.by_null() => {}
                _ => reading
                    .errors
                    .push(FieldError { place: Place::Member(name.to_string()), problem: Problem::NotObject }),
            }
        }
    }

    /// Writes a user as an object, in the order of the table.
    #[must_use]
    pub fn write<'a>(&'a self, view: &View<'a>, unset: Unset) -> Json<'a> {
        let mut members: Vec<(Cow<'a, str>, Json<'a>)> = Vec::with_capacity(self.rows.len());
        for row in self.rows.iter().filter(|row| row.access != Access::WriteOnly) {
            let json = match (view.get(row.attr), unset) {
                (Some(value), _) => row.codec.write(&value),
                (None, Unset::Null) => Json::Null,
                (None, Unset::Omit) => continue,
            };
            place(&mut members, row, json);
        }
        Json::Object(members)
    }

    /// An object of these values of rows, in their order.
    #[must_use]
    pub fn object<'a>(&'a self, values: impl Iterator<Item = (&'a Field, Json<'static>)>) -> Json<'static> {
        let mut members = Vec::new();
        for (row, json) in values {
            place(&mut members, row, json);
        }
        Json::Object(members).into_owned()
    }

    /// The table as Markdown, for the dialect's README.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text =
            String::from("| field | form | length | access | attribute |\n|---|---|---|---|---|\n");
        for row in self.rows.iter() {
            let (group, name) = row.path();
            let path = group.map_or_else(|| name.to_owned(), |group| format!("{group}.{name}"));
            let Codec { form, min, max, .. } = row.codec;
            let access = match row.access {
                Access::Required => "required on create",
                Access::Optional => "optional, can be cleared",
                Access::Kept => "optional",
                Access::CreateOnly => "on create only",
                Access::Initial => "on create only, optional",
                Access::ReadOnly => "read-only",
                Access::WriteOnly => "write-only",
            };
            let length = if matches!(form, "text" | "postal code" | "id") {
                format!("{min} to {max}")
            } else {
                String::new()
            };
            // Writing to a String cannot fail.
            let _infallible = writeln!(text, "| `{path}` | {form} | {length} | {access} | {:?} |", row.attr);
        }
        text
    }
}

fn place<'a>(members: &mut Vec<(Cow<'a, str>, Json<'a>)>, row: &'a Field, json: Json<'a>) {
    let (group, name) = row.path();
    let member = (Cow::Borrowed(name), json);
    let Some(group) = group else { return members.push(member) };
    match members.iter_mut().find(|(name, _)| name == group) {
        Some((_, Json::Object(inner))) => inner.push(member),
        _ => members.push((Cow::Borrowed(group), Json::Object(vec![member]))),
    }
}

const fn const_path(row: &Field) -> &str {
    match &row.wire {
        Cow::Borrowed(path) => path,
        Cow::Owned(_) => "",
    }
}

/// True for equal paths, and where one is the object that the other stands in.
const fn clash(a: &str, b: &str) -> bool {
    let (long, short) =
        if a.len() < b.len() { (b.as_bytes(), a.as_bytes()) } else { (a.as_bytes(), b.as_bytes()) };
    let mut i = 0;
    while i < short.len() {
        if long[i] != short[i] {
            return false;
        }
        i += 1;
    }
    long.len() == short.len() || long[i] == b'/'
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EMAIL, FLAG, ID, TEXT, field, json};
    use gateway_core::{Status, Timestamp, User, UserId};
    use time::macros::{date, utc_datetime};

    const NOW: Timestamp = utc_datetime!(2026-03-01 12:00);
    const ROWS: &[Field] = &[
        field("/id", Attr::Id, ID, Access::ReadOnly),
        field("/mail", Attr::Email, EMAIL, Access::Required),
        field("/place/town", Attr::City, TEXT.chars(1, 5), Access::Optional),
        field("/place/line", Attr::AddressLine2, TEXT, Access::Kept),
        field("/ciro", Attr::CiroAffiliate, FLAG, Access::Optional),
    ];

    fn tables() -> [FieldTable; 2] {
        const TABLE: FieldTable = FieldTable::new(ROWS, Clear::NullOrEmpty, ReadOnly::Refuse);
        [TABLE, FieldTable::build(ROWS.to_vec(), Clear::NullOrEmpty, ReadOnly::Refuse).unwrap()]
    }

    fn read(table: &FieldTable, body: &str, mode: Mode) -> Reading {
        table.read(&json::parse(body.as_bytes()).unwrap(), mode, date!(2026 - 03 - 01))
    }

    #[test]
    fn all_errors_at_once_in_the_order_of_the_table() {
        for table in tables() {
            let body = r#"{"zap":1,"ciro":"x","place":{"town":"Toronto","x":1,"line":null},"id":"y"}"#;
            let reading = read(&table, body, Mode::Create);
            let found: Vec<_> =
                reading.errors.iter().map(|error| (error.place.clone(), error.problem)).collect();
            let expected = [
                (Attr::Id, Problem::ReadOnly),
                (Attr::Email, Problem::Required),
                (Attr::City, Problem::Length { min: 1, max: 5 }),
                (Attr::AddressLine2, Problem::NotClearable),
                (Attr::CiroAffiliate, Problem::NotFlag),
            ];
            assert_eq!(found, expected.map(|(attr, problem)| (Place::Attr(attr), problem)));
            assert_eq!(reading.unknown, ["zap", "x"]);
        }
    }

    #[test]
    fn a_group_that_is_no_object_is_an_error_and_null_clears_its_optional_fields() {
        for table in tables() {
            let reading = read(&table, r#"{"place":7}"#, Mode::Update);
            assert_eq!(
                reading.errors,
                [FieldError { place: Place::Member("place".into()), problem: Problem::NotObject }]
            );
            let reading = read(&table, r#"{"place":null}"#, Mode::Update);
            assert_eq!(reading.changes, [Change::clear(Attr::City)]);
        }
    }

    #[test]
    fn an_absent_field_is_kept_and_a_given_one_reads_back() {
        for table in tables() {
            let body = r#"{"mail":"a@b.co","place":{"town":"Ghent"},"ciro":false}"#;
            let reading = read(&table, body, Mode::Update);
            let mut user = User::new(UserId::from_bytes([1; 16]), Status::Active, NOW);
            user.profile.apply(&reading.changes);
            let view = View { user: &user, namespace: None, now: NOW };
            let omitted = serde_json::to_string(&table.write(&view, Unset::Omit)).unwrap();
            assert_eq!(
                omitted,
                r#"{"id":"01010101-0101-0101-0101-010101010101","mail":"a@b.co","place":{"town":"Ghent"},"ciro":false}"#
            );
            let all = serde_json::to_string(&table.write(&view, Unset::Null)).unwrap();
            assert!(all.contains(r#""place":{"town":"Ghent","line":null}"#), "{all}");
            let cleared = read(&table, r#"{"place":{"town":""}}"#, Mode::Update);
            user.profile.apply(&cleared.changes);
            assert_eq!(user.profile.get(Attr::City), None);
        }
    }

    #[test]
    fn a_table_with_a_repeat_is_none() {
        let build =
            |rows: &[Field]| FieldTable::build(rows.to_vec(), Clear::Null, ReadOnly::Refuse).unwrap_err();
        let a = field("/a", Attr::City, TEXT, Access::Optional);
        assert_eq!(
            build(&[a.clone(), field("/a", Attr::Email, TEXT, Access::Optional)]),
            TableError::DuplicatePath("/a".into())
        );
        assert_eq!(
            build(&[a.clone(), field("/a/b", Attr::Email, TEXT, Access::Optional)]),
            TableError::DuplicatePath("/a/b".into())
        );
        assert_eq!(
            build(&[a, field("/b", Attr::City, TEXT, Access::Optional)]),
            TableError::DuplicateAttr(Attr::City)
        );
        for path in ["", "a", "/", "/a/", "//a", "/a/b/c"] {
            assert_eq!(
                build(&[field(path, Attr::City, TEXT, Access::Optional)]),
                TableError::Path(path.into()),
                "{path}"
            );
        }
        assert!(!clash("/ab", "/a") && clash("/a", "/a/b") && clash("/a", "/a"));
    }
}
