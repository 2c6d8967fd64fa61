//! A person's browser without JavaScript, or any other HTTP client: cookies, forms, redirects, one step at a time.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::{
    Method, RequestBuilder, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{ACCEPT, COOKIE, HeaderMap, HeaderValue, LOCATION, ORIGIN},
    redirect::Policy,
};
use serde_json::Value;
use url::Url;

use super::{
    jar::Jar,
    page::{Action, Page},
    process::Demo,
    rules,
};

/// How many redirects in a row are followed.
const HOPS: usize = 20;

/// An answer, whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) url: Url,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// A header's value, empty when absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Asserts the status; prints the body when it is another.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}: {:?}\n{}", self.url, self.headers, self.body);
        self
    }

    /// Where it redirects to.
    pub(crate) fn location(&self) -> Option<Url> {
        self.status.is_redirection().then(|| self.url.join(self.header(LOCATION.as_str())).expect("a Location"))
    }

    /// Where a browser goes next by itself: a redirect or a refresh.
    pub(crate) fn onward(&self) -> Option<Url> {
        self.location().or_else(|| rules::is_html(&self.headers).then(|| self.page().refresh()).flatten())
    }

    /// The page in it.
    pub(crate) fn page(&self) -> Page {
        Page::parse(&self.url, &self.body)
    }

    /// The JSON in it.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{}: {error} in {}", self.url, self.body))
    }

    /// The VB code that it names.
    pub(crate) fn code(&self) -> Option<&str> {
        let starts = self.body.match_indices("VB").map(|(at, _)| at);
        starts.filter_map(|at| self.body.get(at..at + 6)).find(|code| code[2..].bytes().all(|b| b.is_ascii_digit()))
    }

    /// Asserts a refusal: its status and its code.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.code(), Some(code), "{}\n{}", answer.url, answer.body);
        answer
    }
}

/// One browser profile.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    http: reqwest::Client,
    pub(crate) jar: Jar,
    /// The origins whose pages must obey the rules for pages.
    provider: Vec<String>,
    /// The origins that are not ours: the rules for cookies are not theirs.
    pub(crate) foreign: Vec<String>,
    /// The page that is shown.
    here: Option<Url>,
    /// The last form that was sent.
    pub(crate) last_post: Option<Action>,
    /// Whether a server that is gone is expected; its answer is then [`GONE`].
    pub(crate) may_crash: bool,
    /// Which nodes of the provider are asked, when no proxy chooses.
    pub(crate) direct: Option<Direct>,
}

/// A way past the proxy, with what it would have told the nodes.
#[derive(Clone, Debug)]
pub(crate) struct Direct {
    nodes: Vec<SocketAddr>,
    asked: Arc<AtomicUsize>,
}

impl Direct {
    /// To these nodes in turn.
    pub(crate) fn to(nodes: Vec<SocketAddr>) -> Self {
        Self { nodes, asked: Arc::default() }
    }

    fn steer(&self, request: &mut reqwest::Request) {
        let public = request.url()[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
        let node = self.nodes[self.asked.fetch_add(1, Ordering::Relaxed) % self.nodes.len()];
        request.url_mut().set_ip_host(node.ip()).expect("a host");
        request.url_mut().set_port(Some(node.port())).expect("a port");
        for (name, value) in [("host", public.as_str()), ("x-forwarded-host", &public), ("x-forwarded-for", "127.0.0.1")] {
            request.headers_mut().insert(name, value.parse().expect("a header"));
        }
        request.headers_mut().insert("x-forwarded-proto", HeaderValue::from_static("http"));
    }
}

/// What stands for the answer of a server that died over a request.
pub(crate) const GONE: u16 = 599;

impl Visitor {
    /// A profile that has never been anywhere.
    pub(crate) fn new(demo: &Demo) -> Self {
        Self::of(vec![demo.origin()])
    }

    /// The same for providers at these origins.
    pub(crate) fn of(provider: Vec<String>) -> Self {
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(60))
            .dns_resolver(Arc::new(Loopback))
            .build()
            .expect("a client");
        let (jar, foreign) = (Jar::default(), Vec::new());
        Self { http, jar, provider, foreign, here: None, last_post: None, may_crash: false, direct: None }
    }

    /// The same profile after the network was away: no connection is left open.
    pub(crate) fn reconnected(self) -> Self {
        let Self { jar, provider, foreign, here, last_post, direct, .. } = self;
        Self { jar, foreign, here, last_post, direct, ..Self::of(provider) }
    }

    /// Types an address into the browser.
    pub(crate) async fn open(&mut self, url: &str) -> Answer {
        let url = Url::parse(url).unwrap_or_else(|error| panic!("{error}: {url}"));
        self.here = None;
        self.navigate(Method::GET, &url, None).await
    }

    /// [Opens](Self::open) an address and goes wherever it leads.
    pub(crate) async fn visit(&mut self, url: &str) -> Answer {
        let answer = self.open(url).await;
        self.follow(answer).await
    }

    /// Presses the link or button `id`, with `typed` (id, text) in the fields.
    pub(crate) async fn press(&mut self, page: &Page, id: &str, typed: &[(&str, &str)]) -> Answer {
        self.here = Some(page.url.clone());
        self.act(page.press(id, typed)).await
    }

