//! A real WebSocket client and server through the proxy: the cases that
//! conformance suites look at, none of which may look different on its way.

use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::{self, JoinHandle};

use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use crate::support::TIMEOUT;
use crate::support::proxy::{Proxy, Setup};

/// More than a proxy that gathers whole messages would hold.
const LARGE: usize = 4 * 1024 * 1024;

fn config() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(Some(2 * LARGE)).max_frame_size(Some(2 * LARGE))
}

/// A server for one connection, and a client of it through the proxy.
fn connect<T: Send + 'static>(
    serve: impl FnOnce(WebSocket<UnixStream>) -> T + Send + 'static,
) -> (Proxy, WebSocket<TcpStream>, JoinHandle<T>) {
    let setup = Setup::new();
    let listener = UnixListener::bind(setup.socket()).expect("bind");
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("accept");
        stream.set_read_timeout(Some(TIMEOUT)).expect("timeout");
        serve(tungstenite::accept_with_config(stream, Some(config())).expect("handshake"))
    });
    let proxy = setup.start();
    let stream = TcpStream::connect(proxy.address).expect("connect");
    stream.set_read_timeout(Some(TIMEOUT)).expect("timeout");
    let url = format!("ws://{}/api/v1/live", proxy.address);
    let client = tungstenite::client::client_with_config(url, stream, Some(config()));
    let (client, response) = client.expect("handshake");
    assert_eq!(response.status().as_u16(), 101);
    (proxy, client, serving)
}

/// Sends every message back until the end; returns how that came about.
fn echo(mut server: WebSocket<UnixStream>) -> Option<CloseFrame> {
    let mut closed = None;
    loop {
        match server.read() {
            Ok(Message::Close(frame)) => closed = frame,
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                server.send(message).expect("sent");
            }
            Ok(_) => {}
            Err(Error::ConnectionClosed) => return closed,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn messages_of_every_size_come_back_as_they_were() {
    let (_proxy, mut client, serving) = connect(echo);
    for size in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 65_537, 1_000_000, LARGE] {
        let bytes: Vec<u8> = (0..size).map(|number| (number % 251) as u8).collect();
        client.send(Message::binary(bytes.clone())).expect("sent");
        assert!(client.read().expect("a message").into_data() == bytes, "{size} bytes");
    }
    for text in ["", "Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "\u{10ffff}"] {
        client.send(Message::text(text)).expect("sent");
        assert_eq!(client.read().expect("a message").into_text().expect("text"), text);
    }
    client.close(None).expect("closing");
    while client.read().is_ok() {}
    assert_eq!(serving.join().expect("the server ends well"), None);
}

#[test]
fn fragments_make_one_message_with_control_frames_between_them() {
    let (_proxy, mut client, serving) = connect(echo);
    let pieces: [(&[u8], Data, bool); 4] = [
        (b"fra", Data::Text, false),
        (b"", Data::Continue, false),
        (b"gmen", Data::Continue, false),
        (b"ted", Data::Continue, true),
    ];
    for (bytes, code, last) in pieces {
        let frame = Frame::message(bytes.to_vec(), OpCode::Data(code), last);
        client.send(Message::Frame(frame)).expect("sent");
        client.send(Message::Ping(bytes.to_vec().into())).expect("sent");
        if last {
            assert_eq!(client.read().expect("a message"), Message::text("fragmented"));
        }
        assert_eq!(client.read().expect("a pong"), Message::Pong(bytes.to_vec().into()));
    }
    client.close(None).expect("closing");
    while client.read().is_ok() {}
    serving.join().expect("the server ends well");
}

#[test]
fn pings_are_passed_on_in_both_directions() {
    let (_proxy, mut client, serving) = connect(|mut server: WebSocket<UnixStream>| {
        server.send(Message::Ping(b"from the server".to_vec().into())).expect("sent");
        let Message::Pong(pong) = server.read().expect("a pong") else { panic!("no pong") };
        pong.to_vec()
    });
    assert!(matches!(client.read().expect("a ping"), Message::Ping(_)));
    client.flush().expect("the pong is sent");
    assert_eq!(serving.join().expect("a response"), b"from the server");
}

#[test]
fn close_codes_and_reasons_reach_the_other_end() {
    let codes = [1000, 1001, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 3000, 4999];
    for code in codes.map(CloseCode::from) {
        let (_proxy, mut client, serving) = connect(echo);
        let frame = CloseFrame { code, reason: "as agreed".into() };
        client.close(Some(frame.clone())).expect("closing");
        let response = loop {
            match client.read() {
                Ok(Message::Close(response)) => break response,
                Ok(_) => {}
                Err(error) => panic!("no response to the close: {error}"),
            }
        };
        assert_eq!(response.map(|response| response.code), Some(code));
        assert!(matches!(client.read(), Err(Error::ConnectionClosed)));
        assert_eq!(serving.join().expect("the server ends well"), Some(frame));
    }
}

#[test]
fn a_close_by_the_server_reaches_the_client() {
    let (_proxy, mut client, serving) = connect(|mut server: WebSocket<UnixStream>| {
        let frame = CloseFrame { code: CloseCode::Restart, reason: "coming back".into() };
        server.close(Some(frame)).expect("closing");
        while server.read().is_ok() {}
    });
    let Message::Close(Some(frame)) = client.read().expect("a close") else { panic!("no close") };
    assert_eq!((frame.code, frame.reason.as_str()), (CloseCode::Restart, "coming back"));
    while client.read().is_ok() {}
    serving.join().expect("the server ends well");
}

#[test]
fn invalid_frames_are_passed_on() {
    let (_proxy, client, serving) = connect(|mut server: WebSocket<UnixStream>| server.read());
    // A client's frames must be masked; this one's are not.
    let mut stream = client.get_ref().try_clone().expect("clone");
    let mut unmasked = WebSocket::from_raw_socket(&mut stream, Role::Server, None);
    unmasked.send(Message::text("bare")).expect("sent");
    let refused = serving.join().expect("the server ends well");
    assert!(matches!(refused, Err(Error::Protocol(_))), "{refused:?}");
}

#[test]
fn a_disconnected_client_is_seen_by_the_server() {
    let (_proxy, client, serving) = connect(|mut server: WebSocket<UnixStream>| server.read());
    drop(client);
    let ended = serving.join().expect("the server ends well");
    assert!(matches!(ended, Err(Error::Protocol(_) | Error::Io(_))), "{ended:?}");
}
