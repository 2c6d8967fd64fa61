//! Whether an answer is what the OpenAPI document says of it.

use std::sync::Arc;

use serde_json::Value;

/// The document that the server serves.
#[derive(Clone)]
pub(super) struct Document(pub(super) Arc<Value>);

impl Document {
    pub(super) async fn read(http: &reqwest::Client, service: &str) -> Self {
        let answer = http.get(format!("{service}/openapi.json")).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        Self(Arc::new(answer.json().await.expect("JSON")))
    }

    /// All routes: method, path, and the names of the permissions that open it to an app.
    pub(super) fn routes(&self) -> Vec<(String, String, Vec<String>)> {
        let mut routes = Vec::new();
        for (path, methods) in self.0["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                let permissions = operation["x-permissions"]["application"].as_array().cloned().unwrap_or_default();
                let permissions = permissions.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
                routes.push((method.to_ascii_uppercase(), path.clone(), permissions));
            }
        }
        routes
    }

    /// Asserts that a status and body are as described.
    #[track_caller]
    pub(super) fn check(&self, method: &str, path: &str, status: u16, body: &Value) {
        let paths = self.0["paths"].as_object().expect("paths");
        let fits = |template: &str| {
            let (wanted, given): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
            wanted.len() == given.len()
                && wanted.iter().zip(given).all(|(wanted, given)| match wanted.split_once('{') {
                    Some((before, _)) => given.starts_with(before),
                    None => *wanted == given,
                })
        };
        // The most literal one: `{id}` is also what others are called.
        let template = paths.keys().filter(|template| fits(template)).min_by_key(|template| template.matches('{').count());
        let Some(template) = template else {
            assert!(status >= 400, "{method} {path} is not described");
            return self.valid(&self.schema("error"), body, "error");
        };
        let responses = &paths[template][method.to_ascii_lowercase()]["responses"];
        if status >= 400 {
            return self.valid(&self.schema("error"), body, "error");
        }
        let described = &responses[status.to_string()];
        assert!(described.is_object(), "{method} {template}: {status} is not described");
        match described.pointer("/content/application~1json/schema") {
            Some(schema) => self.valid(schema, body, template),
            None => assert!(body.is_null(), "{method} {template}: {body}"),
        }
    }

    fn schema(&self, name: &str) -> Value {
        self.0["components"]["schemas"][name].clone()
    }

    #[track_caller]
    fn valid(&self, schema: &Value, value: &Value, at: &str) {
        if let Some(reference) = schema["$ref"].as_str() {
            return self.valid(&self.schema(reference.rsplit('/').next().expect("a name")), value, at);
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let is = |name: &str| match name {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "boolean" => value.is_boolean(),
            _ => value.is_null(),
        };
        assert!(types.is_empty() || types.into_iter().any(is), "{at}: {value} is no {}", schema["type"]);
        if let Some(known) = schema["enum"].as_array() {
            assert!(known.contains(value), "{at}: {value} is none of {known:?}");
        }
        assert!(schema.get("const").is_none_or(|only| only == value), "{at}: {value}");
        if let (Some(members), Some(properties)) = (value.as_object(), schema["properties"].as_object()) {
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                assert!(members.contains_key(name), "{at}: {name} is missing in {value}");
            }
            for (name, member) in members {
                match properties.get(name) {
                    Some(schema) => self.valid(schema, member, &format!("{at}.{name}")),
                    None => assert_ne!(schema["additionalProperties"], false, "{at}: {name} is not described"),
                }
            }
        }
        for item in value.as_array().into_iter().flatten().filter(|_| schema["items"].is_object()) {
            self.valid(&schema["items"], item, at);
        }
    }
}
