//! The canned backend: responses that cost next to nothing, so that what is
//! measured is what stands in front of it.

use std::collections::HashMap;
use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::spawn_local;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::message::Request;
use crate::target::{Duplex, Place};
use crate::{report, websocket};

/// Longest request head that is read.
const BUFFER: usize = 16 * 1024;
/// Largest response.
const MOST: usize = 16 * 1024 * 1024;

/// Serves until the process is stopped.
pub(crate) async fn run(listen: Place) -> Result<()> {
    match listen {
        Place::Tcp(address) => {
            let listener = TcpListener::bind(address)
                .await
                .with_context(|| format!("cannot listen on {address}"))?;
            report::print(&json!({ "listening": listener.local_addr()?.to_string() }))?;
            loop {
                let (stream, _) = listener.accept().await.context("cannot accept")?;
                stream.set_nodelay(true)?;
                spawn_local(serve_connection(stream));
            }
        }
        Place::Unix(path) => {
            let listener = UnixListener::bind(&path)
                .with_context(|| format!("cannot listen on {}", path.display()))?;
            report::print(&json!({ "listening": path }))?;
            loop {
                let (stream, _) = listener.accept().await.context("cannot accept")?;
                spawn_local(serve_connection(stream));
            }
        }
    }
}

async fn serve_connection(stream: impl Duplex + 'static) {
    // Connections end however their client likes; a wrong request is reported.
    if let Err(error) = serve(stream).await
        && error.downcast_ref::<std::io::Error>().is_none()
    {
        eprintln!("santa-load: {error:#}");
    }
}

async fn serve(mut stream: impl Duplex + 'static) -> Result<()> {
    let mut responses: HashMap<String, Rc<[u8]>> = HashMap::new();
    let mut buffer = vec![0; BUFFER];
    let mut filled = 0;
    loop {
        let Some(request) = Request::read(&buffer[..filled])? else {
            ensure!(filled < BUFFER, "the head of a request is too long");
            match stream.read(&mut buffer[filled..]).await? {
                0 => return Ok(()),
                count => filled += count,
            }
            continue;
        };
        if let Some(key) = request.websocket {
            return echo(stream, &key).await;
        }
        let used = request.head + usize::try_from(request.content)?;
        if used > filled {
            let mut rest = vec![0; used - filled];
            stream.read_exact(&mut rest).await?;
            filled = used;
        }
        let response = match responses.get(&request.target) {
            Some(response) => Rc::clone(response),
            None => {
                let response: Rc<[u8]> = canned(&request.target).into();
                responses.insert(request.target, Rc::clone(&response));
                response
            }
        };
        stream.write_all(&response).await?;
        if request.last {
            return Ok(());
        }
        if used < buffer.len() {
            buffer.copy_within(used..filled, 0);
        }
        filled -= used;
    }
}

/// The response to `/…/bytes/N`; 404 for everything else.
fn canned(target: &str) -> Vec<u8> {
    let count = target
        .rsplit_once("/bytes/")
        .and_then(|(_, count)| count.parse().ok())
        .filter(|count: &usize| *count <= MOST);
    let Some(count) = count else {
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec();
    };
    let mut response = format!(
        "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\nserver: uvicorn\r\n\
         content-type: application/json\r\ncontent-length: {count}\r\n\r\n"
    )
    .into_bytes();
    response.resize(response.len() + count, b'x');
    response
}

async fn echo(mut stream: impl Duplex, key: &[u8]) -> Result<()> {
    let accept = derive_accept_key(key);
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let config = Some(websocket::config());
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, config).await;
    // A client that goes away without a close frame ends it as well.
    while let Some(Ok(message)) = socket.next().await {
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_as_many_bytes_as_asked_for() {
        let response = String::from_utf8(canned("/api/v1/bytes/200")).expect("text");
        let (head, content) = response.split_once("\r\n\r\n").expect("head");
        assert!(head.starts_with("HTTP/1.1 200 OK"));
        assert_eq!(content.len(), 200);
        for wrong in ["/", "/bytes/", "/bytes/-1", "/bytes/99999999999"] {
            assert!(canned(wrong).starts_with(b"HTTP/1.1 404"), "{wrong}");
        }
    }
}
