//! The OpenAPI 3.1 document: paths and permissions from the table, schemas by hand.

use serde_json::{Map, Value, json};

use super::{
    route::{Gives, Needs, Route, Run},
    table::ROUTES,
};
use crate::domain::permission::Permission;

/// The schemas of bodies and answers.
const SCHEMAS: &str = include_str!("schemas.json");

/// `GET /openapi.json`, for the API under this root.
///
/// # Panics
/// When the schemas are no JSON. They are part of the program, and a test makes the document.
pub(super) fn document(service: &str) -> Value {
    let schemas: Value = serde_json::from_str(SCHEMAS).expect("schemas.json is JSON");
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let methods = paths.entry(route.path).or_insert_with(|| json!({}));
        methods[route.method.as_str().to_ascii_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Vestibule directory API",
            "version": "v1.0",
            "description": "Resources, names and answers of Microsoft Graph v1.0 as far as guests need them. Summaries that begin with \"Extension\", and members that begin with \"vestibule\", are this server's own.",
        },
        "servers": [{ "url": service }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } },
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({ "summary": route.summary, "parameters": parameters(route), "responses": responses(route) });
    operation["security"] = match route.needs {
        Needs::Nothing => json!([]),
        _ => json!([{ "bearer": [] }]),
    };
    let names = |permissions: &[Permission]| permissions.iter().map(|permission| permission.name()).collect::<Vec<_>>();
    operation["x-permissions"] = match route.needs {
        Needs::Nothing | Needs::Caller => json!({}),
        Needs::App(app) => json!({ "application": names(app) }),
        Needs::Person(person) => json!({ "delegated": names(person) }),
        Needs::AppOr { app, members, anybody } => {
            let delegated = if anybody.is_empty() { members } else { anybody };
            json!({ "application": names(app), "delegated": names(delegated) })
        }
    };
    if let Some(schema) = route.takes {
        operation["requestBody"] = json!({ "content": content(&reference(schema)) });
    }
    operation
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = route
        .path
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let options: &[&str] = match (&route.gives, route.method == http::Method::GET) {
        (Gives::Page(_), _) => &["$select", "$filter", "$top", "$count", "$orderby", "$skiptoken"],
        (Gives::One(_), true) if !matches!(route.run, Run::Document) => &["$select"],
        _ => &[],
    };
    let in_query = options.iter().map(|name| json!({ "name": name, "in": "query", "schema": { "type": "string" } }));
    in_path.chain(in_query).collect()
}

fn responses(route: &Route) -> Value {
    let (status, body) = match route.gives {
        Gives::Nothing => ("204", None),
        Gives::One(schema) => ("200", Some(reference(schema))),
        Gives::Created(schema) => ("201", Some(reference(schema))),
        Gives::Page(schema) => ("200", Some(page(schema))),
    };
    let mut well = json!({ "description": "Done." });
    if let Some(body) = body {
        well["content"] = content(&body);
    }
    json!({ status: well, "default": { "description": "Refused.", "content": content(&reference("error")) } })
}

fn page(schema: &str) -> Value {
    json!({
        "type": "object",
        "required": ["@odata.context", "value"],
        "properties": {
            "@odata.context": { "type": "string" },
            "@odata.count": { "type": "integer" },
            "@odata.nextLink": { "type": "string" },
            "value": { "type": "array", "items": reference(schema) },
        },
        "additionalProperties": false,
    })
}

fn content(schema: &Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every route is in the document, and nothing else; every schema that is named exists, and none is there in vain.
    #[test]
    fn the_document_and_the_routes_are_the_same() {
        let document = document("https://guests.example/v1.0");
        let mut described: Vec<(String, String)> = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            described.extend(methods.as_object().unwrap().keys().map(|method| (path.clone(), method.to_ascii_uppercase())));
        }
        let mut routed: Vec<_> = ROUTES.iter().map(|route| (route.path.to_owned(), route.method.to_string())).collect();
        described.sort();
        routed.sort();
        assert_eq!(described, routed);
        let text = document.to_string();
        let named: std::collections::BTreeSet<_> =
            text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let known: std::collections::BTreeSet<_> =
            document["components"]["schemas"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(named, known);
        for (path, methods) in document["paths"].as_object().unwrap() {
            for operation in methods.as_object().unwrap().values() {
                let open = path == "/openapi.json" || path == "/$batch";
                let permissions = operation["x-permissions"].as_object().unwrap();
                assert!(
                    open || permissions.values().all(|names| !names.as_array().unwrap().is_empty()) && !permissions.is_empty()
                );
            }
        }
    }
}
