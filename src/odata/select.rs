//! `$select` and the envelopes of answers. Only what the schema lists is ever answered (checklist A-06).

use serde_json::{Map, Value};

use super::{
    error::Error,
    query::Query,
    schema::{Property, Schema, find},
};

/// How many names a `$select` may have.
const MOST: usize = 64;

/// What of an entity is answered.
#[derive(Clone, Debug)]
pub struct Select {
    schema: &'static Schema,
    /// Names as the schema spells them, each once, in the order in which they were asked for; `None` for the defaults.
    names: Option<Vec<&'static str>>,
}

impl Select {
    /// The properties that are answered when nothing is selected.
    #[must_use]
    pub fn defaults(schema: &'static Schema) -> Self {
        Self { schema, names: None }
    }

    /// Reads the value of `$select`, decoded.
    pub(super) fn parse(text: Option<&str>, schema: &'static Schema, unknown: impl Fn(&str) -> Error) -> Result<Self, Error> {
        let Some(text) = text else { return Ok(Self::defaults(schema)) };
        let mut names = Vec::new();
        for (at, name) in text.split(',').map(|name| name.trim_matches(' ')).enumerate() {
            if at == MOST {
                return Err(Error::bad_request(format!("Invalid $select: it may have {MOST} names.")));
            }
            if name.is_empty() {
                return Err(Error::bad_request("Invalid $select: a name is missing."));
            }
            if name == "*" || name.contains('/') {
                return Err(Error::not_implemented("Unsupported $select: '*' and paths are not offered; name the properties."));
            }
            let name = find(schema.properties, name).ok_or_else(|| unknown(name))?.name;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(Self { schema, names: Some(names) })
    }

    /// What was selected; `None` when nothing was said.
    #[must_use]
    pub fn names(&self) -> Option<&[&'static str]> {
        self.names.as_deref()
    }

    /// Whether a property is answered, so that what is dear to load need not be.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        match &self.names {
            Some(names) => names.contains(&name),
            None => self.schema.properties.iter().any(|property| property.by_default && property.name == name),
        }
    }

    /// The names of the properties that are answered, in the order of the schema.
    pub fn answered(&self) -> impl Iterator<Item = &'static str> {
        let selected =
            |property: &&Property| self.names.as_ref().map_or(property.by_default, |names| names.contains(&property.name));
        self.schema.properties.iter().filter(selected).map(|property| property.name)
    }

    /// Of what is known of an entity, what is answered: the selected properties of the schema, null where `all` has none, and
    /// annotations (`@odata.etag`).
    #[must_use]
    pub fn project(&self, mut all: Map<String, Value>) -> Map<String, Value> {
        let mut answered: Map<String, Value> = Map::new();
        for name in self.answered() {
            answered.insert(name.to_owned(), all.remove(name).unwrap_or(Value::Null));
        }
        answered.extend(all.into_iter().filter(|(name, _)| name.starts_with("@odata.")));
        answered
    }
}

/// What answers are wrapped in.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The root of the API as clients see it, without a slash at its end: `https://HOST/v1.0`. Never from a request's header.
    pub service: &'a str,
    /// The collection, as a path below the root: `users`.
    pub collection: &'a str,
}

