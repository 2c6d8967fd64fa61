//! An HTTP/1.1 client with as little between a flow and the wire as possible: one connection, one request at a time.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
};

use tokio::net::TcpSocket;

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// Insists on a status.
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}{}", self.head, self.body);
        self
    }

    /// The values of a header, whose name is given in lower case.
    fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Where it redirects to.
    pub(crate) fn location(&self) -> Option<&str> {
        self.headers("location").next()
    }

    /// The value of a hidden field of the page.
    pub(crate) fn field(&self, name: &str) -> &str {
        let start = format!("name=\"{name}\" value=\"");
        self.between(&start, '"').unwrap_or_else(|| panic!("no field {name} in {}", self.body))
    }

    /// The target of the form whose path ends with `end`.
    pub(crate) fn action(&self, end: &str) -> &str {
        let mut actions = self.body.split("action=\"").skip(1).filter_map(|rest| rest.split('"').next());
        actions.find(|action| action.ends_with(end)).unwrap_or_else(|| panic!("no form {end} in {}", self.body))
    }

    /// The text of the body from after `start` to before `end`.
    pub(crate) fn between(&self, start: &str, end: char) -> Option<&str> {
        self.body.split_once(start).and_then(|(_, rest)| rest.split(end).next())
    }
}

/// One connection that is kept open.
pub(crate) struct Connection {
    stream: TcpStream,
    /// The server's name and port, as it has them.
    pub(crate) host: String,
    received: Vec<u8>,
}

impl Connection {
    /// Connects to `localhost` at `port` from `source`, an address of this machine's loopback network.
    pub(crate) fn open(port: u16, source: Ipv4Addr) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        let stream = runtime.block_on(async {
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.bind((source, 0).into()).expect("an address of the loopback network");
            socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.and_then(tokio::net::TcpStream::into_std)
        });
        let stream = stream.expect("the server listens");
        stream.set_nonblocking(false).and_then(|()| stream.set_nodelay(true)).expect("a blocking stream");
        Self { stream, host: format!("localhost:{port}"), received: Vec::with_capacity(64 << 10) }
    }

    /// Sends a request and waits for its answer. `headers` are whole lines; a body is a form where they do not say what it is.
    pub(crate) fn send(&mut self, method: &str, target: &str, headers: &str, body: Option<&str>) -> Answer {
        let host = &self.host;
        let form = if headers.contains("content-type: ") { "" } else { "content-type: application/x-www-form-urlencoded\r\n" };
        let request = match body {
            Some(body) => format!(
                "{method} {target} HTTP/1.1\r\nhost: {host}\r\n{headers}{form}content-length: {}\r\n\r\n{body}",
                body.len()
            ),
            None => format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n"),
        };
        self.stream.write_all(request.as_bytes()).expect("the request is sent");
        self.receive()
    }

    fn receive(&mut self) -> Answer {
        let head = loop {
            match self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => self.read(),
            }
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        let mut answer = Answer { status: 0, head: text(&self.received[..head]), body: String::new() };
        answer.status = answer.head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        // Everything that is asked for here knows its length.
        let length = answer.headers("content-length").next().map_or(0, |length| length.parse().expect("a length"));
        assert!(answer.headers("transfer-encoding").next().is_none(), "{}", answer.head);
        while self.received.len() < head + length {
            self.read();
        }
        answer.body = text(&self.received[head..head + length]);
        self.received.drain(..head + length);
        answer
    }

    fn read(&mut self) {
        let mut piece = [0; 32 << 10];
        let length = self.stream.read(&mut piece).expect("an answer");
        assert!(length > 0, "the server closed the connection");
        self.received.extend_from_slice(&piece[..length]);
    }
}

/// A browser: a connection with cookies.
pub(crate) struct Browser {
    connection: Connection,
    jar: Vec<(String, String)>,
}

impl Browser {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection, jar: Vec::new() }
    }

    /// The connection, and the cookies as a header value.
    pub(crate) fn into_parts(self) -> (Connection, String) {
        let cookies = self.cookies();
        (self.connection, cookies)
    }

    fn cookies(&self) -> String {
        self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn navigate(&mut self, method: &str, target: &str, site: &str, form: Option<&str>) -> Answer {
        let mut headers = format!(
            "accept: text/html,application/xhtml+xml,*/*;q=0.8\r\naccept-language: en\r\nsec-fetch-dest: document\r\n\
             sec-fetch-mode: navigate\r\nsec-fetch-site: {site}\r\nupgrade-insecure-requests: 1\r\n"
        );
        if !self.jar.is_empty() {
            headers += &format!("cookie: {}\r\n", self.cookies());
        }
        let answer = self.connection.send(method, target, &headers, form);
        for set in answer.headers("set-cookie") {
            let (name, value) = set.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie");
            self.jar.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.jar.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }

    /// Goes to a link and on to where it leads on this server.
    pub(crate) fn open(&mut self, target: &str) -> Answer {
        let answer = self.navigate("GET", target, "none", None);
        self.follow(answer)
    }

    /// Sends a form and goes on to where it leads on this server.
    pub(crate) fn submit(&mut self, target: &str, form: &str) -> Answer {
        let answer = self.navigate("POST", target, "same-origin", Some(form));
        self.follow(answer)
    }

    fn follow(&mut self, mut answer: Answer) -> Answer {
        while let Some(next) = answer.location().filter(|location| location.starts_with('/')).map(str::to_owned) {
            answer = self.navigate("GET", &next, "same-origin", None);
        }
        answer
    }
}
