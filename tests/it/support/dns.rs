//! A name server on loopback: the wire format of RFC 1035 by UDP and TCP, written for these tests, with answers that can be
//! changed while it runs.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinHandle,
};

/// What is answered about a name.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// TXT records, each of some strings.
    Txt(Vec<Vec<String>>),
    /// The TXT records of another name, as if they had been asked for.
    TxtOf(&'static str, String),
    /// The name is there, and has no TXT record.
    Nothing,
    /// The name is an alias of another, which has a record of this one string.
    Alias(&'static str, String),
    /// A code: 2 `SERVFAIL`, 3 `NXDOMAIN`, 5 `REFUSED`.
    Code(u8),
    /// Ask these others.
    Referral,
    /// None.
    Silence,
    /// By UDP only that it is too long; by TCP the record, and this many further ones of 250 bytes.
    ByTcp(String, usize),
}

impl Answer {
    /// One record of one string.
    pub(crate) fn text(text: &str) -> Self {
        Self::Txt(vec![vec![text.to_owned()]])
    }
}

type Zone = Arc<Mutex<HashMap<String, Answer>>>;

/// A running server. It ends with this value.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    zone: Zone,
    asked: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<()>>,
}

impl NameServer {
    /// Starts one that knows no name.
    pub(crate) async fn start() -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
            // The same port may be taken for TCP.
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("bound")).await {
                break (udp, tcp);
            }
        };
        let (address, zone, asked) = (udp.local_addr().expect("bound"), Zone::default(), Arc::new(AtomicUsize::new(0)));
        let tasks =
            vec![tokio::spawn(by_udp(udp, zone.clone(), asked.clone())), tokio::spawn(by_tcp(tcp, zone.clone(), asked.clone()))];
        Self { address, zone, asked, tasks }
    }

    /// From now on this is the answer about `name`.
    pub(crate) fn answer(&self, name: &str, answer: Answer) {
        self.zone.lock().expect("not poisoned").insert(name.to_owned(), answer);
    }

    /// How many questions have come.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn by_udp(socket: UdpSocket, zone: Zone, asked: Arc<AtomicUsize>) {
    let mut question = [0; 1500];
    while let Ok((length, from)) = socket.recv_from(&mut question).await {
        asked.fetch_add(1, Ordering::SeqCst);
        if let Some(reply) = reply(&question[..length], &zone, false) {
            let _ = socket.send_to(&reply, from).await;
        }
    }
}

async fn by_tcp(listener: TcpListener, zone: Zone, asked: Arc<AtomicUsize>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(conversation(stream, zone.clone(), asked.clone()));
    }
}

async fn conversation(mut stream: TcpStream, zone: Zone, asked: Arc<AtomicUsize>) {
    while let Ok(length) = stream.read_u16().await {
        let mut question = vec![0; length.into()];
        if stream.read_exact(&mut question).await.is_err() {
            return;
        }
        asked.fetch_add(1, Ordering::SeqCst);
        let Some(reply) = reply(&question, &zone, true) else { continue };
        let length = u16::try_from(reply.len()).expect("a message has at most 64 KiB").to_be_bytes();
        if stream.write_all(&[&length, reply.as_slice()].concat()).await.is_err() {
            return;
        }
    }
}

const TXT: u16 = 16;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const NS: u16 = 2;
const TRUNCATED: u8 = 0x02;

/// The name that is asked for, in lower case, and where the question ends.
fn question(message: &[u8]) -> (String, usize) {
    let (mut labels, mut at) = (Vec::new(), 12);
    while message[at] != 0 {
        let end = at + 1 + usize::from(message[at]);
        labels.push(String::from_utf8_lossy(&message[at + 1..end]).to_ascii_lowercase());
        at = end;
    }
    (labels.join("."), at + 5)
}

fn name(text: &str) -> Vec<u8> {
    let labels = text.split('.').flat_map(|label| [&[u8::try_from(label.len()).expect("short")], label.as_bytes()].concat());
    labels.chain([0]).collect()
}

/// A record that lives for five minutes.
fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("short").to_be_bytes();
    [owner, &kind.to_be_bytes(), &1u16.to_be_bytes(), &300u32.to_be_bytes(), &length, data].concat()
}

fn strings(strings: &[String]) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).expect("a string has at most 255 bytes");
    strings.iter().flat_map(|text| [&[length(text)], text.as_bytes()].concat()).collect()
}

fn reply(message: &[u8], zone: &Zone, tcp: bool) -> Option<Vec<u8>> {
    let (asked, end) = question(message);
    // The question's own name, by a pointer to it.
    let here = [0xc0, 12].as_slice();
    let soa = || record(here, SOA, &[name("ns.example"), name("hostmaster.example"), vec![0; 20]].concat());
    let answer = zone.lock().expect("not poisoned").get(&asked).cloned().unwrap_or(Answer::Code(3));
    let (mut flags, mut code, mut answers, mut authorities) = (0, 0, Vec::new(), Vec::new());
    match answer {
        Answer::Silence => return None,
        Answer::Txt(records) => answers.extend(records.iter().map(|record_| record(here, TXT, &strings(record_)))),
        Answer::TxtOf(other, text) => answers.push(record(&name(other), TXT, &strings(&[text]))),
        Answer::Nothing => authorities.push(soa()),
        Answer::Alias(of, text) => {
            answers.push(record(here, CNAME, &name(of)));
            answers.push(record(&name(of), TXT, &strings(&[text])));
        }
        Answer::Code(answered) => {
            code = answered;
            if code == 3 {
                authorities.push(soa());
            }
        }
        Answer::Referral => authorities.push(record(here, NS, &name("ns.elsewhere.example"))),
        Answer::ByTcp(..) if !tcp => flags = TRUNCATED,
        Answer::ByTcp(text, more) => {
            let filler = vec!["x".repeat(249)];
            answers.extend((0..more).map(|_| record(here, TXT, &strings(&filler))));
            answers.push(record(here, TXT, &strings(&[text])));
        }
    }
    let count = |records: &[Vec<u8>]| u16::try_from(records.len()).expect("few").to_be_bytes();
    // A response, with recursion desired and available.
    let mut reply = [&message[..2], &[0x81 | flags, 0x80 | code], &1u16.to_be_bytes(), &count(&answers)].concat();
    reply.extend([count(&authorities), [0, 0]].concat());
    reply.extend_from_slice(&message[12..end]);
    reply.extend(answers.into_iter().chain(authorities).flatten());
    Some(reply)
}
