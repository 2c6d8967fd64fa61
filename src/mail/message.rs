//! Mails, and the form in which they travel (RFC 5322, MIME).

use std::{fmt, time::SystemTime};

use jiff::Timestamp;
use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::domain::{EmailAddress, MailId, is_unseen};

/// Who mails are from. The address is the operator's, never a tenant's, so that no tenant can send in another's name; the name
/// of an invitation's sender is the tenant's to choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sender {
    /// The name that people see.
    #[serde(default)]
    pub name: Option<String>,
    /// The address, which is also the envelope's: failures come back to it. Its domain is that of the `Message-ID`.
    pub address: EmailAddress,
}

/// A mail, rendered. What is sent, and sent again after a failure, is exactly this (checklist F-16).
#[derive(Clone, Serialize, Deserialize)]
pub struct Mail {
    /// Whom it is for.
    pub to: EmailAddress,
    /// Whom it is from.
    pub from: Sender,
    /// Who reads the answers, if anybody does.
    pub reply_to: Option<EmailAddress>,
    /// The subject: one line. Never a code: subjects appear on lock screens and in the logs of mail servers.
    pub subject: String,
    /// The plain text.
    pub text: Zeroizing<String>,
    /// The same as HTML.
    pub html: Zeroizing<String>,
    /// The language of both, as a BCP 47 tag.
    pub language: String,
}

impl fmt::Debug for Mail {
    /// Shows neither address nor text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("to", &self.to.masked()).field("language", &self.language).finish_non_exhaustive()
    }
}

/// A mail cannot be put into the form in which mails travel. Says nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the mail cannot be composed")]
pub struct ComposeError;

impl Mail {
    /// The mail as it travels. The same id and time give the same bytes: `Message-ID`, `Date` and MIME boundary follow
    /// from them and from nothing else, the host's name least of all.
    ///
    /// # Errors
    /// When an address is refused by the mail library.
    pub fn compose(&self, id: MailId, created: Timestamp) -> Result<RenderedMail, ComposeError> {
        let mailbox = |name: Option<&str>, address: &EmailAddress| -> Result<Mailbox, ComposeError> {
            let name = name.map(|name| one_line(name, 100)).filter(|name| !name.is_empty());
            Ok(Mailbox::new(name, to_address(address)?))
        };
        let mut builder = Message::builder()
            .message_id(Some(format!("<{}@{}>", id.0.as_simple(), self.from.address.domain())))
            .date(SystemTime::from(created))
            .from(mailbox(self.from.name.as_deref(), &self.from.address)?)
            .to(mailbox(None, &self.to)?)
            .subject(one_line(&self.subject, 200))
            // RFC 3834, section 5: no holiday notes in answer, please.
            .raw_header(raw_header("Auto-Submitted", "auto-generated"))
            .raw_header(raw_header("Content-Language", &one_line(&self.language, 35)));
        if let Some(address) = &self.reply_to {
            builder = builder.reply_to(mailbox(None, address)?);
        }
        let body = MultiPart::alternative()
            .boundary(format!("vestibule-{}", id.0.as_simple()))
            .singlepart(SinglePart::plain(String::clone(&self.text)))
            .singlepart(SinglePart::html(String::clone(&self.html)));
        let message = builder.multipart(body).map_err(|_| ComposeError)?;
        Ok(RenderedMail {
            id,
            created,
            from: self.from.address.clone(),
            to: self.to.clone(),
            message: Zeroizing::new(message.formatted()),
        })
    }
}

/// A mail as it travels: an envelope, and a message of RFC 5322 with CRLF line ends and nothing but ASCII.
pub struct RenderedMail {
    /// Its id.
    pub id: MailId,
    /// When it was queued.
    pub created: Timestamp,
    /// The envelope's sender.
    pub from: EmailAddress,
    /// The envelope's recipient.
    pub to: EmailAddress,
    message: Zeroizing<Vec<u8>>,
}

impl RenderedMail {
    /// The message: headers and body. Holds codes and tickets; for transports only.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }
}

impl fmt::Debug for RenderedMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenderedMail").field("id", &self.id).field("to", &self.to.masked()).finish_non_exhaustive()
    }
}

/// An address as the mail library has it.
pub(super) fn to_address(address: &EmailAddress) -> Result<Address, ComposeError> {
    address.as_str().parse().map_err(|_| ComposeError)
}

