//! The query options of a request (OData 4.01 part 2, section 5; facts 5.4).
//!
//! Options begin with `$`, written so or as `%24`, in any case; each appears once. An option without its `$` is refused, since
//! whoever wrote `filter=…` does not want everything. Other parameters without `$` are ignored, as OData demands.

use std::cmp::Ordering;

use super::{
    error::{Error, shown},
    filter::{Entity, Filter, in_order},
    schema::{MOST_PER_PAGE, Schema, Shape, find},
    select::Select,
};
use crate::oidc::params;

/// The longest raw query, in bytes; the front lets through no longer target.
pub const MAX_BYTES: usize = 8192;

/// Options that are offered on collections.
const OFFERED: &[&str] = &["filter", "select", "top", "count", "orderby", "skiptoken"];
/// Options of OData that are not.
const KNOWN: &[&str] =
    &["expand", "search", "skip", "format", "apply", "compute", "deltatoken", "schemaversion", "index", "levels"];

/// `$orderby`: one property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderBy {
    /// As the schema spells it.
    pub property: &'static str,
    /// `desc`
    pub descending: bool,
}

impl OrderBy {
    /// The order of two entities: null first, strings without regard to ASCII case; the other way round when descending. What is
    /// equal here needs another key (the id) to have a place in pages.
    #[must_use]
    pub fn compare(&self, a: &dyn Entity, b: &dyn Entity) -> Ordering {
        let order = in_order(&a.property(self.property), &b.property(self.property));
        if self.descending { order.reverse() } else { order }
    }
}

/// What is asked of a collection.
#[derive(Clone, Debug)]
pub struct Query {
    /// Who is asked for.
    pub filter: Option<Filter>,
    /// What of them is answered.
    pub select: Select,
    /// How many at once, 1 to 999.
    pub top: u16,
    /// Whether `@odata.count` is asked for.
    pub count: bool,
    /// In which order; without it, the collection's own.
    pub order_by: Option<OrderBy>,
    /// The page token, unread: [`super::Pages::open`] reads it.
    pub skip_token: Option<String>,
}

impl Query {
    /// Reads the raw query (without `?`, still percent-encoded) of a request for a collection.
    ///
    /// # Errors
    /// 400 when an option is malformed, repeated or unknown; 400 or 501 when it asks for what is not offered.
    pub fn parse(raw: &str, schema: &'static Schema) -> Result<Self, Error> {
        let mut options = Options::read(raw)?;
        let unknown = |name: &str| {
            // The collection is where Graph answers 501 (facts 5.4).
            Error::not_implemented(format!("Unsupported $select: '{}' of '{}' is not offered.", shown(name), schema.entity))
        };
        let query = Self {
            filter: options.take("filter").map(|text| Filter::parse(&text, schema)).transpose()?,
            select: Select::parse(options.take("select").as_deref(), schema, unknown)?,
            top: options.take("top").map_or(Ok(schema.default_top), |text| top(&text))?,
            count: options.take("count").map_or(Ok(false), |text| count(&text))?,
            order_by: options.take("orderby").map(|text| order_by(&text, schema)).transpose()?,
            skip_token: options.take("skiptoken"),
        };
        options.nothing_left()?;
        Ok(query)
    }

    /// Whether this is the first page, the only one that has `@odata.count`.
    #[must_use]
    pub fn is_first_page(&self) -> bool {
        self.skip_token.is_none()
    }

    /// Every option but the page token in its one spelling, percent-encoded: what a page token is bound to, and what the next
    /// link repeats.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut query = String::new();
        let mut add = |name: &str, value: &str| {
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(name);
            // `append` also escapes names, and `$` is read more easily as it is.
            params::append(&mut query, "", value);
        };
        if let Some(filter) = &self.filter {
            add("$filter", &filter.to_string());
        }
        if let Some(names) = self.select.names() {
            add("$select", &names.join(","));
        }
        if let Some(OrderBy { property, descending }) = self.order_by {
            add("$orderby", &format!("{property}{}", if descending { " desc" } else { "" }));
        }
        if self.count {
            add("$count", "true");
        }
        add("$top", &self.top.to_string());
        query
    }
}

