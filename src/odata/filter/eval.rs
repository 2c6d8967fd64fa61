//! Whether a filter is true of an entity.

use std::{borrow::Cow, cmp::Ordering};

use jiff::Timestamp;
use uuid::Uuid;

use super::{Comparison, Expr, Function, Literal, Path, Quantifier};

/// Something that a filter can be asked of.
pub trait Entity {
    /// The value of a property, by the name that the schema spells. Of the type that the schema declares, or null.
    fn property(&self, name: &str) -> Value<'_>;
}

/// The value of a property.
#[derive(Clone)]
pub enum Value<'a> {
    /// There is none.
    Null,
    /// Text.
    String(Cow<'a, str>),
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A moment.
    DateTime(Timestamp),
    /// A UUID.
    Guid(Uuid),
    /// An object, for [`super::super::schema::Shape::Object`] and as element of [`super::super::schema::Shape::Objects`].
    Object(&'a dyn Entity),
    /// A collection of values or objects.
    Many(Vec<Value<'a>>),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::String(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::String(Cow::Owned(text))
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(value: Timestamp) -> Self {
        Self::DateTime(value)
    }
}

impl From<Uuid> for Value<'_> {
    fn from(value: Uuid) -> Self {
        Self::Guid(value)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<'a, T: Into<Value<'a>>> FromIterator<T> for Value<'a> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self::Many(values.into_iter().map(Into::into).collect())
    }
}

/// The truth of an expression; `None` is unknown. `item` is what the variable of the lambda around it stands for.
pub(super) fn truth<'v>(expr: &Expr, entity: &'v dyn Entity, item: Option<&Value<'v>>) -> Option<bool> {
    match expr {
        Expr::And(all) => decided(all, entity, item, false),
        Expr::Or(all) => decided(all, entity, item, true),
        Expr::Not(inner) => truth(inner, entity, item).map(|truth| !truth),
        Expr::Compare(path, comparison, literal) => Some(compare(&value(path, entity, item), *comparison, literal)),
        Expr::In(path, list) => {
            let value = value(path, entity, item);
            Some(list.iter().any(|literal| equal(&value, literal)))
        }
        Expr::Call(function, path, text) => call(*function, &value(path, entity, item), text),
        Expr::Lambda(path, quantifier, _, inner) => {
            let Value::Many(items) = value(path, entity, item) else { return Some(*quantifier == Quantifier::All) };
            let mut truths = items.iter().map(|item| truth(inner, entity, Some(item)) == Some(true));
            Some(match quantifier {
                Quantifier::Any => truths.any(|truth| truth),
                Quantifier::All => truths.all(|truth| truth),
            })
        }
        Expr::NotEmpty(path) => Some(matches!(value(path, entity, item), Value::Many(items) if !items.is_empty())),
    }
}

/// `and` (decided by one false) and `or` (decided by one true).
fn decided<'v>(all: &[Expr], entity: &'v dyn Entity, item: Option<&Value<'v>>, by: bool) -> Option<bool> {
    let mut known = true;
    for one in all {
        match truth(one, entity, item) {
            Some(truth) if truth == by => return Some(by),
            Some(_) => {}
            None => known = false,
        }
    }
    known.then_some(!by)
}

fn value<'v>(path: &Path, entity: &'v dyn Entity, item: Option<&Value<'v>>) -> Value<'v> {
    let (first, names) = match (&path.variable, path.names.split_first()) {
        (Some(_), _) => (item.cloned().unwrap_or(Value::Null), path.names.as_slice()),
        (None, Some((first, rest))) => (entity.property(first), rest),
        (None, None) => return Value::Null,
    };
    names.iter().fold(first, |value, name| match value {
        Value::Object(object) => object.property(name),
        _ => Value::Null,
    })
}

fn compare(value: &Value<'_>, comparison: Comparison, literal: &Literal) -> bool {
    match comparison {
        Comparison::Eq => equal(value, literal),
        Comparison::Ne => !equal(value, literal),
        Comparison::Gt => order(value, literal) == Some(Ordering::Greater),
        Comparison::Ge => order(value, literal) == Some(Ordering::Greater) || equal(value, literal),
        Comparison::Lt => order(value, literal) == Some(Ordering::Less),
        Comparison::Le => order(value, literal) == Some(Ordering::Less) || equal(value, literal),
    }
}

fn equal(value: &Value<'_>, literal: &Literal) -> bool {
    match (value, literal) {
        (Value::Null, Literal::Null) => true,
        _ => order(value, literal) == Some(Ordering::Equal),
    }
}

/// `None` when one is null, or they are of different types.
fn order(value: &Value<'_>, literal: &Literal) -> Option<Ordering> {
    match (value, literal) {
        (Value::String(a), Literal::String(b)) => Some(text_order(a, b)),
        (Value::Boolean(a), Literal::Boolean(b)) => Some(a.cmp(b)),
        (Value::Integer(a), Literal::Integer(b)) => Some(a.cmp(b)),
        (Value::DateTime(a), Literal::DateTime(b)) => Some(a.cmp(b)),
        (Value::Guid(a), Literal::Guid(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn text_order(a: &str, b: &str) -> Ordering {
    a.bytes().map(|byte| byte.to_ascii_lowercase()).cmp(b.bytes().map(|byte| byte.to_ascii_lowercase()))
}

fn call(function: Function, value: &Value<'_>, text: &str) -> Option<bool> {
    let Value::String(value) = value else { return None };
    let (value, text) = (value.as_bytes(), text.as_bytes());
    let at = |from: usize| value[from..from + text.len()].eq_ignore_ascii_case(text);
    let last = value.len().checked_sub(text.len());
    Some(last.is_some_and(|last| match function {
        Function::StartsWith => at(0),
        Function::EndsWith => at(last),
        Function::Contains => (0..=last).any(at),
    }))
}

/// The order of two values of one property: null first, as OData 4.01 has it (part 1, section 11.2.6.2).
pub(in crate::odata) fn in_order(a: &Value<'_>, b: &Value<'_>) -> Ordering {
    match (a, b) {
        (Value::String(a), Value::String(b)) => text_order(a, b),
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        (Value::DateTime(a), Value::DateTime(b)) => a.cmp(b),
        (Value::Guid(a), Value::Guid(b)) => a.cmp(b),
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        _ => Ordering::Equal,
    }
}
