//! OData over JSON as Microsoft Graph speaks it, pure: bytes in, typed queries and answers out. No HTTP, no store, no clock of its own.
//!
//! What is not offered is refused with words, never ignored: a filter that is half understood shows people it should not.
//!
//! | module | what it knows |
//! |---|---|
//! | [`schema`] | what a resource declares of itself: its properties, their types, what may be asked of them |
//! | [`filter`] | `$filter`: a bounded parser, its tree, and whether an entity matches |
//! | [`query`] | all query options of a request, from the raw query to [`query::Query`] |
//! | [`select`] | `$select` and the envelopes: only what the schema lists is ever answered |
//! | [`skiptoken`] | page tokens, sealed and bound to tenant, collection and query; the next link |
//! | [`answer`] | what a request is answered: status, headers, body |
//! | [`error`] | the error envelope, and the codes in it |
//! | [`batch`] | `$batch`: parsed, put in order, answered; running the items is the caller's |
//! | [`json`] | request bodies: every member once, bounded depth; objects of answers |
//! | [`etag`] | entity tags and `If-Match` |
//!
//! A resource is a constant, an [`Entity`], and a function from a raw query to an answer:
//!
//! ```
//! use serde_json::{Value as Json, json};
//! use vestibule::odata::{Entity, Envelope, Error, Ops, Pages, Property, Query, Schema, Shape, Type, Value};
//! # use vestibule::{clock::Entropy, domain::TenantId, seal::KeyRing};
//!
//! const USERS: Schema = Schema {
//!     entity: "user",
//!     properties: &[
//!         Property::new("id", Shape::Single(Type::Guid, Ops::EQUALITY)).by_default(),
//!         Property::new("mail", Shape::Single(Type::String, Ops::EQUALITY.and(Ops::STARTS_WITH))).by_default().sortable(),
//!     ],
//!     default_top: 100,
//! };
//!
//! struct User { id: uuid::Uuid, mail: Option<String> }
//!
//! impl Entity for User {
//!     fn property(&self, name: &str) -> Value<'_> {
//!         match name {
//!             "id" => self.id.into(),
//!             "mail" => self.mail.as_deref().into(),
//!             _ => Value::Null,
//!         }
//!     }
//! }
//!
//! # fn list(raw: &str, all: &[User], ring: &KeyRing, tenant: TenantId, now: jiff::Timestamp, entropy: &dyn Entropy) -> Result<Json, Error> {
//! let query = Query::parse(raw, &USERS)?;
//! let envelope = Envelope { service: "https://guests.contoso.example/v1.0", collection: "users" };
//! let pages = Pages { ring, tenant, envelope, query: &query };
//! let after: Option<u128> = pages.open(now)?;
//! let matching = |user: &&User| query.filter.as_ref().is_none_or(|filter| filter.matches(*user));
//! // `all` is sorted by id; a store would be asked for what is beyond the position, or for `Filter::demands`.
//! let beyond = all.iter().filter(|user| after.is_none_or(|after| user.id.as_u128() > after));
//! let mut page: Vec<_> = beyond.filter(matching).take(usize::from(query.top) + 1).collect();
//! let next = (page.len() > usize::from(query.top)).then(|| {
//!     page.pop();
//!     pages.next_link(page.last().map_or(0, |user| user.id.as_u128()), now, entropy)
//! });
//! let entities = page.iter().filter_map(|user| json!({"id": user.id, "mail": user.mail}).as_object().cloned());
//! let count = all.iter().filter(matching).count().try_into().ok();
//! Ok(envelope.page(&query, entities, count, next))
//! # }
//! # use vestibule::clock::SeededEntropy;
//! # let entropy = SeededEntropy::new(1);
//! # let users: Vec<User> = (0..3u128).map(|id| User { id: uuid::Uuid::from_u128(id), mail: Some(format!("{id}@x.example")) }).collect();
//! # let (ring, tenant) = (KeyRing::derived(b"a secret", "documentation"), TenantId::random(&entropy));
//! # let list = |raw: &str| list(raw, &users, &ring, tenant, jiff::Timestamp::UNIX_EPOCH, &entropy);
//! # let first = list("$filter=mail ne '1@x.example'&$top=1&$count=true").unwrap();
//! # assert_eq!((first["@odata.count"].as_u64(), &first["value"][0]["mail"]), (Some(2), &json!("0@x.example")));
//! # let second = list(first["@odata.nextLink"].as_str().unwrap().split_once('?').unwrap().1).unwrap();
//! # assert_eq!((second.get("@odata.count"), &second["value"][0]["mail"], second.get("@odata.nextLink")), (None, &json!("2@x.example"), None));
//! ```
//!
//! Part 1 and 2 of OData 4.01 are the source where no other is named. Where Graph differs, Graph is followed, and it says so.

pub mod answer;
pub mod batch;
pub mod error;
pub mod etag;
pub mod filter;
pub mod json;
pub mod query;
pub mod schema;
pub mod select;
pub mod skiptoken;

pub use answer::Answer;
pub use batch::Batch;
pub use error::{Error, ErrorCode};
pub use etag::{ETag, IfMatch};
pub use filter::{Entity, Filter, Literal, Value};
pub use query::Query;
pub use schema::{Ops, Property, Schema, Shape, Type};
pub use select::{Envelope, Select};
pub use skiptoken::Pages;