fn raw_header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// `text` as one harmless line of at most `limit` characters: no control characters (header injection, checklist O-10), no
/// marks that turn the reading direction or cannot be seen, white space collapsed.
#[must_use]
pub fn one_line(text: &str, limit: usize) -> String {
    let spaced: String = text.chars().filter(|c| !is_unseen(*c)).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(limit) {
        None => line,
        Some(_) => line.chars().take(limit.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededEntropy;

    fn mail(subject: &str, name: &str) -> Mail {
        Mail {
            to: "alice@fabrikam.example".parse().unwrap(),
            from: Sender { name: Some(name.to_owned()), address: "guests@contoso.example".parse().unwrap() },
            reply_to: None,
            subject: subject.to_owned(),
            text: Zeroizing::new(".\r\n12345678\n.".to_owned()),
            html: Zeroizing::new("<p>12345678</p>".to_owned()),
            language: "en".to_owned(),
        }
    }

    /// O-10: no name starts a new header, and none leaves its own.
    #[test]
    fn o_10_names_stay_in_their_header() {
        let id = MailId::random(&SeededEntropy::new(3));
        for hostile in [
            "Contoso\r\nBcc: eve@evil.example",
            "Contoso\nBcc: eve@evil.example",
            "Contoso\rBcc: eve@evil.example",
            "Contoso\0Bcc: eve@evil.example",
            "Contoso\u{85}Bcc: eve@evil.example",
            "Contoso\u{2028}Bcc: eve@evil.example",
            "\r\n\r\n<p>body</p>",
            "a\" <eve@evil.example>, \"b",
            "Contoso>, eve@evil.example, <x@y.example",
            "=?utf-8?q?Bcc:_eve@evil.example?=",
            "\r\n.\r\nMAIL FROM:<eve@evil.example>",
            &"é\r\n".repeat(400),
        ] {
            let rendered = mail(hostile, hostile).compose(id, Timestamp::UNIX_EPOCH).unwrap();
            let message = mail_parser::MessageParser::default().parse(rendered.message()).unwrap();
            let names: Vec<_> = message.headers().iter().map(|header| header.name.as_str().to_owned()).collect();
            let expected = [
                "Message-ID",
                "Date",
                "From",
                "To",
                "Subject",
                "Auto-Submitted",
                "Content-Language",
                "MIME-Version",
                "Content-Type",
            ];
            assert_eq!(names, expected, "{hostile:?}");
            assert_eq!(message.from().map(|from| from.iter().count()), Some(1), "{hostile:?}");
            assert_eq!(message.from().unwrap().first().unwrap().address(), Some("guests@contoso.example"), "{hostile:?}");
            assert_eq!(message.to().unwrap().first().unwrap().address(), Some("alice@fabrikam.example"));
            assert!(message.subject().unwrap_or_default().chars().all(|c| !c.is_control()), "{hostile:?}");
        }
    }

    /// F-16: a second sending is the first, byte for byte, and names no host.
    #[test]
    fn f_16_the_same_mail_has_the_same_bytes() {
        let id = MailId::random(&SeededEntropy::new(3));
        let mail = mail("Your code for Contoso", "Vestibule");
        let first = mail.compose(id, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(first.message(), mail.compose(id, Timestamp::UNIX_EPOCH).unwrap().message());
        assert!(first.message().is_ascii());
        let text = std::str::from_utf8(first.message()).unwrap();
        assert!(text.contains(&format!("Message-ID: <{}@contoso.example>\r\n", id.0.as_simple())), "{text}");
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "line ends are CRLF");
    }

    #[test]
    fn o_14_debug_shows_neither_text_nor_address() {
        let mail = mail("s", "n");
        let rendered = mail.compose(MailId::random(&SeededEntropy::new(3)), Timestamp::UNIX_EPOCH).unwrap();
        let shown = format!("{mail:?} {rendered:?}");
        assert!(!shown.contains("12345678") && !shown.contains("alice"), "{shown}");
    }

    #[test]
    fn long_names_are_cut_and_empty_ones_stay_empty() {
        assert_eq!(one_line("  a \t b\u{202e}\r\n", 10), "a b");
        assert_eq!(one_line("abcdef", 6), "abcdef");
        assert_eq!(one_line("abcdefg", 6), "abcde…");
        assert_eq!(one_line("\u{200b}\r\n", 6), "");
    }
}
