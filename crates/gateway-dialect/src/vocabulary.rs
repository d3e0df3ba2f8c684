//! Field tables as JSON Schema: what may be sent, and what is answered.

use gateway_core::{Attr, View};
use serde_json::{Map, json};

use crate::{
    Access, Clear, Field, FieldTable, Json, Mode, ReadOnly, Schema, Side, UnknownFields, Unset,
    schema::{nullable, with},
};

impl FieldTable {
    /// What a client may send.
    #[must_use]
    pub fn sent(&self, mode: Mode, unknown: UnknownFields, side: Side) -> Schema {
        let mut object = Object::default();
        for row in self.rows() {
            match self.sent_value(row, mode, side) {
                Some(schema) => object.put(row, described(schema, row), needs(row, mode)),
                None if self.ignores_read_only() => object.put(row, anything(row), false),
                // Where unknown names are refused, so is this one, by not being there.
                None if unknown == UnknownFields::Ignore => object.put(row, json!({"not": {}}), false),
                None => {}
            }
        }
        let groups_clear = self.clears_by_null();
        object.finish(unknown == UnknownFields::Reject, groups_clear)
    }

    /// What a client may send for a row; `None` where it may not write it.
    #[must_use]
    pub fn sent_value(&self, row: &Field, mode: Mode, side: Side) -> Option<Schema> {
        let schema = row.codec.schema(side);
        match (row.access, mode) {
            (Access::ReadOnly, _) | (Access::CreateOnly | Access::Initial, Mode::Update) => None,
            (Access::Optional, _) => Some(self.clearable(row, schema)),
            _ => Some(schema),
        }
    }

    /// A schema with what clears.
    fn clearable(&self, row: &Field, schema: Schema) -> Schema {
        let by_empty = match self.clear() {
            Clear::Null => false,
            Clear::Empty | Clear::NullOrEmpty => true,
            Clear::NullOrEmptyText => row.codec.is_free_text,
        };
        let schema = if by_empty { or_empty(schema) } else { schema };
        match (self.clears_by_null(), schema.get("anyOf").and_then(Schema::as_array)) {
            (false, _) => schema,
            (true, Some(ways)) => {
                let mut ways = ways.clone();
                ways.push(json!({"type": "null", "description": "Clears it."}));
                json!({"anyOf": ways})
            }
            (true, None) => nullable(schema),
        }
    }

    /// What a client is answered, with every member that is always there required.
    #[must_use]
    pub fn answered(&self, unset: Unset) -> Schema {
        let mut object = Object::default();
        for row in self.rows().iter().filter(|row| row.access != Access::WriteOnly) {
            let schema = row.codec.schema(Side::Answered);
            let (schema, is_there) = match (is_always_set(row.attr), unset) {
                (true, _) => (schema, true),
                (false, Unset::Null) => (nullable(schema), true),
                (false, Unset::Omit) => (schema, false),
            };
            object.put(row, described(schema, row), is_there);
        }
        object.finish(true, false)
    }

    /// What a client could send to make this user, where it may write it.
    #[must_use]
    pub fn example(&self, view: &View<'_>, mode: Mode) -> Schema {
        let mut object = Map::new();
        let writable = |row: &&Field| match row.access {
            Access::ReadOnly => false,
            Access::CreateOnly | Access::Initial => mode == Mode::Create,
            _ => true,
        };
        for row in self.rows().iter().filter(writable) {
            let Some(value) = view.get(row.attr) else { continue };
            let json = value_of(&row.codec.write(&value));
            match row.path() {
                (None, name) => object.insert(name.to_owned(), json),
                (Some(group), name) => {
                    let inner = object.entry(group).or_insert_with(|| json!({}));
                    inner[name] = json;
                    None
                }
            };
        }
        Schema::Object(object)
    }

    fn clears_by_null(&self) -> bool {
        self.clear().by_null()
    }

    fn ignores_read_only(&self) -> bool {
        self.read_only() == ReadOnly::Ignore
    }
}

/// A schema, or empty text.
fn or_empty(mut schema: Schema) -> Schema {
    let is_short = schema["minLength"].as_u64().is_some_and(|min| min <= 1);
    match (schema["pattern"].as_str().map(|pattern| format!("^$|{pattern}")), schema.as_object_mut()) {
        (Some(pattern), Some(words)) if is_short => {
            words.shift_remove("minLength");
            with(schema, "pattern", pattern)
        }
        _ => json!({"anyOf": [schema, {"const": "", "description": "Clears it."}]}),
    }
}

/// The same value, in the words of `serde_json`.
#[must_use]
pub fn value_of(json: &Json<'_>) -> Schema {
    serde_json::to_value(json).unwrap_or_default()
}

fn needs(row: &Field, mode: Mode) -> bool {
    mode == Mode::Create && matches!(row.access, Access::Required | Access::CreateOnly)
}

/// What every user has.
const fn is_always_set(attr: Attr) -> bool {
    matches!(
        attr,
        Attr::Id
            | Attr::ExternalId
            | Attr::Status
            | Attr::Standing
            | Attr::AllSuspensions
            | Attr::Links
            | Attr::CreatedAt
            | Attr::UpdatedAt
    )
}

fn anything(row: &Field) -> Schema {
    json!({"description": format!("Ignored: {} is read-only.", row.path().1)})
}

fn described(mut schema: Schema, row: &Field) -> Schema {
    let access = match row.access {
        Access::Required => "Required on create.",
        Access::Optional => "Optional; can be cleared.",
        Access::Kept => "Optional.",
        Access::CreateOnly | Access::Initial => "On create only.",
        Access::ReadOnly => "Read-only.",
        Access::WriteOnly => "Write-only.",
    };
    let mut form = row.codec.form.chars();
    let form: String =
        form.next().map(|first| first.to_uppercase().chain(form).collect()).unwrap_or_default();
    schema["description"] = format!("{form}. {access}").into();
    schema
}

/// An object, and the objects in it, as they grow row by row.
#[derive(Default)]
struct Object {
    members: Map<String, Schema>,
    required: Vec<String>,
    groups: Vec<(String, Object)>,
}

impl Object {
    fn put(&mut self, row: &Field, schema: Schema, is_required: bool) {
        let (group, name) = row.path();
        let Some(group) = group else { return self.put_member(name, schema, is_required) };
        if !self.groups.iter().any(|(known, _)| known == group) {
            // Keeps its place among the members.
            self.members.insert(group.to_owned(), Schema::Null);
            self.groups.push((group.to_owned(), Self::default()));
        }
        if let Some((_, inner)) = self.groups.iter_mut().find(|(known, _)| known == group) {
            inner.put_member(name, schema, is_required);
        }
    }

    fn put_member(&mut self, name: &str, schema: Schema, is_required: bool) {
        self.members.insert(name.to_owned(), schema);
        if is_required {
            self.required.push(name.to_owned());
        }
    }

    fn finish(mut self, is_closed: bool, groups_clear: bool) -> Schema {
        for (name, inner) in self.groups {
            let needed = !inner.required.is_empty();
            let schema = inner.into_schema(is_closed);
            if needed {
                self.required.push(name.clone());
            }
            let schema = if groups_clear && !needed { nullable(schema) } else { schema };
            self.members.insert(name, schema);
        }
        Self { groups: Vec::new(), ..self }.into_schema(is_closed)
    }

    fn into_schema(self, is_closed: bool) -> Schema {
        let mut schema = json!({"type": "object", "properties": self.members});
        if !self.required.is_empty() {
            schema["required"] = json!(self.required);
        }
        if is_closed {
            schema["additionalProperties"] = false.into();
        }
        schema
    }
}
