//! Pages of large collections, in bounded time and memory.
//!
//! A page without order or count is read in the order of keys from where the one before ended: at most [`LOOKED_AT`] records
//! are looked at for it, so with a filter that few match a page may be short, or empty, and still have a next link. Order and
//! count need all records: such a walk goes through them in pieces, and keeps no more than one page, however many there are.
//! Walks and filters take turns with those of others. What is in memory anyway is cut into pages by [`few`].

use std::cmp::Ordering;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{call::Call, limits::turn};
use crate::{
    flows::reading::Collection,
    odata::{Entity, Error, Pages, Query, Value},
    store::records::Stored,
};

/// The most records that are looked at for one page.
pub(super) const LOOKED_AT: usize = 5_000;
/// Records that are read at once.
const PIECE: usize = 500;

/// Where a page begins.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Position {
    /// After this id.
    After(Uuid),
    /// In the order asked for, after this value and, among equal ones, this id.
    Sorted(SortValue, Uuid),
}

/// The value of a property that can be ordered by.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum SortValue {
    Null,
    Text(String),
    Moment(Timestamp),
}

impl SortValue {
    fn of(value: &Value<'_>) -> Self {
        match value {
            Value::String(text) => Self::Text(text.to_string()),
            Value::DateTime(moment) => Self::Moment(*moment),
            _ => Self::Null,
        }
    }
}

/// For the comparison with an entity: something that has nothing but the value.
impl Entity for SortValue {
    fn property(&self, _: &str) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => text.as_str().into(),
            Self::Moment(moment) => (*moment).into(),
        }
    }
}

/// A page that was found.
pub(super) struct Found<E> {
    pub(super) entities: Vec<E>,
    /// How many match in all, where that was asked for.
    pub(super) count: Option<u64>,
    /// Where the next page is.
    pub(super) next_link: Option<String>,
}

/// The page of `collection` that is asked for. `entity` makes of a record what filters and orders are asked of.
///
/// # Errors
/// 400 for a page token that is not this query's; 429 while too many long readings of the caller go on; 503.
pub(super) async fn page<T: DeserializeOwned, E: Entity>(
    call: &Call,
    query: &Query,
    pages: &Pages<'_>,
    collection: &Collection<T>,
    entity: impl Fn(Stored<T>) -> E,
) -> Result<Found<E>, Error> {
    let foundation = call.foundation();
    let position = pages.open(foundation.now())?;
    let reader = Reader { call, query, collection, entity };
    let (found, count, next) = match position {
        Some(Position::Sorted(..)) => reader.walk(position).await?,
        _ if query.order_by.is_some() || (query.count && query.is_first_page()) => reader.walk(position).await?,
        position => {
            let (found, next) = reader.scan(position).await?;
            (found, None, next)
        }
    };
    let next_link = next.map(|next| pages.next_link(next, foundation.now(), &*foundation.entropy));
    Ok(Found { entities: found, count, next_link })
}

/// The page that is asked for of what is in memory: all that match, each with the id that it is listed under.
///
/// # Errors
/// 400 for a page token that is not this query's.
pub(super) fn few<E>(call: &Call, query: &Query, pages: &Pages<'_>, mut all: Vec<(Uuid, E)>) -> Result<Found<E>, Error> {
    let foundation = call.foundation();
    let after: Option<Uuid> = pages.open(foundation.now())?;
    let count = u64::try_from(all.len()).ok();
    all.sort_by_key(|(id, _)| *id);
    all.retain(|(id, _)| after.is_none_or(|after| *id > after));
    let more = all.len() > usize::from(query.top);
    all.truncate(query.top.into());
    let last = all.last().filter(|_| more);
    let next_link = last.map(|(id, _)| pages.next_link(*id, foundation.now(), &*foundation.entropy));
    Ok(Found { entities: all.into_iter().map(|(_, entity)| entity).collect(), count, next_link })
}

