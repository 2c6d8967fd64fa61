//! A page as a person without JavaScript uses it: elements by id, forms, text.
//!
//! A small reader of well-formed HTML (what our templates write), not a general parser.

use url::Url;

/// An opening tag.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    /// The form that it is in, by its place among the page's forms.
    form: Option<usize>,
}

impl Element {
    /// The value of an attribute, entities resolved.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// What pressing something sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Get(Url),
    Post(Url, Vec<(String, String)>),
}

/// A page.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) url: Url,
    pub(crate) elements: Vec<Element>,
    /// What is read, tags removed and white space collapsed.
    pub(crate) text: String,
}

impl Page {
    /// Reads the page that was answered from `url`.
    pub(crate) fn parse(url: &Url, html: &str) -> Self {
        let (mut elements, mut text, mut rest) = (Vec::new(), String::new(), html);
        let (mut forms, mut form) = (0, None);
        while let Some(start) = rest.find('<') {
            text.push_str(&rest[..start]);
            rest = &rest[start..];
            if let Some(comment) = rest.strip_prefix("<!--") {
                rest = comment.split_once("-->").map_or("", |(_, after)| after);
                continue;
            }
            let (tag, after) = split_tag(&rest[1..]);
            rest = after;
            text.push(' ');
            let name = tag.split([' ', '\n', '\t', '/']).next().unwrap_or_default().to_ascii_lowercase();
            if tag.starts_with("/form") {
                form = None;
            }
            if name.is_empty() || name.starts_with('!') {
                continue;
            }
            if name == "form" {
                form = Some(forms);
                forms += 1;
            }
            elements.push(Element { attributes: attributes(&tag[name.len()..]), form, name: name.clone() });
            if matches!(name.as_str(), "script" | "style" | "title") {
                rest = rest.find(&format!("</{name}")).map_or("", |end| &rest[end..]);
            }
        }
        text.push_str(rest);
        let text = unescape(&text.split_whitespace().collect::<Vec<_>>().join(" "));
        Self { url: url.clone(), elements, text }
    }

    /// The element with this id.
    pub(crate) fn element(&self, id: &str) -> Option<&Element> {
        self.elements.iter().find(|element| element.attribute("id") == Some(id))
    }

    /// Whether there is an element with this id.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.element(id).is_some()
    }

    /// Where the page leads by itself (`<meta http-equiv="refresh">`).
    pub(crate) fn refresh(&self) -> Option<Url> {
        let meta = self.elements.iter().find(|e| e.attribute("http-equiv").is_some_and(|v| v.eq_ignore_ascii_case("refresh")))?;
        let (_, target) = meta.attribute("content")?.split_once("url=")?;
        self.url.join(target.trim_matches(['\'', '"'])).ok()
    }

    /// Every link and form target of the page.
    pub(crate) fn targets(&self) -> Vec<Url> {
        let names = ["href", "action", "formaction", "src"];
        let values = self.elements.iter().flat_map(|e| names.iter().filter_map(|name| e.attribute(name)));
        values.filter_map(|value| self.url.join(value).ok()).collect()
    }

    /// What pressing the link or button `id` sends, with `typed` (id, text) in the fields of its form.
    pub(crate) fn press(&self, id: &str, typed: &[(&str, &str)]) -> Action {
        let pressed = self.element(id).unwrap_or_else(|| panic!("no {id} on the page {}: {}", self.url, self.text));
        if pressed.name == "a" {
            return Action::Get(self.url.join(pressed.attribute("href").unwrap_or_default()).expect("a link"));
        }
        let forms: Vec<_> = self.elements.iter().filter(|element| element.name == "form").collect();
        let index = match pressed.attribute("form") {
            Some(form) => forms.iter().position(|element| element.attribute("id") == Some(form)),
            None => pressed.form,
        };
        let form = index.and_then(|index| forms.get(index)).unwrap_or_else(|| panic!("{id} is in no form"));
        let target = pressed.attribute("formaction").or_else(|| form.attribute("action")).filter(|action| !action.is_empty());
        let mut url = target.map_or_else(|| self.url.clone(), |action| self.url.join(action).expect("an action"));
        let fields = self.fields(index, form.attribute("id"), pressed, typed);
        if form.attribute("method").is_some_and(|method| method.eq_ignore_ascii_case("post")) {
            return Action::Post(url, fields);
        }
        url.query_pairs_mut().clear().extend_pairs(fields);
        Action::Get(url)
    }

    fn fields(
        &self,
        form: Option<usize>,
        form_id: Option<&str>,
        pressed: &Element,
        typed: &[(&str, &str)],
    ) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        for element in &self.elements {
            let owner = element.attribute("form");
            let inside = if owner.is_some() { owner == form_id } else { element.form == form };
            let Some(name) = element.attribute("name").filter(|_| inside) else { continue };
            let kind = element.attribute("type").unwrap_or_default();
            let sent = match element.name.as_str() {
                "button" => std::ptr::eq(element, pressed),
                "input" if matches!(kind, "submit" | "button") => std::ptr::eq(element, pressed),
                "input" if matches!(kind, "checkbox" | "radio") => element.attribute("checked").is_some(),
                "input" | "textarea" => true,
                _ => false,
            };
            if sent {
                let text = typed.iter().find(|(id, _)| element.attribute("id") == Some(id)).map(|(_, text)| *text);
                fields.push((name.to_owned(), text.or(element.attribute("value")).unwrap_or_default().to_owned()));
            }
        }
        for (id, _) in typed {
            assert!(self.has(id), "no {id} on the page {}: {}", self.url, self.text);
        }
        fields
    }
}

