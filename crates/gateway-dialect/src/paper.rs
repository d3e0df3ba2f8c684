//! What a dialect says about a route that its tables do not: the envelopes around the vocabulary. The
//! OpenAPI documents are made of this, of the tables, and of answers that are rendered for them.

use gateway_core::{Error, FieldError, Place, Problem, User, View};
use serde_json::json;

use crate::{Route, Schema, Side, Site, UnknownFields, schema};

/// What a description is made for.
#[derive(Clone, Copy, Debug)]
pub struct Paper<'a> {
    /// The route.
    pub route: &'static Route,
    /// A mount like the one described, and the moment.
    pub site: &'a Site<'a>,
    /// The user of the examples.
    pub user: &'a User,
}

impl<'a> Paper<'a> {
    /// The user as the mount sees it.
    #[must_use]
    pub const fn view(&self) -> View<'a> {
        View { user: self.user, namespace: self.site.reach.namespace(), now: self.site.now }
    }

    /// What clients send, on this day.
    #[must_use]
    pub const fn sent(&self) -> Side {
        Side::Sent(self.site.today())
    }

    /// An object in a request with these members, of which only some are needed.
    #[must_use]
    pub fn envelope(&self, members: &[(&str, Schema)], required: &[&str]) -> Schema {
        let properties: serde_json::Map<_, _> =
            members.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
        let mut envelope = json!({"type": "object", "properties": properties, "required": required});
        if self.site.unknown_fields == UnknownFields::Reject {
            envelope["additionalProperties"] = false.into();
        }
        envelope
    }
}

/// A schema that has a name in the document.
pub type Named = (&'static str, Schema);

/// What a route takes and answers.
#[derive(Debug, Default)]
pub struct Description {
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// Its query parameters.
    pub query: Vec<Parameter>,
    /// What its bodies are, where it takes one: one for each kind of media type.
    pub bodies: Vec<Body>,
    /// True where a request may come without a body.
    pub body_is_optional: bool,
    /// The body of a successful answer, where it has one.
    pub answer: Option<Named>,
    /// The body of an error.
    pub error: Option<Named>,
    /// What else can go wrong, beside what can in every dialect.
    pub errors: Vec<Error>,
    /// Whether a replacement makes the user where there is none.
    pub creates: bool,
    /// The scopes that a token must have.
    pub scopes: Vec<&'static str>,
}

/// What a request body is.
#[derive(Clone, Debug)]
pub struct Body {
    /// Its media types.
    pub media_types: &'static [&'static str],
    /// What it is.
    pub schema: Named,
    /// One that is good.
    pub example: Schema,
}

/// A query parameter.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// Whether it must be there.
    pub is_required: bool,
    /// What it may be.
    pub schema: Schema,
    /// One that is good.
    pub example: Schema,
}

/// An error of one bad field, as a document shows it.
#[must_use]
pub fn bad(place: Place, problem: Problem) -> Error {
    Error::invalid(vec![FieldError { place, problem }])
}

/// A text that is there, and not too long.
#[must_use]
pub fn filled(most: u16) -> Schema {
    schema::with(json!({"type": "string", "minLength": 1}), "maxLength", most)
}
