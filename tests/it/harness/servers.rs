//! What faults are made of: a wire that does what it is told, servers that can be killed and come back, and a Sentinel set
//! that fails over.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use crate::support::{
    nodes::Nodes,
    redis::{Redis, Sentinels},
    visitor::Visitor,
    wire::{Mode, Wire},
};

/// Longer than anything takes on loopback, shorter than what the modes do.
const PATIENCE: Duration = Duration::from_millis(400);

/// What came of a PING.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Pong,
    Nothing,
    Reset,
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).expect("a connection");
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    socket
}

fn send(socket: &mut TcpStream, command: &str) {
    socket.write_all(format!("{command}\r\n").as_bytes()).expect("sent");
}

fn hear(socket: &mut TcpStream) -> Heard {
    let mut answer = [0; 64];
    let read = loop {
        match socket.read(&mut answer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => break read,
        }
    };
    match read {
        Ok(read) if answer[..read].ends_with(b"+PONG\r\n") => Heard::Pong,
        Ok(read) => panic!("{:?}", String::from_utf8_lossy(&answer[..read])),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Heard::Nothing,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Heard::Reset,
        Err(error) => panic!("{error}"),
    }
}

fn ping(socket: &mut TcpStream) -> Heard {
    send(socket, "PING");
    hear(socket)
}

#[test]
fn a_wire_passes_delays_and_counts() {
    let redis = Redis::start();
    let wire = Wire::to(redis.address);
    let mut socket = connect(wire.address);
    assert_eq!(ping(&mut socket), Heard::Pong);
    assert_eq!((wire.connections(), wire.bytes()), (1, (6, 7)));
    wire.set(Mode::Delay(Duration::from_millis(150)));
    let begun = Instant::now();
    assert_eq!(ping(&mut socket), Heard::Pong);
    assert!(begun.elapsed() >= Duration::from_millis(300), "both ways: {:?}", begun.elapsed());
    wire.set(Mode::Pass);
    assert_eq!(ping(&mut socket), Heard::Pong);
    assert_eq!((wire.connections(), wire.bytes()), (1, (18, 21)));
}

#[test]
fn a_wire_refuses_and_resets() {
    let redis = Redis::start();
    let wire = Wire::to(redis.address);
    let mut open = connect(wire.address);
    assert_eq!(ping(&mut open), Heard::Pong);
    wire.set(Mode::Refuse);
    assert_eq!(hear(&mut open), Heard::Reset);
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(wire.address).is_ok() {
        assert!(Instant::now() < deadline, "still listening");
    }
    assert_eq!(TcpStream::connect(wire.address).expect_err("refused").kind(), ErrorKind::ConnectionRefused);
    wire.set(Mode::Pass);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(ping(&mut connect(wire.address)), Heard::Pong);
    wire.set(Mode::Reset);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(hear(&mut connect(wire.address)), Heard::Reset);
}

/// What was sent into a cut wire never arrives, as after a partition, and the connection is of no use afterwards.
#[test]
fn a_cut_wire_loses_what_was_sent() {
    let redis = Redis::start();
    let wire = Wire::to(redis.address);
    let (mut used, mut idle) = (connect(wire.address), connect(wire.address));
    assert_eq!((ping(&mut used), ping(&mut idle)), (Heard::Pong, Heard::Pong));
    wire.set(Mode::Cut);
    send(&mut used, "SET lost yes");
    assert_eq!(hear(&mut used), Heard::Nothing);
    assert_eq!(ping(&mut connect(wire.address)), Heard::Nothing, "a new connection is as dead");
    wire.set(Mode::Pass);
    assert_eq!(hear(&mut used), Heard::Reset);
    assert_eq!(ping(&mut idle), Heard::Pong, "nobody missed anything here");
    assert_eq!(redis.cli(&["exists", "lost"]), "0");
}

/// Half-open: the server hears and its answers are lost, or it does not hear.
#[test]
fn a_stalled_wire_swallows_one_direction() {
    let redis = Redis::start();
    for (up, down, arrived) in [(false, true, "1"), (true, false, "0")] {
        let wire = Wire::to(redis.address);
        let mut socket = connect(wire.address);
        assert_eq!(ping(&mut socket), Heard::Pong);
        wire.set(Mode::Stall { up, down });
        send(&mut socket, &format!("SET stalled-{up} yes"));
        assert_eq!(hear(&mut socket), Heard::Nothing);
        assert_eq!(redis.cli(&["exists", &format!("stalled-{up}")]), arrived);
    }
}

#[test]
fn a_server_comes_back_with_what_was_acknowledged() {
    let redis = Redis::start();
    assert_eq!(redis.cli(&["set", "kept", "yes"]), "OK");
    redis.kill();
    assert_eq!(redis.try_cli(&["ping"]), None);
    redis.start_again();
    assert_eq!(redis.cli(&["get", "kept"]), "yes");
    redis.pause();
    let mut socket = connect(redis.address);
    assert_eq!(ping(&mut socket), Heard::Nothing);
    redis.resume();
    assert_eq!(hear(&mut socket), Heard::Pong, "it had waited");
    redis.config_set("maxmemory", "1");
    assert!(redis.cli(&["set", "more", "yes"]).contains("OOM"));
}

#[test]
fn a_sentinel_set_fails_over_as_planned_and_when_the_primary_dies() {
    let set = Sentinels::start();
    let first = set.primary().address;
    set.failover();
    assert_ne!(set.primary().address, first);
    set.primary().cli(&["config", "set", "min-replicas-to-write", "0"]);
    assert_eq!(set.primary().cli(&["set", "kept", "yes"]), "OK");
    set.until_followed();
    let gone = set.kill_primary().address;
    assert_eq!((set.primary().address, set.primary().cli(&["get", "kept"]).as_str()), (first, "yes"));
    assert_ne!(gone, first);
}

/// nginx passes on in turn, and a node can be asked past it; what comes back is the same.
#[tokio::test]
async fn nodes_answer_behind_the_proxy_and_past_it() {
    let nodes = Nodes::start(&["store.redb"]).await;
    let metadata = format!("{}/.well-known/openid-configuration", nodes.issuer);
    let through = Visitor::new(&nodes).get_json(&metadata).await.expect(200).json();
    let past = nodes.visitor(&[0]).get_json(&metadata).await.expect(200).json();
    assert_eq!(through, past);
    assert_eq!(through["issuer"], nodes.issuer);
    let mut guest = crate::support::journey::Guest::new(&nodes, nodes.guest(0));
    let page = guest.arrive(&nodes.links.panel_by_id).await.expect(200);
    assert!(page.page().has("sign-out"), "{:?}", guest.pressed);
    let mut door = crate::support::journey::Guest::signed_in(&nodes).await;
    let app = door.arrive(&nodes.app.url).await.expect(200);
    assert!(app.body.contains("Hello"), "{}", app.body);
}
