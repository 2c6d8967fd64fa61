//! `$batch` in JSON (OData JSON 4.01, section 19, as far as Graph has it): up to 20 requests in one.
//!
//! Each item is a request of its own: it is routed, authorised and answered on its own, with the token of the batch and no other,
//! and none is undone when another fails (checklist A-06). The caller runs the items one after another:
//!
//! ```
//! # use vestibule::odata::{Answer, Batch, batch::Item};
//! # fn run(_: &Item) -> Answer { Answer::empty(http::StatusCode::NO_CONTENT) }
//! # fn whole(body: serde_json::Value, about: vestibule::odata::error::About<'_>) -> Result<serde_json::Value,
//! vestibule::odata::Error> { let mut batch = Batch::parse(body)?; while let Some((place, item)) = batch.next() { let answer =
//! run(&item); batch.answer(place, answer); } Ok(batch.finish(about))
//! # }
//! ```

mod item;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

pub use item::{Body, Item};

use super::{
    Answer,
    error::{About, Error, ErrorCode, shown},
};

/// The most items of a batch (as in Graph).
pub const MOST: usize = 20;

/// A batch that is being worked off.
#[derive(Debug)]
pub struct Batch {
    /// In the order of the request.
    items: Vec<Placed>,
    /// Which are still to be run, the next one last; whatever one depends on runs before it.
    to_run: Vec<usize>,
}

#[derive(Debug)]
struct Placed {
    id: String,
    /// Places in the batch.
    depends_on: Vec<usize>,
    /// Until it is run.
    item: Option<Item>,
    answer: Option<Answer>,
}

/// Where an item stands in its batch; given by [`Batch::next`], for [`Batch::answer`].
#[derive(Debug, PartialEq, Eq)]
pub struct Place(usize);

impl Batch {
    /// Takes the body of a batch, as [`parse_bounded`](super::json::parse_bounded) reads it, and puts its items in order: that
    /// of the request, but after what they depend on.
    ///
    /// # Errors
    /// 400 when anything in it is malformed: more than 20 items or none, an id that is not unique, a URL that is not a path below
    /// the root of the API, a dependency that does not exist or leads back. Nothing of it is run then.
    pub fn parse(body: Value) -> Result<Self, Error> {
        let Value::Object(mut members) = body else {
            return Err(refused("the body is an object with 'requests'"));
        };
        let Some(Value::Array(requests)) = members.remove("requests") else { return Err(refused("'requests' is an array")) };
        if let Some(other) = members.keys().next() {
            return Err(refused(&format!("'{}' is not known beside 'requests'", shown(other))));
        }
        if requests.is_empty() || requests.len() > MOST {
            return Err(refused(&format!("it has 1 to {MOST} requests")));
        }
        let mut items = Vec::with_capacity(requests.len());
        let mut wanted = Vec::with_capacity(requests.len());
        for request in requests {
            let (id, depends_on, item) = Item::read(request)?;
            if items.iter().any(|other: &Placed| other.id == id) {
                return Err(refused(&format!("the id '{}' appears twice", shown(&id))));
            }
            wanted.push(depends_on);
            items.push(Placed { id, depends_on: Vec::new(), item: Some(item), answer: None });
        }
        for (at, wanted) in wanted.into_iter().enumerate() {
            for id in wanted {
                let place = items.iter().position(|other| other.id == id);
                let place = place.ok_or_else(|| refused(&format!("there is no '{}' to depend on", shown(&id))))?;
                items[at].depends_on.push(place);
            }
        }
        let to_run = in_order(&items)?;
        Ok(Self { items, to_run })
    }

    /// The next item to be run. One that depends on an item that failed (its status is 400 or more) is answered with 424 and
    /// not given.
    #[expect(clippy::should_implement_trait, reason = "answers are given between two items")]
    pub fn next(&mut self) -> Option<(Place, Item)> {
        loop {
            let at = self.to_run.pop()?;
            let worked = |place: &usize| self.items[*place].answer.as_ref().is_some_and(|answer| answer.status.as_u16() < 400);
            if self.items[at].depends_on.iter().all(worked) {
                return self.items[at].item.take().map(|item| (Place(at), item));
            }
        }
    }

    /// Takes down the answer to an item.
    pub fn answer(&mut self, place: Place, answer: Answer) {
        self.items[place.0].answer = Some(answer);
    }

    /// The body of the whole answer, whose status is 200: an answer for each item, in the order of the request. `about` is for
    /// the items that were not run.
    #[must_use]
    pub fn finish(self, about: About<'_>) -> Value {
        let responses = self.items.into_iter().map(|placed| {
            // Nothing was run for it: what it depends on failed, or the caller stopped.
            let answer = placed.answer.unwrap_or_else(|| {
                let error = Error::new(ErrorCode::FailedDependency, "A request that this one depends on failed.");
                Answer::json(error.status(), error.envelope(about))
            });
            let mut headers = Map::new();
            for (name, value) in &answer.headers {
                if let Ok(value) = value.to_str() {
                    headers.insert(name.as_str().to_owned(), value.into());
                }
            }
            if answer.body.is_some() {
                headers.insert("Content-Type".into(), "application/json".into());
            }
            let mut response = json!({ "id": placed.id, "status": answer.status.as_u16(), "headers": headers });
            if let Some(body) = answer.body {
                response["body"] = body;
            }
            response
        });
        json!({ "responses": responses.collect::<Vec<_>>() })
    }
}

/// The places of the items, the first to be run last.
fn in_order(items: &[Placed]) -> Result<Vec<usize>, Error> {
    let mut order: Vec<usize> = Vec::with_capacity(items.len());
    while order.len() < items.len() {
        let ready = |at: &usize| !order.contains(at) && items[*at].depends_on.iter().all(|place| order.contains(place));
        let next = (0..items.len()).find(ready).ok_or_else(|| refused("requests depend on each other in a circle"))?;
        order.push(next);
    }
    order.reverse();
    Ok(order)
}

fn refused(what: &str) -> Error {
    Error::bad_request(format!("Invalid batch: {what}."))
}
