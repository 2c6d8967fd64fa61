//! How a tenant's invitations by mail present it.

use serde::{Deserialize, Serialize};

/// How mails present the organisation: the name of the sender of all, and the subject of invitations. Both are texts, in
/// which `{inviter}`, `{organisation}` and `{domain}` stand for what they say; `{domain}` is the first verified one. Where no
/// person invites or no domain is verified, the organisation's name stands in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InvitationMail {
    /// The name that mails come from. At most 80 characters.
    pub from_name: Option<String>,
    /// The subject. At most 120 characters.
    pub subject: Option<String>,
}

impl InvitationMail {
    /// What may stand in the texts: exactly these, in braces.
    const PLACEHOLDERS: [&str; 3] = ["inviter", "organisation", "domain"];

    /// Whether the texts can be used.
    ///
    /// # Errors
    /// What is wrong, with the name of the field.
    pub fn check(&self) -> Result<(), String> {
        for (field, text, longest) in [("from_name", &self.from_name, 80), ("subject", &self.subject, 120)] {
            let Some(text) = text else { continue };
            if text.trim().is_empty() || text.chars().count() > longest || text.chars().any(char::is_control) {
                return Err(format!("{field}: a text has 1 to {longest} characters, on one line"));
            }
            let mut pieces = text.split('{');
            let mut plain = pieces.next().unwrap_or_default().to_owned();
            for piece in pieces {
                let named = piece.split_once('}').filter(|(name, _)| Self::PLACEHOLDERS.contains(name));
                let (_, rest) = named
                    .ok_or_else(|| format!("{field}: the only placeholders are {{inviter}}, {{organisation}} and {{domain}}"))?;
                plain.push_str(rest);
            }
            if plain.contains('}') {
                return Err(format!("{field}: a brace without its other half"));
            }
            // Mail programs often show the name alone.
            if field == "from_name" && plain.contains(['@', '<', '>']) {
                return Err("from_name: a name is not an address".to_owned());
            }
        }
        Ok(())
    }

    /// `text` with its placeholders filled in, once: a placeholder in a name stays what it is.
    #[must_use]
    pub fn filled(text: &str, inviter: &str, organisation: &str, domain: &str) -> String {
        let mut pieces = text.split('{');
        let mut filled = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            match piece.split_once('}') {
                Some(("inviter", rest)) => filled.extend([inviter, rest]),
                Some(("organisation", rest)) => filled.extend([organisation, rest]),
                Some(("domain", rest)) => filled.extend([domain, rest]),
                _ => filled.extend(["{", piece]),
            }
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o_10_texts_of_invitation_mails_are_checked_and_filled_once() {
        let subject = |text: &str| InvitationMail { from_name: None, subject: Some(text.to_owned()) }.check();
        let from_name = |text: &str| InvitationMail { from_name: Some(text.to_owned()), subject: None }.check();
        for good in ["{inviter} invites you", "Guests of {organisation} ({domain})", "Plain", &"é".repeat(80)] {
            assert_eq!((subject(good), from_name(good)), (Ok(()), Ok(())), "{good}");
        }
        let long = "x".repeat(121);
        for bad in ["", " ", "a\r\nBcc: x", "a\0", "{guest}", "{inviter", "inviter}", "{}", "{{inviter}}", "{ inviter }", &long] {
            assert!(subject(bad).is_err() && from_name(bad).is_err(), "{bad:?}");
        }
        for address in ["ceo@bank.example", "<x>", &"x".repeat(81)] {
            assert!(from_name(address).is_err() && subject(address).is_ok(), "{address}");
        }
        let filled = InvitationMail::filled("{inviter}, {organisation}, {domain}", "{domain}", "{inviter}", "x.example");
        assert_eq!(filled, "{domain}, {inviter}, x.example");
    }
}
