//! Mail by SMTP (RFC 5321), through lettre's connections.
//!
//! * The connection is encrypted, by TLS from the start or by STARTTLS (RFC 3207), and the certificate is checked for the
//!   server's name; only a server on this machine may be spoken to in the clear. There is no "encrypt if possible".
//! * The conversation is led here, command by command, so that each has its own time limit and the reply that it must have.
//! * What a server writes beside its reply codes is dropped: replies quote recipients, and filters quote the text.

use std::{
    io,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use lettre::transport::smtp::{
    Error,
    authentication::{Credentials, DEFAULT_MECHANISMS},
    client::{AsyncSmtpConnection, Certificate, TlsParameters},
    commands::{Data, Mail, Rcpt},
    extension::ClientId,
    response::Response,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::time::{Instant, timeout};
use url::Url;

use super::{RenderedMail, SendError, Transport, message::to_address};
use crate::secret::Secret;

/// How a connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protection {
    /// TLS from the first byte (`smtps`).
    Tls,
    /// STARTTLS, or no mail.
    StartTls,
    /// None: a server on this machine only.
    None,
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub struct SmtpLimits {
    /// For the TCP connection.
    pub connect: Duration,
    /// For each reply, and for the TLS handshake.
    pub reply: Duration,
    /// An idle connection is not used again after this.
    pub idle: Duration,
    /// Idle connections kept at most.
    pub kept: usize,
}

impl Default for SmtpLimits {
    /// 5 s to connect, 30 s a reply; four idle connections for 20 s.
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), reply: Duration::from_secs(30), idle: Duration::from_secs(20), kept: 4 }
    }
}

/// Why an SMTP server cannot be used. Shows no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmtpUrlError {
    /// Not a URL of the expected form.
    #[error("a mail server is written smtps://user:password@host:port or smtp://user:password@host:port")]
    Malformed,
    /// Something after the question mark other than `tls=required`.
    #[error("the only option of a mail server's URL is tls=required")]
    Option,
    /// The extra root certificates are not PEM, or there is none in the file.
    #[error("the mail server's root certificates are not PEM certificates")]
    RootCertificate,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// Mails to one SMTP server, over connections that are kept for a while.
pub struct SmtpTransport {
    host: String,
    port: u16,
    protection: Protection,
    tls: TlsParameters,
    hello: ClientId,
    credentials: Option<Credentials>,
    limits: SmtpLimits,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

impl std::fmt::Debug for SmtpTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port, protection, .. } = self;
        f.debug_struct("SmtpTransport")
            .field("host", host)
            .field("port", port)
            .field("protection", protection)
            .finish_non_exhaustive()
    }
}

impl SmtpTransport {
    /// Mails to the server at `url`: `smtps://` (TLS, port 465) or `smtp://` (STARTTLS, port 587; on this machine in the
    /// clear, port 25, unless the URL ends in `?tls=required`). A path is the name to greet with (RFC 5321, 4.1.1.1).
    /// User and password are percent-encoded; `password`, where given, replaces the URL's. `roots` are PEM certificates to
    /// trust beside the system's.
    ///
    /// # Errors
    /// When the URL or a certificate is malformed, or TLS cannot be set up.
    pub fn new(url: &Secret, password: Option<&Secret>, roots: Option<&[u8]>, limits: SmtpLimits) -> Result<Self, SmtpUrlError> {
        let url = Url::parse(url.expose()).map_err(|_| SmtpUrlError::Malformed)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(SmtpUrlError::Malformed)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let required = match url.query() {
            None => false,
            Some("tls=required") => true,
            Some(_) => return Err(SmtpUrlError::Option),
        };
        let (protection, port) = match url.scheme() {
            "smtps" => (Protection::Tls, 465),
            "smtp" if is_this_machine(&host) && !required => (Protection::None, 25),
            "smtp" => (Protection::StartTls, 587),
            _ => return Err(SmtpUrlError::Malformed),
        };
        let hello = match url.path().trim_matches('/') {
            "" => ClientId::default(),
            name if name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.[]:".contains(&b)) => ClientId::Domain(name.to_owned()),
            _ => return Err(SmtpUrlError::Malformed),
        };
        Ok(Self {
            tls: tls(&host, roots)?,
            credentials: credentials(&url, password)?,
            port: url.port().unwrap_or(port),
            host,
            protection,
            hello,
            limits,
            idle: Mutex::default(),
        })
    }

