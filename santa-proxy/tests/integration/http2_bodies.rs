//! Bodies over HTTP/2 that do not arrive: they hold no place in a full table, and no more
//! memory than the limit says.

use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};

use crate::http2::{client, run, start};
use crate::slow_bodies::unfinished;
use crate::support::backend::Act;
use crate::support::client::Client;
use crate::support::eventually_async;
use crate::support::proxy::{Proxy, Setup};
use crate::support::tls::Authority;

/// Sends a request without content.
async fn send(client: &SendRequest<Bytes>, path: &str) -> ResponseFuture {
    let mut ready = client.clone().ready().await.expect("room for a stream");
    let request = http::Request::get(format!("https://santa.test{path}")).body(());
    ready.send_request(request.expect("a request"), true).expect("sent").0
}

/// Streams of one connection, each of which lacks the rest of a body.
async fn slow_streams(
    proxy: &Proxy,
    authority: &Authority,
    count: usize,
) -> Vec<(SendStream<Bytes>, ResponseFuture)> {
    let client = client(proxy, authority).await;
    let mut streams = Vec::new();
    for _ in 0..count {
        streams.push(unfinished(&client, b"{").await);
    }
    // When this response arrives, the requests before it have been read.
    assert_eq!(send(&client, "/health").await.await.expect("a response").status(), 200);
    streams
}

#[test]
fn http2_connections_with_nothing_but_slow_bodies_make_room() {
    const TABLE: usize = 4;
    let setup = Setup::new().set("PROXY__LIMITS__CONNECTIONS", &TABLE.to_string());
    let (authority, proxy, backend) = start(setup);
    run(async {
        let mut crowd = Vec::new();
        for count in 1..=TABLE {
            crowd.push(slow_streams(&proxy, &authority, count).await);
        }
        for path in ["/file.txt", "/api/x", "/file.txt"] {
            let address = proxy.address;
            let response = tokio::task::spawn_blocking(move || Client::connect(address).get(path));
            assert_eq!(response.await.expect("a response").status, 200);
        }
        // The oldest gets a 408.
        for (_, response) in crowd.swap_remove(0) {
            assert_eq!(response.await.expect("a response").status(), 503);
        }
    });
    assert_eq!(backend.received().len(), 1);
}

#[test]
fn an_http2_connection_with_an_open_request_is_not_closed_to_make_room() {
    let setup = Setup::new().set("PROXY__LIMITS__CONNECTIONS", "1");
    let (authority, proxy, backend) = start(setup);
    backend.script(|_| Act::HandOver);
    run(async {
        let client = client(&proxy, &authority).await;
        let _slow = unfinished(&client, b"{").await;
        let _response = send(&client, "/api/x").await;
        eventually_async("the backend has the request", || backend.has_bytes()).await;
        let address = proxy.address;
        let response =
            tokio::task::spawn_blocking(move || Client::connect(address).get("/file.txt"));
        assert_eq!(response.await.expect("a response").status, 503);
    });
}

#[test]
fn what_may_be_sent_ahead_over_http2_counts_as_memory_of_bodies() {
    let setup = Setup::new()
        .set("PROXY__LIMITS__BODY_MEMORY", "1MiB")
        .set("PROXY__LIMITS__BODY_BUFFER", "16KiB");
    let (authority, proxy, _backend) = start(setup);
    let lengths = [Some(900_000), None];
    for length in lengths {
        run(async {
            let client = client(&proxy, &authority).await;
            let mut streams = Vec::new();
            for _ in 0..20 {
                let mut ready = client.clone().ready().await.expect("room for a stream");
                let mut request = http::Request::post("https://santa.test/api/x");
                if let Some(length) = length {
                    request = request.header("content-length", length);
                }
                let request = request.body(()).expect("one");
                streams.push(ready.send_request(request, false).expect("sent"));
            }
            // 128 KiB for each, of what is left for others.
            let (taken, refused) = streams.split_at_mut(4);
            for (response, _) in refused {
                assert_eq!(response.await.expect("a response").status(), 503, "{length:?}");
            }
            for (_, stream) in taken {
                stream.send_reset(h2::Reason::CANCEL);
            }
        });
    }
}
