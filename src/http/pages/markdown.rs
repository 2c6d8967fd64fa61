//! Terms as HTML: CommonMark or plain text in, nothing but harmless markup out.
//!
//! Documents are what a tenant uploads, so they are hostile until rendered (checklist B-06, B-07). Raw HTML in Markdown is
//! shown as the text it is; what the renderer makes is then cleaned by an allow-list: no pictures (they would tell others
//! who reads), no SVG or MathML, links to `https` and `mailto` only, and those open elsewhere without a referrer.

use std::{collections::HashSet, fmt, sync::LazyLock};

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

/// HTML that [`markdown`] or [`plain_text`] made. There is no other way to make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered(String);

impl Rendered {
    /// What follows under a heading that says `title`: all of it, but for a first heading that says the same.
    #[must_use]
    pub fn under(self, title: &str) -> Self {
        let first = self.0.strip_prefix("<h2>").and_then(|rest| rest.split_once("</h2>"));
        match first.filter(|(heading, _)| *heading == title) {
            Some((_, rest)) => Self(rest.trim_start().to_owned()),
            None => self,
        }
    }
}

impl fmt::Display for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// Cleaned by the allow-list below, or escaped whole.
impl askama::filters::HtmlSafe for Rendered {}

static CLEANER: LazyLock<ammonia::Builder<'static>> = LazyLock::new(|| {
    let tags = [
        "a",
        "b",
        "blockquote",
        "br",
        "code",
        "dd",
        "del",
        "dl",
        "dt",
        "em",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "li",
        "ol",
        "p",
        "pre",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    ];
    let mut cleaner = ammonia::Builder::empty();
    cleaner
        .tags(HashSet::from(tags))
        .generic_attributes(HashSet::new())
        .tag_attributes([("a", HashSet::from(["href"])), ("ol", HashSet::from(["start"]))].into())
        .url_schemes(HashSet::from(["https", "mailto"]))
        .url_relative(ammonia::UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"))
        .set_tag_attribute_value("a", "target", "_blank");
    cleaner
});

/// CommonMark with tables and strikethrough. Headings move down a level, since the page has the first.
#[must_use]
pub fn markdown(source: &str) -> Rendered {
    let events = Parser::new_ext(source, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH).map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        // A paragraph around raw HTML that is shown as text.
        Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
        Event::Start(Tag::Heading { level, .. }) => {
            Event::Start(Tag::Heading { level: lower(level), id: None, classes: Vec::new(), attrs: Vec::new() })
        }
        Event::End(TagEnd::Heading(level)) => Event::End(TagEnd::Heading(lower(level))),
        // A code block keeps its text; the language would become a class.
        Event::Start(Tag::CodeBlock(_)) => {
            Event::Start(Tag::CodeBlock(pulldown_cmark::CodeBlockKind::Fenced(CowStr::Borrowed(""))))
        }
        event => event,
    });
    let mut rendered = String::new();
    html::push_html(&mut rendered, events);
    Rendered(CLEANER.clean(&rendered).to_string())
}

fn lower(level: pulldown_cmark::HeadingLevel) -> pulldown_cmark::HeadingLevel {
    use pulldown_cmark::HeadingLevel::{H2, H3, H4, H5, H6};
    match level as u8 {
        1 => H2,
        2 => H3,
        3 => H4,
        4 => H5,
        _ => H6,
    }
}

/// Plain text: empty lines part paragraphs, line breaks stay.
#[must_use]
pub fn plain_text(source: &str) -> Rendered {
    let source = source.replace("\r\n", "\n");
    let mut rendered = String::new();
    for paragraph in source.split("\n\n").map(str::trim_end).filter(|paragraph| !paragraph.trim().is_empty()) {
        let escaped = paragraph.trim_start_matches('\n').replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        rendered.push_str("<p>");
        rendered.push_str(&escaped.replace('\n', "<br>"));
        rendered.push_str("</p>\n");
    }
    Rendered(rendered)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that may stand in rendered HTML besides text.
    fn assert_inert(html: &str, source: &str) {
        let mut rest = html;
        while let Some(start) = rest.find('<') {
            let end = rest[start..].find('>').map(|end| start + end).unwrap_or_else(|| panic!("open tag: {source:?}"));
            let tag = rest[start + 1..end].trim_start_matches('/').trim_end_matches('/').trim();
            let name = tag.split_ascii_whitespace().next().unwrap_or_default();
            let allowed = [
                "p",
                "h2",
                "h3",
                "h4",
                "h5",
                "h6",
                "a",
                "ul",
                "ol",
                "li",
                "em",
                "strong",
                "code",
                "pre",
                "blockquote",
                "br",
                "hr",
                "del",
                "table",
                "thead",
                "tbody",
                "tr",
                "th",
                "td",
            ];
            assert!(allowed.contains(&name), "<{tag}> from {source:?}: {html}");
            for attribute in tag.split_ascii_whitespace().skip(1).filter(|part| part.contains('=')) {
                let name = attribute.split('=').next().unwrap_or_default();
                assert!(["href", "rel", "target", "start"].contains(&name), "{attribute} from {source:?}: {html}");
                if name == "href" {
                    assert!(attribute.starts_with("href=\"https:") || attribute.starts_with("href=\"mailto:"), "{html}");
                }
            }
            rest = &rest[end + 1..];
        }
    }

    /// B-07: terms cannot carry script, style, pictures, frames or foreign content, in Markdown or as plain text.
    #[test]
    fn b_07_hostile_documents_are_inert() {
        for line in include_str!("../../../fixtures/hostile-markup.txt").lines().filter(|line| !line.starts_with("# ")) {
            let source = line.replace("\\n", "\n").replace("\\t", "\t");
            for rendered in [markdown(&source), plain_text(&source), markdown(&format!("[x]({source})"))] {
                assert_inert(&rendered.0, &source);
            }
        }
    }

    #[test]
    fn common_documents_keep_their_shape() {
        let rendered =
            markdown("# Terms\n\n1. *One*\n2. [Two](https://contoso.example/a?b=c&d)\n\n|a|b|\n|-|-|\n|1|2|\n\n<b>raw</b>").0;
        for part in [
            "<h2>Terms</h2>",
            "<ol>",
            "<em>One</em>",
            "href=\"https://contoso.example/a?b=c&amp;d\"",
            "<td>1</td>",
            "&lt;b&gt;raw",
        ] {
            assert!(rendered.contains(part), "{part}: {rendered}");
        }
        assert!(rendered.contains("rel=\"noopener noreferrer nofollow\"") && rendered.contains("target=\"_blank\""));
    }

    #[test]
    fn a_title_is_not_said_twice() {
        assert_eq!(markdown("# Terms\n\nOne").under("Terms").0, "<p>One</p>\n");
        for other in ["# Terms of use\n\nOne", "## Terms\n\nOne", "Terms\n\nOne", "One\n\n# Terms\n"] {
            assert_eq!(markdown(other).under("Terms"), markdown(other), "{other}");
        }
    }

    #[test]
    fn plain_text_keeps_its_lines() {
        assert_eq!(plain_text("a & b\r\nc\n\n\n<d>\n").0, "<p>a &amp; b<br>c</p>\n<p>&lt;d&gt;</p>\n");
    }
}