struct Reader<'a, T, F> {
    call: &'a Call,
    query: &'a Query,
    collection: &'a Collection<T>,
    entity: F,
}

type Paged<E> = (Vec<E>, Option<u64>, Option<Position>);

impl<T: DeserializeOwned, E: Entity, F: Fn(Stored<T>) -> E> Reader<'_, T, F> {
    fn matches(&self, entity: &E) -> bool {
        self.query.filter.as_ref().is_none_or(|filter| filter.matches(entity))
    }

    /// The next records in the order of keys, with their ids.
    async fn read(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<(Uuid, E)>, Error> {
        let piece = self.call.directory().piece(self.collection, after, limit).await?;
        Ok(piece.into_iter().map(|(id, stored)| (id, (self.entity)(stored))).collect())
    }

    /// The matching ones in the order of keys, after not too many were looked at.
    async fn scan(&self, position: Option<Position>) -> Result<(Vec<E>, Option<Position>), Error> {
        let mut after = match position {
            Some(Position::After(id)) => Some(id),
            _ => None,
        };
        let (top, mut looked_at, mut found) = (usize::from(self.query.top), 0, Vec::new());
        // Without a filter one more than the page tells whether there is another one.
        let (reading, piece) = match &self.query.filter {
            Some(_) => (Some(self.call.reading()?), PIECE),
            None => (None, top + 1),
        };
        loop {
            let _turn = turn(reading.as_ref()).await;
            let read = self.read(after, piece).await?;
            let complete = read.len() < piece;
            for (id, entity) in read {
                if found.len() == top {
                    return Ok((found, after.map(Position::After)));
                }
                after = Some(id);
                looked_at += 1;
                if self.matches(&entity) {
                    found.push(entity);
                }
            }
            if complete {
                return Ok((found, None));
            }
            if looked_at >= LOOKED_AT {
                return Ok((found, after.map(Position::After)));
            }
        }
    }

    /// All that match are counted, and those of the page kept.
    async fn walk(&self, position: Option<Position>) -> Result<Paged<E>, Error> {
        let reading = self.call.reading()?;
        let (top, mut count) = (usize::from(self.query.top), 0);
        // In order, at most one more than the page has.
        let mut kept: Vec<(Uuid, E)> = Vec::new();
        let mut after = None;
        loop {
            let turn = reading.turn().await;
            let read = self.read(after, PIECE).await?;
            let complete = read.len() < PIECE;
            after = read.last().map(|(id, _)| *id);
            for (id, entity) in read {
                if !self.matches(&entity) {
                    continue;
                }
                count += 1;
                let past = position.as_ref().is_none_or(|position| self.is_past(position, id, &entity));
                if past {
                    let place = kept.partition_point(|(other, kept)| self.order((*other, kept), (id, &entity)).is_lt());
                    if place <= top {
                        kept.insert(place, (id, entity));
                        kept.truncate(top + 1);
                    }
                }
            }
            if complete {
                break;
            }
            // Others shall have their turn, and whoever needs none.
            drop(turn);
            tokio::task::yield_now().await;
        }
        let more = kept.len() > top;
        kept.truncate(top);
        let next = kept.last().filter(|_| more).map(|(id, entity)| match &self.query.order_by {
            Some(order) => Position::Sorted(SortValue::of(&entity.property(order.property)), *id),
            None => Position::After(*id),
        });
        Ok((kept.into_iter().map(|(_, entity)| entity).collect(), Some(count), next))
    }

    fn order(&self, (a_id, a): (Uuid, &dyn Entity), (b_id, b): (Uuid, &dyn Entity)) -> Ordering {
        let by_property = self.query.order_by.as_ref().map_or(Ordering::Equal, |order| order.compare(a, b));
        by_property.then(a_id.cmp(&b_id))
    }

    fn is_past(&self, position: &Position, id: Uuid, entity: &E) -> bool {
        match position {
            Position::After(after) => id > *after,
            Position::Sorted(value, after) => self.order((*after, value), (id, entity)).is_lt(),
        }
    }
}