    /// Sends what pressing something sends.
    pub(crate) async fn act(&mut self, action: Action) -> Answer {
        if let Action::Post(..) = action {
            self.last_post = Some(action.clone());
        }
        match action {
            Action::Get(url) => self.navigate(Method::GET, &url, None).await,
            Action::Post(url, fields) => self.navigate(Method::POST, &url, Some(&fields)).await,
        }
    }

    /// Follows redirects and refreshes to the page at their end.
    pub(crate) async fn follow(&mut self, answer: Answer) -> Answer {
        match self.follow_until(answer, "nowhere:").await {
            Ok(url) => unreachable!("{url}"),
            Err(answer) => answer,
        }
    }

    /// Follows redirects and refreshes; `Ok` with the URL, not fetched, as soon as one begins with `prefix`.
    pub(crate) async fn follow_until(&mut self, mut answer: Answer, prefix: &str) -> Result<Url, Answer> {
        for _ in 0..HOPS {
            let Some(next) = answer.onward() else { return Err(answer) };
            if next.as_str().starts_with(prefix) {
                return Ok(next);
            }
            self.here = Some(answer.url);
            answer = self.navigate(Method::GET, &next, None).await;
        }
        panic!("more than {HOPS} redirects, the last to {}", answer.url);
    }

    async fn navigate(&mut self, method: Method, url: &Url, fields: Option<&[(String, String)]>) -> Answer {
        let mut request = self
            .request(method, url)
            .header(ACCEPT, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
            .header("sec-fetch-dest", "document")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-site", self.site_of(url))
            .header("upgrade-insecure-requests", "1");
        if let Some(fields) = fields {
            let origin = self.here.as_ref().map_or_else(|| "null".to_owned(), |here| here.origin().ascii_serialization());
            request = request.header(ORIGIN, origin).form(fields);
        }
        self.send(request).await
    }

    fn site_of(&self, url: &Url) -> &'static str {
        match &self.here {
            None => "none",
            Some(here) if here.origin() == url.origin() => "same-origin",
            Some(here) if here.host_str() == url.host_str() => "same-site",
            Some(_) => "cross-site",
        }
    }

    /// A bare request with this profile's cookies and nothing else.
    pub(crate) fn request(&self, method: Method, url: &Url) -> RequestBuilder {
        let request = self.http.request(method, url.clone());
        match self.jar.header(url) {
            Some(cookies) => request.header(COOKIE, cookies),
            None => request,
        }
    }

    /// Sends a request, checks the answer against the rules, and keeps its cookies.
    pub(crate) async fn send(&mut self, request: RequestBuilder) -> Answer {
        let answer = self.receive(request).await;
        self.jar.store(&answer.url, &answer.headers);
        answer
    }

    /// The same without keeping cookies, for requests side by side.
    pub(crate) async fn receive(&self, request: RequestBuilder) -> Answer {
        let mut request = request.build().unwrap_or_else(|error| panic!("{error:?}"));
        let url = request.url().clone();
        if let Some(direct) = self.direct.as_ref().filter(|_| self.provider.contains(&url.origin().ascii_serialization())) {
            direct.steer(&mut request);
        }
        let received = async {
            let response = self.http.execute(request).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            Ok::<_, reqwest::Error>((status, headers, response.bytes().await?))
        };
        let (status, headers, body) = match received.await {
            Ok(received) => received,
            Err(_) if self.may_crash => {
                let status = StatusCode::from_u16(GONE).expect("a status");
                return Answer { url, status, headers: HeaderMap::new(), body: String::new() };
            }
            Err(error) => panic!("{url}: {error:?}"),
        };
        let body = String::from_utf8_lossy(&body).into_owned();
        if !self.foreign.contains(&url.origin().ascii_serialization()) {
            rules::check_cookies(&url, &headers);
        }
        rules::check_location(&url, &headers);
        if self.provider.contains(&url.origin().ascii_serialization()) {
            rules::check_page(&url, &headers, &body);
            assert!(!matches!(status.as_u16(), 307 | 308), "S-43: {url}: {status}");
            // 502 is our word for what a home organisation answers, and for nothing else.
            let theirs = status == 502 && body.contains("VB3002");
            assert!(!status.is_server_error() || status == 503 || theirs, "{url}: {status}\n{body}");
        }
        Answer { url, status, headers, body }
    }

    /// A program's GET: asks for JSON, is no navigation.
    pub(crate) async fn get_json(&mut self, url: &str) -> Answer {
        let url = Url::parse(url).unwrap_or_else(|error| panic!("{error}: {url}"));
        let request = self.request(Method::GET, &url).header(ACCEPT, "application/json");
        self.send(request).await
    }
}

/// Every `*.localhost` is this machine, as browsers have it (RFC 6761 6.3); nothing else is looked up.
#[derive(Debug)]
struct Loopback;

impl Resolve for Loopback {
    fn resolve(&self, name: Name) -> Resolving {
        let known = name.as_str() == "localhost" || name.as_str().ends_with(".localhost");
        Box::pin(async move {
            if !known {
                return Err(format!("{} is not on this machine", name.as_str()).into());
            }
            Ok(Box::new(std::iter::once(SocketAddr::from(([127, 0, 0, 1], 0)))) as Addrs)
        })
    }
}
