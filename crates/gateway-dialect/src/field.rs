//! One row of a vocabulary: where an attribute stands on the wire, how it is spelt, who may write it.

use std::borrow::Cow;

use gateway_core::Attr;

use crate::{Codec, Json};

/// Who may write a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Must be given on create, and cannot be cleared.
    Required,
    /// May be given, and cleared.
    Optional,
    /// May be given, but not cleared.
    Kept,
    /// Must be given on create, and never again.
    CreateOnly,
    /// May be given on create, and never again.
    Initial,
    /// Answered, not written.
    ReadOnly,
    /// May be given, but not cleared; never answered.
    WriteOnly,
}

/// What spells "clear" (section E.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clear {
    /// `null`.
    Null,
    /// `""`.
    Empty,
    /// Either.
    NullOrEmpty,
    /// `null`; `""` as well where the field is free text.
    NullOrEmptyText,
}

impl Clear {
    pub(crate) fn by_null(self) -> bool {
        !matches!(self, Self::Empty)
    }

    pub(crate) fn is_spelt(self, json: &Json<'_>, codec: &Codec) -> bool {
        match json {
            Json::Null => self.by_null(),
            Json::Text(text) if text.is_empty() => match self {
                Self::Null => false,
                Self::Empty | Self::NullOrEmpty => true,
                Self::NullOrEmptyText => codec.is_free_text,
            },
            _ => false,
        }
    }
}

/// What a read-only name in a request body does (decision 8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadOnly {
    /// It is an error of the field.
    Refuse,
    /// Nothing.
    Ignore,
}

/// What an unset attribute looks like in an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unset {
    /// It is left out, and so is an object with nothing in it.
    Omit,
    /// It is `null`.
    Null,
}

/// What a body is read for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// A whole user.
    Create,
    /// Some of its fields.
    Update,
}

/// One row of a vocabulary.
#[derive(Clone, Debug)]
pub struct Field {
    /// Where: a JSON pointer of one or two names.
    pub wire: Cow<'static, str>,
    /// What.
    pub attr: Attr,
    /// How it is spelt.
    pub codec: Codec,
    /// Who may write it.
    pub access: Access,
}

/// A row of a `const` table.
#[must_use]
pub const fn field(wire: &'static str, attr: Attr, codec: Codec, access: Access) -> Field {
    Field { wire: Cow::Borrowed(wire), attr, codec, access }
}

impl Field {
    /// The enclosing object, if any, and the member's own name.
    #[must_use]
    pub fn path(&self) -> (Option<&str>, &str) {
        let path = self.wire.strip_prefix('/').unwrap_or(&self.wire);
        path.split_once('/').map_or((None, path), |(group, name)| (Some(group), name))
    }

    /// True where [`Field::path`] is this name alone.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.wire.strip_prefix('/').unwrap_or(&self.wire) == name && !name.contains('/')
    }
}
