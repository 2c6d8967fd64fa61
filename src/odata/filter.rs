//! `$filter`: a bounded parser, its tree, and whether an entity matches (OData 4.01 part 2, section 5.1.1).
//!
//! ```text
//! or        = and *( "or" and )
//! and       = unary *( "and" unary )
//! unary     = "not" unary | "(" or ")" | function | lambda | path comparison literal | path "in" list
//! list      = "(" literal *( "," literal ) ")"
//! function  = ( "startswith" | "endswith" | "contains" ) "(" path "," string ")"
//! lambda    = path "/" ( "any" | "all" ) "(" variable ":" or ")" | path "/any()"
//! ```
//!
//! Keywords and names of properties are taken in any case, as Graph takes them; [`Filter`]'s `Display` writes the one spelling.
//! `not` binds closer than a comparison, so what it negates is a function, a lambda or in parentheses: `not a eq 'b'` is refused
//! rather than read in one of two ways. Lambdas do not nest and speak of their variable only.
//!
//! # What is true
//!
//! * Strings are compared without regard to the case of ASCII letters, and of no others: Graph's directory ignores case, and
//!   folding more would make two mailboxes one (checklist L-10). Order is that of the bytes after that folding.
//! * `null eq null` is true, `null ne null` is false; null and a value are unequal. `gt` and `lt` with null are false;
//!   `ge` and `le` are true if both sides are null, since they are equal. `in` is `eq` with any of the list.
//! * A function of null is unknown. `not` unknown is unknown; `and` is false if one side is, `or` true if one side is, whatever
//!   the other. What is unknown in the end does not match: neither `startswith(mail,'a')` nor its negation finds who has no mail.
//! * `any` is true if something in the collection satisfies it, otherwise false; `all` is true if everything does, otherwise
//!   false. Null is an empty collection; `any()` asks whether there is anything.

mod eval;
mod lexer;
mod parser;
#[cfg(test)]
mod tests;

use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

pub(super) use eval::in_order;
pub use eval::{Entity, Value};

use super::{error::Error, schema::Schema};

/// The longest text, in bytes (checklist D-04).
pub const MAX_BYTES: usize = 2048;
/// How deep parentheses, negations and lambdas may be nested.
pub const MAX_DEPTH: usize = 16;
/// How many conditions and connectives a filter may have.
pub const MAX_NODES: usize = 64;
/// How many literals may stand in one `in (…)`.
pub const MAX_LIST: usize = 64;

/// A literal, of the type that its property has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Literal {
    /// `null`
    Null,
    /// `'text'`
    String(String),
    /// `true`, `false`
    Boolean(bool),
    /// `5`
    Integer(i64),
    /// `2026-01-31T08:00:00Z`
    DateTime(Timestamp),
    /// `00000000-0000-0000-0000-000000000000`
    Guid(Uuid),
}

/// What a condition speaks of: a property of the entity, or what a lambda's variable stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The variable of the lambda around it, when the path begins with it.
    pub(super) variable: Option<String>,
    /// Names as the schema spells them.
    pub(super) names: Vec<&'static str>,
}

impl Path {
    /// The names of the properties, outermost first; without the variable of a lambda.
    #[must_use]
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `eq`
    Eq,
    /// `ne`
    Ne,
    /// `gt`
    Gt,
    /// `ge`
    Ge,
    /// `lt`
    Lt,
    /// `le`
    Le,
}

/// A function of two strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `startswith`
    StartsWith,
    /// `endswith`
    EndsWith,
    /// `contains`
    Contains,
}

/// A lambda's operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantifier {
    /// `any`
    Any,
    /// `all`
    All,
}

/// The tree. `And` and `Or` have at least two operands; what is bounded in the text is bounded here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// All are true.
    And(Vec<Expr>),
    /// One is true.
    Or(Vec<Expr>),
    /// The contrary.
    Not(Box<Expr>),
    /// A property beside a literal.
    Compare(Path, Comparison, Literal),
    /// A property that has one of these values.
    In(Path, Vec<Literal>),
    /// A property's text.
    Call(Function, Path, String),
    /// Something about a collection: the variable, and what has to be so of it.
    Lambda(Path, Quantifier, String, Box<Expr>),
    /// `any()`
    NotEmpty(Path),
}

/// A filter that can be asked of the entities of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Expr);

/// What every entity that matches has at a path, so that a resource can look it up instead of reading everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand<'f> {
    /// Where: the names of the properties, `["mail"]`, or of a collection and what is in it, `["identities", "issuer"]`.
    pub names: Vec<&'static str>,
    /// One of these is there; for a collection, in one of its elements. Never empty. Strings are equal without regard to ASCII
    /// case.
    pub one_of: &'f [Literal],
}