    /// A connection that answers: one that was kept, or a new one.
    async fn connection(&self) -> Result<AsyncSmtpConnection, SendError> {
        while let Some(mut kept) = self.take_idle() {
            if timeout(self.limits.reply, kept.test_connected()).await.unwrap_or(false) {
                return Ok(kept);
            }
        }
        self.connect().await
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SendError> {
        let tls = (self.protection == Protection::Tls).then(|| self.tls.clone());
        let connecting = AsyncSmtpConnection::connect_tokio1(
            (self.host.as_str(), self.port),
            Some(self.limits.connect),
            &self.hello,
            tls,
            None,
        );
        let mut connection = self.setting_up("connecting", connecting).await?;
        if self.protection == Protection::StartTls {
            if !connection.can_starttls() {
                return Err(SendError::Transient("the mail server does not offer STARTTLS, which is required".to_owned()));
            }
            self.setting_up("STARTTLS", connection.starttls(self.tls.clone(), &self.hello)).await?;
        }
        if self.protection != Protection::None && !connection.is_encrypted() {
            return Err(SendError::Transient("the connection to the mail server is not encrypted".to_owned()));
        }
        if let Some(credentials) = &self.credentials {
            self.setting_up("AUTH", connection.auth(DEFAULT_MECHANISMS, credentials)).await?;
        }
        Ok(connection)
    }

    /// A step before the mail is mentioned. Whatever fails here is not the mail's fault: another try is worth while, even
    /// when the server calls it permanent, because an operator can mend it.
    async fn setting_up<T>(&self, step: &str, doing: impl Future<Output = Result<T, Error>>) -> Result<T, SendError> {
        match timeout(self.limits.connect + self.limits.reply, doing).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(SendError::Transient(describe(step, &error))),
            Err(_) => Err(SendError::Transient(format!("{step}: no reply in time"))),
        }
    }

    /// A step about this mail, which must be answered with `expected`. A server that is out of step (replies injected before
    /// the TLS handshake would do that) is caught here.
    async fn step(
        &self,
        step: &str,
        expected: u16,
        doing: impl Future<Output = Result<Response, Error>>,
    ) -> Result<(), SendError> {
        match timeout(self.limits.reply, doing).await {
            Ok(Ok(reply)) if reply.has_code(expected) => Ok(()),
            Ok(Ok(reply)) => Err(SendError::Transient(format!("{step}: unexpected reply {}", reply.code()))),
            Ok(Err(error)) => {
                let reason = describe(step, &error);
                // "Log in first", "your password is wrong": nothing that another try could not find mended (RFC 4954, 6).
                let ours = error.status().is_some_and(|code| matches!(code.to_string().as_str(), "530" | "534" | "535" | "538"));
                Err(if error.is_permanent() && !ours { SendError::Permanent(reason) } else { SendError::Transient(reason) })
            }
            Err(_) => Err(SendError::Transient(format!("{step}: no reply in time"))),
        }
    }

    async fn hand_over(&self, connection: &mut AsyncSmtpConnection, mail: &RenderedMail) -> Result<(), SendError> {
        let address = |address| to_address(address).map_err(|error| SendError::Permanent(error.to_string()));
        let (from, to) = (address(&mail.from)?, address(&mail.to)?);
        self.step("MAIL FROM", 250, connection.command(Mail::new(Some(from), vec![]))).await?;
        self.step("RCPT TO", 250, connection.command(Rcpt::new(to, vec![]))).await?;
        self.step("DATA", 354, connection.command(Data)).await?;
        self.step("end of data", 250, connection.message(mail.message())).await
    }

    fn take_idle(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < self.limits.idle);
        idle.pop().map(|(connection, _)| connection)
    }

    fn keep_idle(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.limits.kept {
            idle.push((connection, Instant::now()));
        }
    }
}

#[async_trait]
impl Transport for SmtpTransport {
    async fn send(&self, mail: &RenderedMail) -> Result<(), SendError> {
        let mut connection = self.connection().await?;
        self.hand_over(&mut connection, mail).await?;
        // Only a connection whose replies were all read is fit for the next mail; lettre's own pool would also take back one
        // that was given up in the middle, and read its late replies as answers to the next mail.
        self.keep_idle(connection);
        Ok(())
    }
}

/// What went wrong, in our words: the step, and the reply codes where the server sent any (RFC 5321, RFC 3463).
fn describe(step: &str, error: &Error) -> String {
    if let Some(code) = error.status() {
        let text = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        return match text.split_whitespace().next().filter(|word| is_enhanced_code(word)) {
            Some(enhanced) => format!("{step}: {code} {enhanced}"),
            None => format!("{step}: {code}"),
        };
    }
    let ended = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<io::Error>())
        .is_some_and(|source| matches!(source.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset));
    if ended || error.is_response() {
        // The text of a response error is what the server wrote.
        return format!("{step}: the connection ended or the reply makes no sense");
    }
    format!("{step}: {error}")
}

