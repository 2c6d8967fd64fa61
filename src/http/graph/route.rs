//! What a route is, and how a request finds its own.

use futures_util::future::BoxFuture;
use http::Method;

use super::{call::Call, table::ROUTES};
use crate::{
    domain::permission::Permission,
    odata::{Answer, Error, ErrorCode},
};

/// Which permission opens a route: any of those that are listed does, and so does one that implies it. There is no default: a
/// route that says nothing cannot be built (checklist A-02).
#[derive(Clone, Copy, Debug)]
pub(super) enum Needs {
    /// None: the answer says nothing of anybody.
    Nothing,
    /// A valid token; what is in the request is judged by itself.
    Caller,
    /// An app by itself.
    App(&'static [Permission]),
    /// A person through an app.
    Person(&'static [Permission]),
    /// An app by itself, or a person through an app.
    AppOr {
        /// For an app.
        app: &'static [Permission],
        /// In the name of a member.
        members: &'static [Permission],
        /// In the name of anybody, guests too.
        anybody: &'static [Permission],
    },
}

/// What a route answers when all is well, for the OpenAPI document.
#[derive(Clone, Copy, Debug)]
pub(super) enum Gives {
    /// 204 without a body.
    Nothing,
    /// 200 with an object of this schema.
    One(&'static str),
    /// 200 with a page of objects of this schema.
    Page(&'static str),
    /// 201 with an object of this schema.
    Created(&'static str),
}

/// What runs a route.
#[derive(Clone, Copy)]
pub(super) enum Run {
    /// The handler of a resource.
    Handler(fn(Call) -> BoxFuture<'static, Result<Answer, Error>>),
    /// It answers the OpenAPI document.
    Document,
    /// It is a batch: its items are run.
    Batch,
}

/// The route of a request, with its parameters in their order, or why there is none.
pub(super) type Found = Result<(&'static Route, Vec<String>), Error>;

/// A route.
pub(super) struct Route {
    pub(super) method: Method,
    /// Below the root of the API. Parameters are `{name}`, a whole segment or between two quotes in one.
    pub(super) path: &'static str,
    pub(super) needs: Needs,
    /// One sentence.
    pub(super) summary: &'static str,
    /// The schema of the body that it takes.
    pub(super) takes: Option<&'static str>,
    pub(super) gives: Gives,
    /// Whether it may mail an invitation.
    pub(super) mails: bool,
    pub(super) run: Run,
}

impl Route {
    /// The same, counted among what may mail an invitation.
    pub(super) const fn mailing(mut self) -> Self {
        self.mails = true;
        self
    }
}

/// The route of a request, with its parameters in their order.
///
/// # Errors
/// 404 when there is none with this path; 405 when there is, with other methods.
pub(super) fn find(method: &Method, path: &str) -> Found {
    let segments = segments(path).ok_or_else(no_route)?;
    let mut other_methods = false;
    for route in ROUTES {
        if let Some(parameters) = matched(route.path, &segments) {
            if route.method == method {
                return Ok((route, parameters));
            }
            other_methods = true;
        }
    }
    if other_methods {
        return Err(Error::new(ErrorCode::MethodNotAllowed, "The resource does not know this method."));
    }
    Err(no_route())
}

fn no_route() -> Error {
    Error::new(ErrorCode::ResourceNotFound, "There is no resource under this path.")
}

/// The segments of a path, each decoded once. What could be taken for another path by somebody else is none (checklist A-04).
fn segments(path: &str) -> Option<Vec<String>> {
    let mut segments = Vec::new();
    for segment in path.strip_prefix('/')?.split('/') {
        let decoded = decode(segment)?;
        let misleading = decoded.chars().any(|c| matches!(c, '/' | '\\') || c.is_control());
        if decoded.is_empty() || decoded == "." || decoded == ".." || misleading {
            return None;
        }
        segments.push(decoded);
    }
    Some(segments)
}

fn decode(segment: &str) -> Option<String> {
    let hex = |digit: Option<u8>| char::from(digit?).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' { (hex(bytes.next())? << 4) | hex(bytes.next())? } else { byte });
    }
    String::from_utf8(decoded).ok()
}

fn matched(template: &str, segments: &[String]) -> Option<Vec<String>> {
    let wanted = template.split('/').skip(1);
    if wanted.clone().count() != segments.len() {
        return None;
    }
    let mut parameters = Vec::new();
    for (wanted, segment) in wanted.zip(segments) {
        match wanted.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?.1))) {
            None if wanted == segment => {}
            None => return None,
            Some(("", "")) => parameters.push(segment.clone()),
            Some((before, after)) => parameters.push(quoted(segment.strip_prefix(before)?.strip_suffix(after)?)?),
        }
    }
    Some(parameters)
}

/// The value between two quotes, in which a quote is written twice (OData 4.01 part 2, section 5.1.1.14.1).
fn quoted(text: &str) -> Option<String> {
    let single = text.replace("''", "").contains('\'');
    (!single && !text.is_empty()).then(|| text.replace("''", "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: Method, path: &str) -> Option<(&'static str, Vec<String>)> {
        find(&method, path).ok().map(|(route, parameters)| (route.path, parameters))
    }

    #[test]
    fn a_04_a_path_leads_to_one_route_or_none() {
        assert_eq!(found(Method::GET, "/users"), Some(("/users", vec![])));
        assert_eq!(found(Method::GET, "/users/a%23b"), Some(("/users/{id}", vec!["a#b".into()])));
        let by_domain = "/tenantRelationships/findTenantInformationByDomainName(domainName=";
        for quote in ["'", "%27"] {
            let path = format!("{by_domain}{quote}abc.example{quote})");
            assert_eq!(found(Method::GET, &path).map(|found| found.1), Some(vec!["abc.example".into()]));
        }
        for nothing in [
            "",
            "/",
            "users",
            "//users",
            "/users/",
            "/users//x",
            "/./users",
            "/users/..",
            "/users/%2e%2e",
            "/users%2fx",
            "/users/%2f",
            "/users/%00",
            "/users/%",
            "/users/%f",
            "/users/%zz",
            "/users/%ff",
            "/Users",
            "/users/a/b/c/d",
        ] {
            assert_eq!(found(Method::GET, nothing), None, "{nothing}");
        }
        for unquoted in ["'a'b'", "''", "a", "'a"] {
            assert_eq!(found(Method::GET, &format!("{by_domain}{unquoted})")), None, "{unquoted}");
        }
        assert_eq!(find(&Method::PUT, "/users").err().map(|error| error.status().as_u16()), Some(405));
        assert_eq!(find(&Method::GET, "/invitations").err().map(|error| error.status().as_u16()), Some(405));
    }

    #[test]
    fn a_02_no_two_routes_are_the_same_and_every_one_names_permissions() {
        for (at, route) in ROUTES.iter().enumerate() {
            assert!(!ROUTES[..at].iter().any(|other| other.method == route.method && other.path == route.path), "{}", route.path);
            let named = match route.needs {
                Needs::Nothing => route.path == "/openapi.json",
                Needs::Caller => route.path == "/$batch",
                Needs::App(any) | Needs::Person(any) => !any.is_empty(),
                Needs::AppOr { app, members, anybody } => {
                    [app, [members, anybody].concat().as_slice()].iter().all(|any| !any.is_empty())
                }
            };
            assert!(named, "{} {}", route.method, route.path);
        }
    }
}
