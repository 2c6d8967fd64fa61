//! What a resource declares of itself. A schema is a constant; another role that may see or ask for less gets a schema of its
//! own.

use std::ops::BitOr;

/// The type of a value that can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Text. Compared without regard to the case of ASCII letters, as Graph's directory does.
    String,
    /// `true` or `false`.
    Boolean,
    /// A whole number of 64 bits.
    Integer,
    /// A moment in UTC.
    DateTime,
    /// A UUID; literals may be quoted, since Graph declares most of its identifiers as strings.
    Guid,
}

impl Type {
    /// The name for messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "a string in single quotes",
            Self::Boolean => "true or false",
            Self::Integer => "an integer",
            Self::DateTime => "a date and time such as 2026-01-31T08:00:00Z, without quotes",
            Self::Guid => "a GUID",
        }
    }
}

/// A set of operators and functions that a property offers. `and`, `or`, `not`, `any` and `all` are offered everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ops(u8);

impl Ops {
    /// None: the property can be selected but not filtered by.
    pub const NONE: Self = Self(0);
    /// `eq`
    pub const EQ: Self = Self(1);
    /// `ne`
    pub const NE: Self = Self(2);
    /// `in`
    pub const IN: Self = Self(4);
    /// `gt`, `ge`, `lt` and `le`
    pub const ORDER: Self = Self(8);
    /// `startswith`
    pub const STARTS_WITH: Self = Self(16);
    /// `endswith`
    pub const ENDS_WITH: Self = Self(32);
    /// `contains`
    pub const CONTAINS: Self = Self(64);
    /// `eq`, `ne` and `in`
    pub const EQUALITY: Self = Self(1 | 2 | 4);

    /// The operators of both. (`|` does the same outside constants.)
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are among these.
    #[must_use]
    pub const fn offer(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Ops {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

/// What a property holds, as far as `$filter` is concerned.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Something that is answered and never filtered by.
    Opaque,
    /// One value or null.
    Single(Type, Ops),
    /// A list of values: `otherMails/any(x:x eq 'v')`.
    Many(Type, Ops),
    /// One object or null: `invitedUser/id eq 'v'`.
    Object(&'static [Property]),
    /// A list of objects: `identities/any(x:x/issuer eq 'v')`.
    Objects(&'static [Property]),
}

/// A property of a resource.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) by_default: bool,
    pub(super) sortable: bool,
}

impl Property {
    /// A property that is answered when it is selected.
    #[must_use]
    pub const fn new(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, by_default: false, sortable: false }
    }

    /// Answered also when nothing is selected.
    #[must_use]
    pub const fn by_default(self) -> Self {
        Self { by_default: true, ..self }
    }

    /// May be named in `$orderby`. It has to be a [`Shape::Single`].
    #[must_use]
    pub const fn sortable(self) -> Self {
        Self { sortable: true, ..self }
    }

    /// The name, as it is in JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// The most entities that a page may have (facts 5.4).
pub const MOST_PER_PAGE: u16 = 999;

/// A resource: its properties, and how many entities a page has when the request does not say.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// The name of the type, for messages: `user`.
    pub entity: &'static str,
    /// Every property that may be answered. What is not here never leaves the server. Names differ in more than case.
    pub properties: &'static [Property],
    /// `$top` when it is absent: 1 to [`MOST_PER_PAGE`].
    pub default_top: u16,
}

impl Schema {
    /// The property of this name, the case of ASCII letters ignored.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&'static Property> {
        find(self.properties, name)
    }
}

/// Graph takes names of properties in any case, and answers in its own.
pub(super) fn find(properties: &'static [Property], name: &str) -> Option<&'static Property> {
    properties.iter().find(|property| property.name.eq_ignore_ascii_case(name))
}