/// Splits after the `>` that ends the tag, which is not one inside quotes.
fn split_tag(text: &str) -> (&str, &str) {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, '>') => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
    }
    (text, "")
}

fn attributes(mut text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    loop {
        text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        let end = text.find(|c: char| c.is_whitespace() || c == '=' || c == '/').unwrap_or(text.len());
        if end == 0 {
            return found;
        }
        let name = text[..end].to_ascii_lowercase();
        text = &text[end..];
        let mut value = String::new();
        if let Some(after) = text.trim_start().strip_prefix('=') {
            let after = after.trim_start();
            let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
            let (raw, rest) = match quote {
                Some(quote) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
                None => after.split_at(after.find(char::is_whitespace).unwrap_or(after.len())),
            };
            value = unescape(raw);
            text = rest;
        }
        found.push((name, value));
    }
}

/// Resolves the character references that templates write.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let reference = after.split_once(';').filter(|(name, _)| name.len() <= 8);
        let resolved = reference.and_then(|(name, rest)| Some((character(name)?, rest)));
        out.push(resolved.map_or('&', |(c, _)| c));
        rest = resolved.map_or(after, |(_, rest)| rest);
    }
    out + rest
}

fn character(name: &str) -> Option<char> {
    let number = name.strip_prefix('#').map(|digits| match digits.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok().and_then(char::from_u32),
        None => digits.parse().ok().and_then(char::from_u32),
    });
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        "hellip" => Some('…'),
        _ => number.flatten(),
    }
}

#[test]
fn the_page_reader_reads_forms_as_a_browser_does() {
    let url = Url::parse("http://a.example/x?y=1").expect("a URL");
    let page = Page::parse(
        &url,
        r#"<!doctype html><meta http-equiv="refresh" content="0; url=/next?a=1&amp;b=2"><h1>Hi &#x27;you&#39; &amp; me</h1>
        <form method="post" action="/go" id="f"><input type=hidden name=token value="a&quot;>b"><input id=email name=email>
        <input type="checkbox" name="no"><button id="cancel" name="do" value="cancel">C</button><button id="next">N</button></form>
        <a id="switch-account" href="?z">s</a><form><input name="q" value="1"><button id="organisation-next"></button></form>"#,
    );
    let fields = |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>();
    let go = url.join("/go").expect("a URL");
    assert_eq!(
        page.press("next", &[("email", "x@y")]),
        Action::Post(go.clone(), fields(&[("token", "a\">b"), ("email", "x@y")]))
    );
    assert_eq!(page.press("cancel", &[]), Action::Post(go, fields(&[("token", "a\">b"), ("email", ""), ("do", "cancel")])));
    assert_eq!(page.press("switch-account", &[]), Action::Get(url.join("?z").expect("a URL")));
    assert_eq!(page.press("organisation-next", &[]), Action::Get(url.join("?q=1").expect("a URL")));
    assert_eq!(page.refresh(), url.join("/next?a=1&b=2").ok());
    assert!(page.text.contains("Hi 'you' & me"), "{}", page.text);
}
