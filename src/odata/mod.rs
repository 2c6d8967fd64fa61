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
//! | [`error`] | the error envelope, and the codes in it |
//! | [`batch`] | `$batch`: parsed, put in order, answered; running the items is the caller's |
//! | [`json`] | request bodies: every member once, bounded depth |
//! | [`etag`] | entity tags and `If-Match` |
//!
//! Part 1 and 2 of OData 4.01 are the source where no other is named. Where Graph differs, Graph is followed, and it says so.

pub mod batch;
pub mod error;
pub mod etag;
pub mod filter;
pub mod json;
pub mod query;
pub mod schema;
pub mod select;
pub mod skiptoken;

pub use batch::{Answer, Batch};
pub use error::{Error, ErrorCode};
pub use etag::{ETag, IfMatch};
pub use filter::{Entity, Filter, Literal, Value};
pub use query::Query;
pub use schema::{Ops, Property, Schema, Shape, Type};
pub use select::{Envelope, Select};
pub use skiptoken::Pages;
