//! What a dialect is: a grammar (code) over a vocabulary (a table).
//!
//! Architecture invariant: a dialect is a pure function. Nothing here is `async`, reads a clock, a
//! socket or a file, or writes a log.

mod answer;
mod codec;
mod common;
mod dialect;
mod express;
mod field;
pub mod json;
mod media;
mod options;
mod paper;
mod route;
pub mod schema;
mod table;
mod vocabulary;

pub use answer::{Answer, Hygiene};
pub use codec::{
    CANADIAN_OR_OTHER_POSTAL_CODE, COUNTRY, Codec, DateForm, Day, EMAIL, EXTERNAL_ID, FLAG, ID, ISO_DATE,
    LOCALE, SECONDS, TEXT, TIME_ZONE, URL, read_birth_date, read_checked, read_nothing, text, write_date,
    write_text,
};
pub use common::{DOCUMENT, FREE_TEXT, GENDER, LINES, milliseconds, object, read_degrees, write_degrees};
pub use dialect::{
    Decoded, Dialect, Form, KeyForm, Naming, Occasion, Request, Ruling, Site, UnknownFields, refused_names,
};
pub use express::{Expressed, Expression};
pub use field::{Access, Clear, Field, Mode, ReadOnly, Unset, field};
pub use json::Json;
pub use media::{json_body, one_of};
pub use options::{Entry, OptionProblem, OptionValue, Options, Secret, SecretSource, Span, closest};
pub use paper::{Body, Description, Named, Paper, Parameter, bad, filled};
pub use route::{Action, Resolution, Route, Target, Verb, allow, decode_segment, resolve, route};
pub use schema::{Schema, Side};
pub use table::{FieldTable, Reading, TableError};
pub use vocabulary::value_of;