impl Select {
    /// Reads the raw query of a request for one entity, where `$select` is the only option.
    ///
    /// # Errors
    /// As [`Query::parse`]; a property that does not exist is 400 here.
    pub fn of_one(raw: &str, schema: &'static Schema) -> Result<Self, Error> {
        let mut options = Options::read(raw)?;
        let unknown =
            |name: &str| Error::bad_request(format!("Invalid $select: '{}' is no property of '{}'.", shown(name), schema.entity));
        let select = Self::parse(options.take("select").as_deref(), schema, unknown)?;
        options.nothing_left()?;
        Ok(select)
    }
}

/// Refuses every option, for requests that have none: what is posted, changed or deleted.
///
/// # Errors
/// As [`Query::parse`].
pub fn refuse_options(raw: &str) -> Result<(), Error> {
    Options::read(raw)?.nothing_left()
}

/// The options of a request: names without `$` in small letters, values decoded.
struct Options(Vec<(String, String)>);

impl Options {
    fn read(raw: &str) -> Result<Self, Error> {
        if raw.len() > MAX_BYTES {
            return Err(Error::bad_request(format!("The query may have {MAX_BYTES} bytes.")));
        }
        let mut options: Vec<(String, String)> = Vec::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let malformed =
                || Error::bad_request("The query is not well-formed: '%' begins two hexadecimal digits, and text is UTF-8.");
            let name = params::decode(name.as_bytes()).ok_or_else(malformed)?.to_ascii_lowercase();
            let Some(option) = name.strip_prefix('$') else {
                if OFFERED.contains(&name.as_str()) || KNOWN.contains(&name.as_str()) {
                    return Err(Error::bad_request(format!("The query option '{name}' is written '${name}'.")));
                }
                continue;
            };
            if !OFFERED.contains(&option) {
                return Err(refused(option));
            }
            if options.iter().any(|(known, _)| known == option) {
                return Err(Error::bad_request(format!("The query option '${option}' appears twice.")));
            }
            let value = params::decode(value.as_bytes()).ok_or_else(malformed)?;
            if value.is_empty() {
                return Err(Error::bad_request(format!("The query option '${option}' has no value.")));
            }
            options.push((option.to_owned(), value));
        }
        Ok(Self(options))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    fn nothing_left(self) -> Result<(), Error> {
        match self.0.first() {
            Some((name, _)) => Err(Error::bad_request(format!("The query option '${name}' cannot be used with this request."))),
            None => Ok(()),
        }
    }
}

fn refused(option: &str) -> Error {
    match option {
        "skip" => Error::bad_request(
            "'$skip' is not supported. Follow '@odata.nextLink' to the next page, and use '$top' for its size.",
        ),
        _ if KNOWN.contains(&option) => Error::not_implemented(format!("The query option '${option}' is not offered here.")),
        _ => Error::bad_request(format!("The query option '${}' is not known.", shown(option))),
    }
}

fn top(text: &str) -> Result<u16, Error> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|top| digits && (1..=MOST_PER_PAGE).contains(top)).ok_or_else(|| {
        Error::bad_request(format!(
            "Invalid page size specified: '{}'. Must be between 1 and {MOST_PER_PAGE} inclusive.",
            shown(text)
        ))
    })
}

fn count(text: &str) -> Result<bool, Error> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Ok(true),
        _ if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(Error::bad_request(format!("Invalid $count: '{}' is neither true nor false.", shown(text)))),
    }
}

fn order_by(text: &str, schema: &'static Schema) -> Result<OrderBy, Error> {
    if text.contains(',') {
        return Err(Error::not_implemented("Unsupported $orderby: more than one property is not offered."));
    }
    let malformed = || Error::bad_request("Invalid $orderby: it is the name of a property, then nothing, 'asc' or 'desc'.");
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let name = words.next().ok_or_else(malformed)?;
    let descending = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("asc") => false,
        Some(word) if word.eq_ignore_ascii_case("desc") => true,
        Some(_) => return Err(malformed()),
    };
    if words.next().is_some() {
        return Err(malformed());
    }
    let property = find(schema.properties, name).ok_or_else(|| {
        Error::bad_request(format!("Invalid $orderby: '{}' is no property of '{}'.", shown(name), schema.entity))
    })?;
    if !(property.sortable && matches!(property.shape, Shape::Single(..))) {
        return Err(Error::unsupported_query(format!(
            "Unsupported $orderby: '{}' cannot be sorted by '{}'.",
            schema.entity, property.name
        )));
    }
    Ok(OrderBy { property: property.name, descending })
}

#[cfg(test)]
mod tests;
