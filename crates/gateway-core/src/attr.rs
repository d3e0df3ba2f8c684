//! The attributes of a user, the shapes of their values, and a change to one of them.

use std::borrow::Cow;

use crate::{Date, Link, Timestamp, user::Suspension};

/// One attribute of the canonical user (section E.1 of the wire reference).
///
/// Some are *views*: another form of what is stored (`Name` of `DisplayName`, `Language` of
/// `Locale`, `Zip` and `Zip4` of `PostalCode`, the two forms of an address line, `BirthInstant` of
/// `BirthDate`). A view is written through: see [`Profile::apply`](crate::Profile::apply).
/// The discriminants are part of the stored record: never renumber one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Attr {
    /// Text without case-insensitive twins in any namespace the user is linked in.
    Username = 1,
    /// Text. Independent of given and family name (E.3, 1).
    DisplayName = 2,
    /// Text.
    GivenName = 3,
    /// Text.
    FamilyName = 4,
    /// Text; not unique.
    Email = 5,
    /// Text.
    Phone = 6,
    /// Text: an absolute http(s) URL.
    AvatarUrl = 7,
    /// Text.
    Bio = 8,
    /// Text: `male`, `female` or `other`.
    Gender = 9,
    /// Date.
    BirthDate = 10,
    /// Instant whose UTC date is the birth date; kept until the date is changed elsewhere.
    BirthInstant = 11,
    /// Text: street and number in one line.
    AddressLine1 = 12,
    /// Text.
    AddressLine2 = 13,
    /// Text: the street of the address line.
    Street = 14,
    /// Text: the number of the address line.
    HouseNumber = 15,
    /// Text.
    City = 16,
    /// Text: the suffix of an ISO 3166-2 code.
    Region = 17,
    /// Text: the full postal code, US ZIP+4 as `43551-9331`.
    PostalCode = 18,
    /// Text: ISO 3166-1 alpha-2, upper case.
    Country = 19,
    /// Point.
    Geo = 20,
    /// Text: a BCP 47 tag.
    Locale = 21,
    /// Text: a name of the tz database.
    TimeZone = 22,
    /// Text.
    Occupation = 23,
    /// Flag.
    CiroAffiliate = 24,
    /// Document.
    Metadata = 25,
    /// Document; written, never shown.
    SecureMetadata = 26,

    /// View: the display name, else "given family".
    Name = 64,
    /// View of the locale: its primary subtag in upper case.
    Language = 65,
    /// View of the postal code: without the US +4 part.
    Zip = 66,
    /// View of the postal code: the US +4 part.
    Zip4 = 67,

    /// Read-only: the canonical id, as text.
    Id = 96,
    /// The external id in the namespace looked from, as text. Given at creation only.
    ExternalId = 97,
    /// Text of the account status.
    Status = 98,
    /// The suspensions active now.
    Suspensions = 99,
    /// Read-only: instant.
    CreatedAt = 100,
    /// Read-only: instant.
    UpdatedAt = 101,
    /// Text of the standing: the account status, or that it is suspended now.
    Standing = 102,
    /// All suspensions, past ones too.
    AllSuspensions = 103,
    /// The external ids that can be seen from here. Given at creation only.
    Links = 104,
}

impl Attr {
    /// The attributes that live in a stored profile, in the order of the record.
    pub const STORED: [Self; 26] = [
        Self::Username,
        Self::DisplayName,
        Self::GivenName,
        Self::FamilyName,
        Self::Email,
        Self::Phone,
        Self::AvatarUrl,
        Self::Bio,
        Self::Gender,
        Self::BirthDate,
        Self::BirthInstant,
        Self::AddressLine1,
        Self::AddressLine2,
        Self::Street,
        Self::HouseNumber,
        Self::City,
        Self::Region,
        Self::PostalCode,
        Self::Country,
        Self::Geo,
        Self::Locale,
        Self::TimeZone,
        Self::Occupation,
        Self::CiroAffiliate,
        Self::Metadata,
        Self::SecureMetadata,
    ];

