//! A mail server that takes mail, or behaves as badly as it is told to. It checks what it is sent as a strict server would.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// How the server behaves from the next command on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Manner {
    /// Takes every mail.
    Accept,
    /// Answers `RCPT` with this.
    AtRecipient(&'static str),
    /// Reads the mail, then answers with this and with the mail itself.
    AfterData(&'static str),
    /// Reads the mail, keeps it, and breaks the connection instead of answering.
    LoseReply,
    /// Reads the mail of this recipient's domain and never answers, until the client leaves.
    Hang(&'static str),
    /// Does not offer STARTTLS.
    NoStartTls,
    /// Refuses every password.
    RefusePassword,
    /// Sends an extra reply before the TLS handshake, as somebody in the middle might.
    InjectReply,
}

/// A mail that the server has read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) encrypted: bool,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) message: Vec<u8>,
}

struct Shared {
    manner: Mutex<Manner>,
    tls: Mutex<Arc<ServerConfig>>,
    received: Mutex<Vec<Received>>,
    commands: Mutex<Vec<(bool, String)>>,
    /// How often a client has left that waited for an answer.
    left: AtomicUsize,
}

/// The server, on a loopback port.
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    authority: Authority,
}

/// Issues the server's certificates.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for `name` and its key, as PEM.
    pub(super) fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    pub(super) fn root_pem(&self) -> String {
        self.0.pem()
    }

    fn server(&self, name: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.0).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap())
    }
}

impl Sink {
    /// A server that takes everything, with a certificate for 127.0.0.1. `wrapped`: TLS from the first byte.
    pub(crate) async fn start(wrapped: bool) -> Self {
        let authority = Authority::new();
        let shared = Arc::new(Shared {
            manner: Mutex::new(Manner::Accept),
            tls: Mutex::new(authority.server("127.0.0.1")),
            received: Mutex::default(),
            commands: Mutex::default(),
            left: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&shared), wrapped));
                }
            }
        });
        Self { address, shared, authority }
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// Shows a certificate for `name` from the next connection on.
    pub(crate) fn certificate_for(&self, name: &str) {
        *self.shared.tls.lock().unwrap() = self.authority.server(name);
    }

    pub(crate) fn root_pem(&self) -> String {
        self.authority.root_pem()
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// All commands so far, each with whether it came encrypted.
    pub(crate) fn commands(&self) -> Vec<(bool, String)> {
        self.shared.commands.lock().unwrap().clone()
    }

    /// How often a client has left that was kept waiting ([`Manner::Hang`]).
    pub(crate) fn left(&self) -> usize {
        self.shared.left.load(Ordering::SeqCst)
    }

    /// How often a command that starts with `verb` has come.
    pub(crate) fn count(&self, verb: &str) -> usize {
        self.commands().iter().filter(|(_, command)| command.starts_with(verb)).count()
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, wrapped: bool) {
    let tls = || TlsAcceptor::from(Arc::clone(&shared.tls.lock().unwrap()));
    if wrapped {
        let acceptor = tls();
        if let Ok(stream) = acceptor.accept(stream).await {
            converse(BufReader::new(stream), &shared, true, true).await;
        }
        return;
    }
    let Some(stream) = converse(BufReader::new(stream), &shared, false, true).await else { return };
    let acceptor = tls();
    if let Ok(stream) = acceptor.accept(stream).await {
        converse(BufReader::new(stream), &shared, true, false).await;
    }
}

/// Talks until the client leaves (`None`) or asks for TLS (the stream, to go on with).
async fn converse<S>(mut stream: BufReader<S>, shared: &Shared, encrypted: bool, greet: bool) -> Option<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if greet {
        stream.write_all(b"220 sink ready\r\n").await.ok()?;
    }
    let (mut from, mut to) = (String::new(), String::new());
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await.ok()? == 0 {
            return None;
        }
        let line = String::from_utf8(line).expect("commands are text");
        let command = line.strip_suffix("\r\n").expect("commands end in CRLF").to_owned();
        shared.commands.lock().unwrap().push((encrypted, command.clone()));
        let manner = shared.manner.lock().unwrap().clone();
        let reply = match command.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" if encrypted => "250-sink\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN".to_owned(),
            "EHLO" if manner == Manner::NoStartTls => "250 sink".to_owned(),
            "EHLO" => "250-sink\r\n250 STARTTLS".to_owned(),
            "STARTTLS" => {
                let injected = if manner == Manner::InjectReply { "250-sink\r\n250 AUTH PLAIN\r\n" } else { "" };
                stream.write_all(format!("220 go ahead\r\n{injected}").as_bytes()).await.ok()?;
                return Some(stream.into_inner());
            }
            "AUTH" if manner == Manner::RefusePassword => "535 5.7.8 no".to_owned(),
            "AUTH" => "235 2.7.0 hello".to_owned(),
            "MAIL" => {
                from = command;
                "250 2.1.0 ok".to_owned()
            }
            "RCPT" => match manner {
                Manner::AtRecipient(reply) => format!("{reply} <{command}>"),
                _ => {
                    to = command;
                    "250 2.1.5 ok".to_owned()
                }
            },
            "DATA" => {
                stream.write_all(b"354 go ahead\r\n").await.ok()?;
                let message = read_message(&mut stream).await?;
                let received = Received { encrypted, from: from.clone(), to: to.clone(), message: message.clone() };
                match manner {
                    Manner::AfterData(reply) => {
                        let quoted = String::from_utf8_lossy(&message).replace("\r\n", " ");
                        format!("{reply} {}", quoted.chars().take(400).collect::<String>())
                    }
                    Manner::Hang(domain) if to.contains(domain) => {
                        // Whatever comes, it is not answered; the end comes when the client has left.
                        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                        shared.left.fetch_add(1, Ordering::SeqCst);
                        return None;
                    }
                    Manner::LoseReply => {
                        shared.received.lock().unwrap().push(received);
                        return None;
                    }
                    _ => {
                        shared.received.lock().unwrap().push(received);
                        "250 2.0.0 taken".to_owned()
                    }
                }
            }
            "NOOP" => "250 2.0.0 ok".to_owned(),
            "QUIT" => "221 2.0.0 bye".to_owned(),
            _ => "502 5.5.1 what".to_owned(),
        };
        stream.write_all(format!("{reply}\r\n").as_bytes()).await.ok()?;
    }
}

/// Reads up to the line with the dot, and takes the stuffed dots out (RFC 5321, 4.5.2).
async fn read_message(stream: &mut (impl AsyncRead + AsyncBufReadExt + Unpin)) -> Option<Vec<u8>> {
    let mut raw = Vec::new();
    while !raw.ends_with(b"\r\n.\r\n") {
        raw.push(stream.read_u8().await.ok()?);
    }
    raw.truncate(raw.len() - 3);
    assert!(raw.is_ascii(), "8-bit content needs BODY=8BITMIME");
    let text = String::from_utf8(raw).expect("ASCII");
    assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "bare line ends");
    let lines = text.split_inclusive("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line));
    Some(lines.collect::<String>().into_bytes())
}
