//! Languages: which one a person is spoken to in, and the sentences of the pages in each.
//!
//! The sentences are Fluent files in `locales/`, embedded at build time. Adding a language takes a folder there and a
//! variant of [`Language`]; a test then names every sentence that is still missing. The sentences of refusals come from
//! [`Code`] in English and from `errors.ftl` elsewhere.

use std::{
    borrow::{Borrow, Cow},
    collections::HashMap,
    fmt::{self, Display, Write},
};

use fluent_langneg::{NegotiationStrategy, negotiate_languages};
use fluent_templates::{LanguageIdentifier, Loader, fluent_bundle::FluentValue, static_loader};
use jiff::{Timestamp, tz::TimeZone};

use crate::{domain::LanguageTag, error::Code};

static_loader! {
    static SENTENCES = {
        locales: "./locales",
        fallback_language: "en",
    };
}

/// How many wishes of one header or parameter are looked at.
const MOST_WISHES: usize = 16;

/// A language that the pages are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// English, which every other language falls back to.
    #[default]
    English,
    /// German.
    German,
}

impl Language {
    /// All of them, the fallback first.
    pub const ALL: &[Self] = &[Self::English, Self::German];

    /// The BCP 47 tag, for `lang` attributes and `Content-Language`.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// The sentence with this key. Give it its arguments, then display it (as HTML) or take it [plain](Phrase::plain).
    pub fn phrase(self, key: &str) -> Phrase<'_> {
        Phrase { language: self, key, args: HashMap::new() }
    }

    /// What happened, for people.
    #[must_use]
    pub fn sentence(self, code: impl Borrow<Code>) -> String {
        let code = *code.borrow();
        unbroken(&self.of_code(code.name()).unwrap_or_else(|| code.sentence().to_owned()))
    }

    /// What to do next, for people.
    #[must_use]
    pub fn next_step(self, code: impl Borrow<Code>) -> String {
        let code = *code.borrow();
        unbroken(&self.of_code(&format!("{}.next", code.name())).unwrap_or_else(|| code.next_step().to_owned()))
    }

    fn of_code(self, key: &str) -> Option<String> {
        SENTENCES.lookup_single_language::<&str>(&self.identifier(), key, None).ok()
    }

    /// A day as people write it, such as `22 November 2026`, in UTC.
    #[must_use]
    pub fn day(self, at: impl Borrow<Timestamp>) -> String {
        let at = at.borrow().to_zoned(TimeZone::UTC);
        let month = self.phrase(&format!("month-{}", at.month())).plain();
        self.phrase("day").with("day", at.day()).with("month", month).with("year", at.year()).plain()
    }

    /// What a language is called, such as `German`; its tag where there is no name for it.
    #[must_use]
    pub fn name_of(self, language: &LanguageTag) -> String {
        let key = format!("language-{}", language.primary());
        SENTENCES.try_lookup(&self.identifier(), &key).unwrap_or_else(|| language.to_string())
    }

    fn identifier(self) -> LanguageIdentifier {
        // The tags above are literals, and a test parses each.
        self.tag().parse().unwrap_or_default()
    }
}

/// A sentence with its arguments.
///
/// Shown as HTML by `Display`: text and arguments escaped, each argument in a `<bdi>`, so that a name in another script
/// cannot rearrange the sentence around it.
#[derive(Clone, Debug)]
#[must_use]
pub struct Phrase<'a> {
    language: Language,
    key: &'a str,
    args: HashMap<Cow<'static, str>, FluentValue<'static>>,
}

impl Phrase<'_> {
    /// Sets the argument `name` to a text. Characters that steer writing direction are dropped from it.
    pub fn with(mut self, name: &'static str, value: impl Display) -> Self {
        let text: String = value.to_string().chars().filter(|c| !steers_direction(*c)).collect();
        self.args.insert(name.into(), text.into());
        self
    }

    /// Sets the argument `name` to a number, which may choose the plural form.
    pub fn count(mut self, name: &'static str, value: impl Borrow<u32>) -> Self {
        self.args.insert(name.into(), (*value.borrow()).into());
        self
    }

    /// The sentence as plain text, for titles, attributes and mails: without marks, and without the places where long words
    /// may be broken.
    #[must_use]
    pub fn plain(&self) -> String {
        self.marked().chars().filter(|c| !matches!(c, '\u{ad}' | '\u{2068}' | '\u{2069}')).collect()
    }

    /// The sentence, every argument between U+2068 and U+2069.
    fn marked(&self) -> String {
        let found = SENTENCES.try_lookup_complete(&self.language.identifier(), self.key, Some(&self.args));
        // Not reachable while the tests pass; a page with a hole in it is better than none.
        found.unwrap_or_else(|| format!("\u{27e6}{}\u{27e7}", self.key))
    }
}

