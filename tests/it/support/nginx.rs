//! A real nginx in front of the nodes, as an operator would set it up.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::process::{Process, READY_WITHIN, text};

/// A running nginx that passes requests on in turn.
#[derive(Debug)]
pub(crate) struct Nginx {
    process: Process,
    _folder: TempDir,
}

impl Nginx {
    /// Listens on `public` and passes on to `nodes`, which need not be there yet.
    pub(crate) fn start(public: SocketAddr, nodes: &[SocketAddr]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, configuration(public, nodes)).expect("a file");
        let mut command = Command::new(program());
        command.args(["-e", "stderr", "-p", text(folder.path()), "-c", text(&file)]);
        let (process, _) = Process::spawn(command);
        let deadline = Instant::now() + READY_WITHIN;
        while TcpStream::connect(public).is_err() {
            assert!(process.wait(Duration::ZERO).is_none() && Instant::now() < deadline, "nginx:\n{}", process.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { process, _folder: folder }
    }

    /// What it complained of.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }
}

/// Debian has it where only root looks.
fn program() -> &'static str {
    ["/usr/sbin/nginx", "/usr/local/sbin/nginx"].into_iter().find(|path| Path::new(path).exists()).unwrap_or("nginx")
}

/// In turn, with connections kept open. A node that does not answer is asked again the next time: nobody would notice a
/// node that is never asked. The feed for doors is a stream, so nothing is held back.
fn configuration(public: SocketAddr, nodes: &[SocketAddr]) -> String {
    let servers: String = nodes.iter().map(|node| format!("        server {node} max_fails=0;\n")).collect();
    format!(
        r#"daemon off;
worker_processes 1;
user root;
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    server_tokens off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    large_client_header_buffers 4 32k;
    upstream vestibule {{
{servers}        keepalive 64;
        # less than the node's own, so that it never closes a connection that is about to be used
        keepalive_timeout 30s;
    }}
    server {{
        listen {public};
        location / {{
            proxy_pass http://vestibule;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_buffering off;
            # a sign-in under way travels in a cookie of up to a few KiB, and so may a state in a Location
            proxy_buffer_size 16k;
            proxy_buffers 8 16k;
            proxy_connect_timeout 2s;
        }}
    }}
}}
"#
    )
}

/// What a server answers to a GET of `path`, if it answers within a few seconds: for probes, under any name.
pub(crate) fn status(address: SocketAddr, path: &str) -> Option<u16> {
    let patience = Some(Duration::from_secs(5));
    let mut socket = TcpStream::connect(address).ok()?;
    socket.set_read_timeout(patience).ok()?;
    socket.set_write_timeout(patience).ok()?;
    write!(socket, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
}
