//! `POST /$batch`: up to twenty requests, each judged by itself (checklist A-06).

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use super::{
    super::visit::Visit,
    Api, about, answer,
    auth::Caller,
    call::{Asked, Sent},
    route,
};
use crate::odata::{
    Answer, Batch, Error,
    batch::{Body, Item},
    json::parse_bounded,
    query::refuse_options,
};

/// The most objects in all lists of a batch: twenty pages of the usual size.
const LISTED_MAX: usize = 2_000;

/// Runs a batch. Its items go through the same table, limits and checks as requests of their own; of the batch's own header
/// fields only the token says anything about them.
pub(super) async fn run(api: &Arc<Api>, visit: &Visit, caller: &Arc<Caller>, asked: &Asked) -> Result<Answer, Error> {
    api.limits.admit(caller)?;
    refuse_options(&asked.query)?;
    let mut batch = Batch::parse(below_the_root(asked, &api.service)?)?;
    let mut listed = 0;
    while let Some((place, item)) = batch.next() {
        let Item { method, path, query, headers, body } = item;
        let body = match body {
            Body::None => Sent::Bytes(Default::default()),
            Body::Json(value) => Sent::Json(value),
            Body::Bytes(bytes) => Sent::Bytes(bytes.into()),
        };
        let found = route::find(&method, &path);
        // A future of the same kind is in here: without a box it would have no size.
        let answered = Box::pin(api.run(visit, caller, found, Asked { method, path, query, headers, body })).await;
        let answered = answered.and_then(|answer| within(&mut listed, answer));
        batch.answer(place, answered.unwrap_or_else(|error| answer::refusal(visit, &error)));
    }
    Ok(Answer::json(StatusCode::OK, batch.finish(about(visit))))
}

/// The answer to an item, if the lists of the batch are not too long with it: all are held until the last item is answered.
fn within(listed: &mut usize, answer: Answer) -> Result<Answer, Error> {
    let list = answer.body.as_ref().and_then(|body| body["value"].as_array());
    let together = *listed + list.map_or(0, Vec::len);
    if together <= LISTED_MAX {
        *listed = together;
        return Ok(answer);
    }
    Err(Error::bad_request(format!(
        "The lists of a batch have at most {LISTED_MAX} objects together. Ask for less with '$top', or without a batch."
    )))
}

/// The refusal of a batch in a batch.
pub(super) fn nested() -> Error {
    Error::bad_request("A batch has no batch in it.")
}

/// The batch as it is read here. The SDK for Python names items by absolute URLs and says `depends_on` for `dependsOn`; an
/// absolute URL is taken only where it begins with the root of this very API.
fn below_the_root(asked: &Asked, service: &str) -> Result<Value, Error> {
    let Sent::Bytes(bytes) = &asked.body else { return Err(nested()) };
    asked.is_json()?;
    let mut body = parse_bounded(bytes)?;
    let requests = body.get_mut("requests").and_then(Value::as_array_mut);
    for request in requests.into_iter().flatten().filter_map(Value::as_object_mut) {
        if let Some(Value::String(url)) = request.get_mut("url")
            && let Some(path) = url.strip_prefix(service).filter(|path| path.starts_with('/'))
        {
            *url = path.to_owned();
        }
        if let Some(wanted) = request.remove("depends_on") {
            match wanted.as_array().map(Vec::len) {
                Some(0) => {}
                _ if request.contains_key("dependsOn") => {
                    return Err(Error::bad_request("An item says twice what it depends on."));
                }
                _ => drop(request.insert("dependsOn".into(), wanted)),
            }
        }
    }
    Ok(body)
}