impl Display for Phrase<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.marked().chars().try_for_each(|c| match c {
            '\u{2068}' => f.write_str("<bdi>"),
            '\u{2069}' => f.write_str("</bdi>"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '&' => f.write_str("&amp;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c => f.write_char(c),
        })
    }
}

// `Display` above escapes.
impl askama::filters::HtmlSafe for Phrase<'_> {}

/// A sentence whose *e-mail* stays on one line: browsers break after a hyphen, unless it is U+2011.
fn unbroken(sentence: &str) -> String {
    sentence.replace("e-mail", "e\u{2011}mail").replace("E-Mail", "E\u{2011}Mail")
}

/// Marks, embeddings, overrides and isolates of the Unicode Bidirectional Algorithm.
fn steers_direction(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What is known of the languages a person reads, best first, and what comes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Languages {
    /// The wishes, best first, without repetition; agreements are shown in the first of them that there is a file for.
    pub wished: Vec<LanguageTag>,
    /// The language of the pages.
    pub page: Language,
}

impl Languages {
    /// Weighs what the client asked for (`ui_locales`, OpenID Connect Core 3.1.2.1), the browser's `Accept-Language`
    /// (RFC 9110 section 12.5.4), the guest's recorded preference and the tenant's default, in this order.
    ///
    /// Anything malformed is passed over; at most 16 wishes of each text count.
    #[must_use]
    pub fn from(
        ui_locales: Option<&str>,
        accept_language: Option<&str>,
        guest: Option<&LanguageTag>,
        tenant: Option<&LanguageTag>,
    ) -> Self {
        let asked = ui_locales.into_iter().flat_map(|list| list.split_ascii_whitespace().take(MOST_WISHES));
        let asked = asked.filter_map(|tag| tag.parse().ok());
        let browser = accept_language.map(by_weight).unwrap_or_default();
        let mut wished: Vec<LanguageTag> = Vec::new();
        for tag in asked.chain(browser).chain(guest.cloned()).chain(tenant.cloned()) {
            if !wished.contains(&tag) {
                wished.push(tag);
            }
        }
        let page = best_of(&wished);
        Self { wished, page }
    }
}

/// The tags of an `Accept-Language` header, heaviest first; those with weight 0 are left out.
fn by_weight(header: &str) -> Vec<LanguageTag> {
    let mut weighted: Vec<(f32, LanguageTag)> = header
        .split(',')
        .take(MOST_WISHES)
        .filter_map(|range| {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let weight = match parameters.trim().strip_prefix("q=") {
                Some(weight) => weight.trim().parse().ok().filter(|q| (0.0..=1.0).contains(q))?,
                None => 1.0,
            };
            Some((weight, tag.trim().parse().ok()?))
        })
        .filter(|(weight, _)| *weight > 0.0)
        .collect();
    // Stable: what weighs the same stays in the order it was sent in.
    weighted.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    weighted.into_iter().map(|(_, tag)| tag).collect()
}

fn best_of(wished: &[LanguageTag]) -> Language {
    let wished: Vec<LanguageIdentifier> = wished.iter().filter_map(|tag| tag.as_str().parse().ok()).collect();
    let available: Vec<LanguageIdentifier> = Language::ALL.iter().map(|language| language.identifier()).collect();
    let best = negotiate_languages(&wished, &available, None, NegotiationStrategy::Lookup).into_iter().next();
    let position = best.and_then(|best| available.iter().position(|language| language == best));
    position.map_or(Language::default(), |position| Language::ALL[position])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn tag(text: &str) -> LanguageTag {
        text.parse().unwrap()
    }

    fn keys(language: Language, file: &str) -> BTreeSet<String> {
        let path = format!("{}/locales/{}/{file}", env!("CARGO_MANIFEST_DIR"), language.tag());
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let key = |line: &str| line.split_once(" =").map(|(key, _)| key.to_owned());
        text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_alphabetic())).filter_map(key).collect()
    }

    #[test]
    fn every_language_has_every_sentence_of_the_pages() {
        let english = keys(Language::English, "pages.ftl");
        assert!(english.len() > 50);
        for &language in Language::ALL {
            assert_eq!(language.tag().parse::<LanguageIdentifier>().unwrap(), language.identifier());
            assert_eq!(keys(language, "pages.ftl"), english, "{language:?}");
        }
    }

    /// A branch of a template that no sample takes would otherwise show a hole, or a sentence be translated for nobody.
    #[test]
    fn pages_use_the_sentences_there_are() {
        let root = env!("CARGO_MANIFEST_DIR");
        let mut sources = String::new();
        for folder in ["templates", "src/http/pages"] {
            for file in std::fs::read_dir(format!("{root}/{folder}")).unwrap() {
                sources += &std::fs::read_to_string(file.unwrap().path()).unwrap_or_default();
            }
        }
        let english = keys(Language::English, "pages.ftl");
        for used in sources.split(".t(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(english.contains(used), "{used} is used but not written");
        }
        let by_number = |key: &str| key.starts_with("month-") || key.starts_with("language-") || key == "day";
        for key in english.iter().filter(|key| !by_number(key)) {
            assert!(sources.contains(&format!("\"{key}\"")), "{key} is written but not used");
        }
    }

    #[test]
    fn every_refusal_is_said_in_every_language() {
        for &language in &Language::ALL[1..] {
            let known: BTreeSet<String> = Code::ALL.iter().map(|code| code.name().to_owned()).collect();
            assert_eq!(keys(language, "errors.ftl"), known, "{language:?}");
            for &code in Code::ALL {
                assert_ne!(language.sentence(code), code.sentence(), "{code}");
                assert_ne!(language.next_step(code), code.next_step(), "{code}");
            }
        }
        assert_eq!(Language::English.sentence(Code::TenantMissing), Code::TenantMissing.sentence());
    }

    #[test]
    fn mail_is_not_broken_at_its_hyphen() {
        for &language in Language::ALL {
            let path = format!("{}/locales/{}/pages.ftl", env!("CARGO_MANIFEST_DIR"), language.tag());
            let sentences = std::fs::read_to_string(path).unwrap().to_ascii_lowercase();
            assert!(!sentences.lines().any(|line| !line.starts_with('#') && line.contains("e-mail")), "{language:?}");
            for &code in Code::ALL {
                let said = format!("{} {}", language.sentence(code), language.next_step(code)).to_ascii_lowercase();
                assert!(!said.contains("e-mail"), "{code}: {said}");
            }
        }
    }

    #[test]
    fn the_heaviest_wish_that_can_be_met_wins() {
        let page = |ui, accept| Languages::from(ui, accept, None, None).page;
        assert_eq!(page(None, None), Language::English);
        assert_eq!(page(None, Some("de-AT,de;q=0.9,en;q=0.8")), Language::German);
        assert_eq!(page(None, Some("en;q=0.5, de;q=0.9")), Language::German);
        assert_eq!(page(None, Some("fr, de;q=0")), Language::English);
        assert_eq!(page(None, Some("fr-CH, de;q=0.1")), Language::German);
        assert_eq!(page(Some("fr de en"), Some("en")), Language::German, "the client's wish comes first");
        for nonsense in ["", ",,,", "*", "de;q=x", "de;q=NaN", "\u{fffd}", "x-klingon", &"de-".repeat(5000)] {
            assert_eq!(page(Some(nonsense), Some(nonsense)), Language::English, "{nonsense:.20}");
        }
    }

    #[test]
    fn wishes_are_kept_best_first_for_the_choice_of_documents() {
        let languages = Languages::from(Some("pt-br"), Some("fr;q=0.3,de"), Some(&tag("fr")), Some(&tag("it")));
        assert_eq!(languages.wished, [tag("pt-BR"), tag("de"), tag("fr"), tag("it")]);
        assert_eq!(languages.page, Language::German);
        assert_eq!(Languages::from(None, None, None, Some(&tag("de-CH"))).page, Language::German);
    }

    #[test]
    fn names_cannot_rearrange_or_break_out_of_a_sentence() {
        let phrase = Language::English.phrase("identify-heading").with("tenant", "<b>\u{202e}Evil\u{2069}</b>");
        assert!(phrase.to_string().contains("<bdi>&lt;b&gt;Evil&lt;/b&gt;</bdi>"), "{phrase}");
        assert!(phrase.plain().contains("<b>Evil</b>") && !phrase.plain().contains('\u{2068}'));
    }

    #[test]
    fn days_are_written_as_people_write_them() {
        let at: Timestamp = "2026-11-22T23:30:00Z".parse().unwrap();
        assert_eq!(Language::English.day(at), "22 November 2026");
        assert_eq!(Language::German.day(at), "22. November 2026");
        assert_eq!(Language::German.name_of(&tag("fr-CA")), "Französisch");
        assert_eq!(Language::German.name_of(&tag("kl")), "kl");
    }
}
