//! The words of mails, in the languages under `locales/`.

use std::{borrow::Cow, collections::HashMap};

use fluent_templates::{LanguageIdentifier, Loader, fluent_bundle::FluentValue};
use jiff::{Timestamp, tz::TimeZone};

use super::message::one_line;
use crate::{
    domain::{LanguageTag, tenant::Tenant},
    i18n::Language,
};

fluent_templates::static_loader! {
    static LOCALES = {
        locales: "./locales",
        fallback_language: "en",
        // Names are cleaned before they come here, and the isolating marks would show in plain text.
        customise: |bundle| bundle.set_use_isolating(false),
    };
}

/// What a text says beside its own words.
pub(super) type Arguments = HashMap<Cow<'static, str>, FluentValue<'static>>;

/// The texts of one language.
pub(super) struct Texts(&'static LanguageIdentifier);

impl Texts {
    /// The first of the `wanted` languages that there are texts in, whatever its region; English where there is none.
    pub(super) fn in_first_of<'a>(wanted: impl IntoIterator<Item = &'a LanguageTag>) -> Self {
        let spoken = |tag: &LanguageTag| LOCALES.locales().find(|locale| locale.language.as_str() == tag.primary());
        Self(wanted.into_iter().find_map(spoken).unwrap_or_else(|| LOCALES.fallback()))
    }

    /// The language.
    pub(super) fn language(&self) -> String {
        self.0.to_string()
    }

    /// The name of a tenant, cleaned; what stands for it where nothing of it is left.
    pub(super) fn organisation(&self, tenant: &Tenant) -> String {
        let name = one_line(&tenant.display_name, 80);
        if name.is_empty() { self.text("mail-organisation-unnamed", &Arguments::new()) } else { name }
    }

    /// A moment, such as `22 November 2026, 20:00 UTC`.
    pub(super) fn moment(&self, at: Timestamp) -> String {
        let language = Language::ALL.iter().find(|language| language.tag() == self.language()).copied().unwrap_or_default();
        format!("{}, {} UTC", language.day(at), at.to_zoned(TimeZone::UTC).strftime("%H:%M"))
    }

    /// The text called `key`. A test shows that none is missing; what is missing is empty, never the name of a key.
    pub(super) fn text(&self, key: &str, arguments: &Arguments) -> String {
        LOCALES.try_lookup_with_args(self.0, key, arguments).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_language_that_is_spoken_wins() {
        let tag = |text: &str| text.parse::<LanguageTag>().unwrap();
        assert_eq!(Texts::in_first_of(&[tag("fr"), tag("de-AT")]).language(), "de");
        assert_eq!(Texts::in_first_of(&[tag("fr")]).language(), "en");
        assert_eq!(Texts::in_first_of(&[]).language(), "en");
    }

    #[test]
    fn every_language_has_every_text_of_mails() {
        let keys = |page: &str| -> Vec<String> {
            let names = page.lines().filter_map(|line| line.split_once(" = ").map(|(key, _)| key.to_owned()));
            names.filter(|key| key.starts_with("mail-")).collect()
        };
        let (english, german) = (include_str!("../../locales/en/mail.ftl"), include_str!("../../locales/de/mail.ftl"));
        assert!(keys(english).len() > 5);
        assert_eq!(keys(english), keys(german));
    }
}