/// Whether `word` is an enhanced status code: class, subject and detail (RFC 3463, section 2).
fn is_enhanced_code(word: &str) -> bool {
    let parts: Vec<_> = word.split('.').collect();
    matches!(parts[..], [class, subject, detail] if matches!(class, "4" | "5")
        && [subject, detail].iter().all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())))
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn tls(host: &str, roots: Option<&[u8]>) -> Result<TlsParameters, SmtpUrlError> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(pem) = roots {
        // lettre takes a file without any certificate for one with none to add.
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).collect();
        if certificates.is_empty() || certificates.iter().any(Result::is_err) {
            return Err(SmtpUrlError::RootCertificate);
        }
        builder = builder.add_root_certificate(Certificate::from_pem(pem).map_err(|_| SmtpUrlError::RootCertificate)?);
    }
    builder.build().map_err(|error| SmtpUrlError::Tls(error.to_string()))
}

fn credentials(url: &Url, password: Option<&Secret>) -> Result<Option<Credentials>, SmtpUrlError> {
    let decoded = |text: &str| {
        let decoded = percent_decode(text).ok_or(SmtpUrlError::Malformed)?;
        if decoded.contains('\0') { Err(SmtpUrlError::Malformed) } else { Ok(decoded) }
    };
    let password = match (password, url.password()) {
        (Some(password), _) => Some(password.expose().to_owned()),
        (None, Some(password)) => Some(decoded(password)?),
        (None, None) => None,
    };
    match (url.username(), password) {
        ("", None) => Ok(None),
        ("", Some(_)) | (_, None) => Err(SmtpUrlError::Malformed),
        (user, Some(password)) => Ok(Some(Credentials::new(decoded(user)?, password))),
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |digit: u8| char::from(digit).to_digit(16);
                bytes.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
                tail
            }
            (b'%', _) => return None,
            (plain, tail) => {
                bytes.push(*plain);
                tail
            }
        };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transport(url: &str) -> Result<SmtpTransport, SmtpUrlError> {
        SmtpTransport::new(&Secret::new(url), None, None, SmtpLimits::default())
    }

    /// O-11: only this machine is spoken to in the clear.
    #[test]
    fn o_11_other_machines_are_spoken_to_encrypted() {
        for (url, protection, port) in [
            ("smtp://mail.contoso.example", Protection::StartTls, 587),
            ("smtp://mail.contoso.example:25", Protection::StartTls, 25),
            ("smtp://mail.contoso.example?tls=required", Protection::StartTls, 587),
            ("smtp://10.0.0.1", Protection::StartTls, 587),
            ("smtp://localhost.contoso.example", Protection::StartTls, 587),
            ("smtp://127.0.0.1.contoso.example", Protection::StartTls, 587),
            ("smtps://mail.contoso.example", Protection::Tls, 465),
            ("smtps://127.0.0.1:1465", Protection::Tls, 1465),
            ("smtp://LocalHost", Protection::None, 25),
            ("smtp://127.0.0.1:1025/gate.contoso.example", Protection::None, 1025),
            ("smtp://[::1]:1025", Protection::None, 1025),
            ("smtp://127.0.0.1?tls=required", Protection::StartTls, 587),
        ] {
            let transport = transport(url).unwrap();
            assert_eq!((transport.protection, transport.port), (protection, port), "{url}");
        }
    }

    #[test]
    fn o_11_there_is_no_way_to_ask_for_less() {
        for (url, error) in [
            ("smtp://mail.contoso.example?tls=opportunistic", SmtpUrlError::Option),
            ("smtp://mail.contoso.example?tls=none", SmtpUrlError::Option),
            ("smtps://mail.contoso.example?verify=no", SmtpUrlError::Option),
            ("http://mail.contoso.example", SmtpUrlError::Malformed),
            ("smtp:", SmtpUrlError::Malformed),
            ("mail.contoso.example", SmtpUrlError::Malformed),
            ("smtp://user@mail.contoso.example", SmtpUrlError::Malformed),
            ("smtp://user:%zz@mail.contoso.example", SmtpUrlError::Malformed),
            ("smtp://user:a%00b@mail.contoso.example", SmtpUrlError::Malformed),
            ("smtp://mail.contoso.example/a%0d%0ab", SmtpUrlError::Malformed),
        ] {
            assert_eq!(transport(url).unwrap_err(), error, "{url}");
        }
        assert_eq!(
            SmtpTransport::new(&Secret::new("smtps://a.example"), None, Some(b"no PEM"), SmtpLimits::default()).unwrap_err(),
            SmtpUrlError::RootCertificate
        );
    }

    #[test]
    fn o_14_debug_shows_no_credentials() {
        let transport = transport("smtps://gate:p%40ss@mail.contoso.example").unwrap();
        assert!(transport.credentials.is_some());
        assert!(!format!("{transport:?}").contains("gate") && !format!("{transport:?}").contains("p@ss"));
    }

    #[test]
    fn enhanced_codes_are_told_from_text() {
        assert!(is_enhanced_code("5.1.1") && is_enhanced_code("4.7.100"));
        for text in ["", "5.1", "5.1.1.1", "2.0.0", "5.1.1234", "12345678", "5.1.x", "5..1"] {
            assert!(!is_enhanced_code(text), "{text}");
        }
    }
}