impl Envelope<'_> {
    /// One entity.
    #[must_use]
    pub fn entity(&self, select: &Select, all: Map<String, Value>) -> Value {
        let mut answer = Map::new();
        answer.insert("@odata.context".into(), format!("{}/$entity", self.context(select)).into());
        answer.extend(select.project(all));
        answer.into()
    }

    /// A page: `all` of each entity; the count of all that match, over all pages, which is answered on the first page if it was
    /// asked for; and the next link, if there is more.
    #[must_use]
    pub fn page(
        &self,
        query: &Query,
        entities: impl IntoIterator<Item = Map<String, Value>>,
        count: Option<u64>,
        next_link: Option<String>,
    ) -> Value {
        let mut answer = Map::new();
        answer.insert("@odata.context".into(), self.context(&query.select).into());
        if let Some(count) = count.filter(|_| query.count && query.is_first_page()) {
            answer.insert("@odata.count".into(), count.into());
        }
        if let Some(next_link) = next_link {
            answer.insert("@odata.nextLink".into(), next_link.into());
        }
        let value = entities.into_iter().map(|all| Value::Object(query.select.project(all))).collect();
        answer.insert("value".into(), value);
        answer.into()
    }

    fn context(&self, select: &Select) -> String {
        let names = select.names().map(|names| format!("({})", names.join(","))).unwrap_or_default();
        format!("{}/$metadata#{}{names}", self.service, self.collection)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::odata::schema::{Ops, Property, Shape, Type};

    const NAME: Shape = Shape::Single(Type::String, Ops::EQUALITY);
    const USERS: Schema = Schema {
        entity: "user",
        properties: &[
            Property::new("id", NAME).by_default(),
            Property::new("displayName", NAME).by_default(),
            Property::new("userType", NAME),
        ],
        default_top: 100,
    };
    const ENVELOPE: Envelope<'_> = Envelope { service: "https://guests.example/v1.0", collection: "users" };

    fn all() -> Map<String, Value> {
        let all = json!({"id": "1", "userType": "Guest", "passwordHash": "$argon2", "@odata.etag": "W/\"1\""});
        all.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_06_only_what_the_schema_lists_is_answered() {
        let defaults = ENVELOPE.entity(&Select::defaults(&USERS), all());
        assert_eq!(
            defaults,
            json!({"@odata.context": "https://guests.example/v1.0/$metadata#users/$entity", "@odata.etag": "W/\"1\"", "id": "1", "displayName": null})
        );
        let select = Select::of_one("$select=UserType,%20id,usertype", &USERS).unwrap();
        assert_eq!(
            ENVELOPE.entity(&select, all()),
            json!({"@odata.context": "https://guests.example/v1.0/$metadata#users(userType,id)/$entity", "@odata.etag": "W/\"1\"", "id": "1", "userType": "Guest"})
        );
        assert!(select.has("userType") && !select.has("displayName"));
        for refused in ["passwordHash", "id,passwordHash", "*", "", "id,", "id/x", "a,".repeat(40).as_str()] {
            for status in [
                Select::of_one(&format!("$select={refused}"), &USERS).unwrap_err().status(),
                Query::parse(&format!("$select={refused}"), &USERS).unwrap_err().status(),
            ] {
                assert!([400, 501].contains(&status.as_u16()), "{refused}");
            }
        }
        assert_eq!(Query::parse("$select=passwordHash", &USERS).unwrap_err().status().as_u16(), 501, "facts 5.4");
        assert_eq!(Select::of_one("$select=passwordHash", &USERS).unwrap_err().status().as_u16(), 400);
        assert!(Select::of_one(&format!("$select={}id", "id,".repeat(64)), &USERS).is_err(), "64 names");
    }

    #[test]
    fn a_page_counts_once_and_links_on() {
        let first = Query::parse("$count=true&$select=id", &USERS).unwrap();
        let page = ENVELOPE.page(&first, [all(), all()], Some(2000), Some("https://next".into()));
        assert_eq!(
            page,
            json!({
                "@odata.context": "https://guests.example/v1.0/$metadata#users(id)",
                "@odata.count": 2000,
                "@odata.nextLink": "https://next",
                "value": [{"id": "1", "@odata.etag": "W/\"1\""}, {"id": "1", "@odata.etag": "W/\"1\""}],
            })
        );
        let second = Query::parse("$count=true&$skiptoken=x", &USERS).unwrap();
        let page = ENVELOPE.page(&second, [], Some(2000), None);
        assert_eq!(page, json!({"@odata.context": "https://guests.example/v1.0/$metadata#users", "value": []}));
        let uncounted = Query::parse("", &USERS).unwrap();
        assert!(ENVELOPE.page(&uncounted, [], Some(1), None).get("@odata.count").is_none());
    }
}
