use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::*;

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Answers one request with these bytes, closes, and returns the request.
async fn serve(listener: &TcpListener, answer: &[u8]) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = vec![0; 4096];
    let length = stream.read(&mut request).await.unwrap();
    // The probe may close before a large answer is through.
    let _ = stream.write_all(answer).await;
    String::from_utf8_lossy(&request[..length]).into_owned()
}

async fn answered(answer: &[u8]) -> Result<(), String> {
    let (listener, address) = listen().await;
    tokio::join!(get(address, "/ready"), serve(&listener, answer)).0
}

fn head(status: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok").into_bytes()
}

#[tokio::test]
async fn statuses_from_200_to_399_pass() {
    for status in ["200 OK", "204 No Content", "302 Found", "399 X"] {
        assert_eq!(answered(&head(status)).await, Ok(()), "{status}");
    }
    for status in ["400 Bad Request", "404 Not Found", "503 Service Unavailable"] {
        let message = answered(&head(status)).await.unwrap_err();
        assert!(message.ends_with(&format!("status {}", &status[..3])), "{message}");
    }
}

#[tokio::test]
async fn the_request_says_who_asks_and_for_what() {
    let (listener, address) = listen().await;
    let answer = head("200 OK");
    let (result, request) =
        tokio::join!(get(address, "/v1/sandbox?deep=1"), serve(&listener, &answer));
    assert_eq!(result, Ok(()));
    let request = request.to_lowercase();
    assert!(request.starts_with("get /v1/sandbox?deep=1 http/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("\r\nhost: {address}\r\n")), "{request}");
    assert!(request.contains(&format!("\r\nuser-agent: {AGENT}\r\n")), "{request}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (listener, address) = listen().await;
    let (elsewhere, target) = listen().await;
    let answer =
        format!("HTTP/1.1 302 Found\r\nLocation: http://{target}/\r\nContent-Length: 0\r\n\r\n");
    let (result, _) = tokio::join!(get(address, "/"), serve(&listener, answer.as_bytes()));
    assert_eq!(result, Ok(()));
    assert!(timeout(Duration::from_millis(50), elsewhere.accept()).await.is_err());
}

#[tokio::test]
async fn no_more_of_a_body_is_read_than_the_cap() {
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n".to_vec();
    answer.resize(answer.len() + 4 * MAX_BODY, b'x');
    let (listener, address) = listen().await;
    // The rest of the billion bytes never comes.
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.write_all(&answer).await;
        stream
    };
    let (result, _stream) = tokio::join!(get(address, "/"), server);
    assert_eq!(result, Ok(()));
}

#[tokio::test]
async fn a_body_that_breaks_off_fails() {
    let message =
        answered(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort").await.unwrap_err();
    assert!(message.contains("broke"), "{message}");
}

#[tokio::test]
async fn ten_thousand_headers_fail() {
    let mut answer = b"HTTP/1.1 200 OK\r\n".to_vec();
    for number in 0..10_000 {
        answer.extend(format!("X-{number}: y\r\n").bytes());
    }
    answer.extend(b"\r\n");
    assert!(answered(&answer).await.unwrap_err().contains("too large"));
}

#[tokio::test]
async fn a_head_that_never_ends_fails() {
    let mut answer = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
    answer.resize(4 * MAX_HEAD, b'y');
    assert!(answered(&answer).await.is_err());
}

#[tokio::test]
async fn what_is_not_http_fails() {
    assert!(answered(b"SSH-2.0-OpenSSH_9.6\r\n").await.unwrap_err().contains("not HTTP"));
}

#[tokio::test]
async fn a_proxy_with_nobody_behind_it_fails() {
    let (listener, address) = listen().await;
    let proxy = async { drop(listener.accept().await.unwrap()) };
    let (result, ()) = tokio::join!(get(address, "/"), proxy);
    assert!(result.unwrap_err().starts_with("GET / on 127.0.0.1:"));
}

#[tokio::test]
async fn a_closed_port_fails() {
    let (listener, address) = listen().await;
    drop(listener);
    assert!(get(address, "/").await.unwrap_err().contains("refused"));
}

#[tokio::test]
async fn a_path_that_is_none_is_refused_before_anything_is_sent() {
    let (_listener, address) = listen().await;
    let message = get(address, "/a b\r\nX: y").await.unwrap_err();
    assert!(message.contains("cannot be asked for") && !message.contains('\n'), "{message}");
}