    /// The number that stands for a stored attribute in a record.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The stored attribute with this number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::STORED.into_iter().find(|attr| attr.code() == code)
    }

    /// The attribute that stands for all views of the same stored thing: what a write of this one
    /// may also move.
    #[must_use]
    pub const fn group(self) -> Self {
        match self {
            Self::Name => Self::DisplayName,
            Self::Street | Self::HouseNumber => Self::AddressLine1,
            Self::Language => Self::Locale,
            Self::Zip | Self::Zip4 => Self::PostalCode,
            Self::BirthInstant => Self::BirthDate,
            Self::Standing => Self::Status,
            Self::AllSuspensions => Self::Suspensions,
            other => other,
        }
    }
}

/// Degrees east and north, both finite.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    /// Degrees east.
    pub longitude: f64,
    /// Degrees north.
    pub latitude: f64,
}

/// A value of an attribute, in one of the closed set of shapes. Borrowed when read from a user.
///
/// Its `Debug` form names the shape only: values are personal data.
#[derive(Clone, PartialEq)]
pub enum Value<'a> {
    /// Text as sent, no normalisation.
    Text(Cow<'a, str>),
    /// Yes or no.
    Flag(bool),
    /// A calendar date.
    Date(Date),
    /// An instant.
    Instant(Timestamp),
    /// A place on the map.
    Point(Point),
    /// A JSON object as compact text, member order kept; opaque here.
    Document(Cow<'a, str>),
    /// Suspensions, in the order in which they were given.
    Suspensions(Cow<'a, [Suspension]>),
    /// Links, in the order in which they were given.
    Links(Cow<'a, [Link]>),
}

impl Value<'_> {
    /// A text value that owns its text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Value<'static> {
        Value::Text(Cow::Owned(text.into()))
    }

    /// The text, if this is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The same value, owning what it was borrowing.
    #[must_use]
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Value::Flag(flag) => Value::Flag(flag),
            Value::Date(date) => Value::Date(date),
            Value::Instant(instant) => Value::Instant(instant),
            Value::Point(point) => Value::Point(point),
            Value::Document(text) => Value::Document(Cow::Owned(text.into_owned())),
            Value::Suspensions(list) => Value::Suspensions(Cow::Owned(list.into_owned())),
            Value::Links(list) => Value::Links(Cow::Owned(list.into_owned())),
        }
    }

    /// The same value, borrowed.
    #[must_use]
    pub fn borrow(&self) -> Value<'_> {
        match self {
            Value::Text(text) => Value::Text(Cow::Borrowed(text)),
            Value::Flag(flag) => Value::Flag(*flag),
            Value::Date(date) => Value::Date(*date),
            Value::Instant(instant) => Value::Instant(*instant),
            Value::Point(point) => Value::Point(*point),
            Value::Document(text) => Value::Document(Cow::Borrowed(text)),
            Value::Suspensions(list) => Value::Suspensions(Cow::Borrowed(list)),
            Value::Links(list) => Value::Links(Cow::Borrowed(list)),
        }
    }
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Value::Text(_) => "Text(..)",
            Value::Flag(_) => "Flag(..)",
            Value::Date(_) => "Date(..)",
            Value::Instant(_) => "Instant(..)",
            Value::Point(_) => "Point(..)",
            Value::Document(_) => "Document(..)",
            Value::Suspensions(_) => "Suspensions(..)",
            Value::Links(_) => "Links(..)",
        })
    }
}

/// What an update does to one attribute; an attribute that no change names is kept (decision 4).
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// Which attribute.
    pub attr: Attr,
    /// Its new value; `None` clears it.
    pub value: Option<Value<'static>>,
}

impl Change {
    /// Sets an attribute.
    #[must_use]
    pub const fn set(attr: Attr, value: Value<'static>) -> Self {
        Self { attr, value: Some(value) }
    }

    /// Clears an attribute.
    #[must_use]
    pub const fn clear(attr: Attr) -> Self {
        Self { attr, value: None }
    }
}