impl Filter {
    /// Reads a filter that has been percent-decoded.
    ///
    /// # Errors
    /// 400 `BadRequest` when it is malformed, beyond the limits, names a property that does not exist, or compares with another
    /// type; 400 `Request_UnsupportedQuery` when the property does not offer this operator; 501 when OData has what is used and
    /// this server does not.
    pub fn parse(text: &str, schema: &Schema) -> Result<Self, Error> {
        let filter = Self(parser::parse(text, schema)?);
        // Next links carry the one spelling, which may have more blanks, and it has to be read again.
        if filter.to_string().len() > MAX_BYTES {
            return Err(parser::too_long());
        }
        Ok(filter)
    }

    /// Whether an entity is to be answered. What is unknown does not match.
    #[must_use]
    pub fn matches(&self, entity: &dyn Entity) -> bool {
        eval::truth(&self.0, entity, None) == Some(true)
    }

    /// The tree.
    #[must_use]
    pub fn expr(&self) -> &Expr {
        &self.0
    }

    /// What the conjuncts at the top demand by `eq`, `in`, and `any(x:x eq …)`. The entities found by a demand still have to be
    /// asked whether they match.
    #[must_use]
    pub fn demands(&self) -> Vec<Demand<'_>> {
        let mut demands = Vec::new();
        self.0.demand(&mut demands);
        demands
    }
}

impl Expr {
    fn demand<'f>(&'f self, demands: &mut Vec<Demand<'f>>) {
        match self {
            Self::And(all) => all.iter().for_each(|one| one.demand(demands)),
            Self::Compare(path, Comparison::Eq, literal) => {
                demands.push(Demand { names: path.names.clone(), one_of: std::slice::from_ref(literal) });
            }
            Self::In(path, list) => demands.push(Demand { names: path.names.clone(), one_of: list }),
            Self::Lambda(path, Quantifier::Any, _, inner) => {
                let from = demands.len();
                inner.demand(demands);
                for demand in &mut demands[from..] {
                    demand.names.splice(0..0, path.names.iter().copied());
                }
            }
            _ => {}
        }
    }

    /// Written as one operand of `outer`, in parentheses where they are needed.
    fn operand(&self, outer: &Self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = match outer {
            Self::Or(_) => !matches!(self, Self::Or(_)),
            Self::And(_) => !matches!(self, Self::Or(_) | Self::And(_)),
            _ => matches!(self, Self::Not(_) | Self::Call(..) | Self::Lambda(..) | Self::NotEmpty(_)),
        };
        if bare { write!(f, "{self}") } else { write!(f, "({self})") }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |operands: &[Self], word: &str, f: &mut fmt::Formatter<'_>| {
            for (at, operand) in operands.iter().enumerate() {
                f.write_str(if at == 0 { "" } else { word })?;
                operand.operand(self, f)?;
            }
            Ok(())
        };
        match self {
            Self::And(operands) => joined(operands, " and ", f),
            Self::Or(operands) => joined(operands, " or ", f),
            Self::Not(inner) => {
                f.write_str("not ")?;
                inner.operand(self, f)
            }
            Self::Compare(path, comparison, literal) => write!(f, "{path} {} {literal}", comparison.word()),
            Self::In(path, list) => {
                write!(f, "{path} in (")?;
                for (at, literal) in list.iter().enumerate() {
                    write!(f, "{}{literal}", if at == 0 { "" } else { "," })?;
                }
                f.write_str(")")
            }
            Self::Call(function, path, text) => write!(f, "{}({path},{})", function.word(), Quoted(text)),
            Self::Lambda(path, quantifier, variable, inner) => write!(f, "{path}/{}({variable}:{inner})", quantifier.word()),
            Self::NotEmpty(path) => write!(f, "{path}/any()"),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.variable.as_deref().into_iter().chain(self.names.iter().copied());
        names.enumerate().try_for_each(|(at, name)| write!(f, "{}{name}", if at == 0 { "" } else { "/" }))
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::String(text) => Quoted(text).fmt(f),
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::DateTime(value) => value.fmt(f),
            Self::Guid(value) => value.as_hyphenated().fmt(f),
        }
    }
}

/// A string literal: in single quotes, a quote in it written twice.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

impl Comparison {
    const ALL: [Self; 6] = [Self::Eq, Self::Ne, Self::Gt, Self::Ge, Self::Lt, Self::Le];

    fn word(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }
}

impl Function {
    const ALL: [Self; 3] = [Self::StartsWith, Self::EndsWith, Self::Contains];

    fn word(self) -> &'static str {
        match self {
            Self::StartsWith => "startswith",
            Self::EndsWith => "endswith",
            Self::Contains => "contains",
        }
    }
}

impl Quantifier {
    fn word(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::All => "all",
        }
    }
}
