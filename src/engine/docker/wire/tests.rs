use std::path::Path;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use super::*;

/// A socket that answers one connection with these bytes and then closes it (or, told so, does not).
struct Canned {
    directory: TempDir,
    listener: UnixListener,
}

impl Canned {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("engine.sock")).unwrap();
        Self { directory, listener }
    }

    fn address(&self) -> Address {
        Address::Unix(self.path().to_path_buf())
    }

    fn path(&self) -> Box<Path> {
        self.directory.path().join("engine.sock").into_boxed_path()
    }

    /// The head of the request.
    async fn answer(&self, answer: &str, close: bool) -> String {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        let mut head = vec![0; 4096];
        let length = stream.read(&mut head).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        if !close {
            std::future::pending::<()>().await;
        }
        String::from_utf8_lossy(&head[..length]).into_owned()
    }
}

async fn fetch(address: &Address) -> Result<Vec<u8>, EngineError> {
    get(Call::List, address, "/containers/json?all=1").await?.collect(Call::List).await
}

#[tokio::test]
async fn a_body_in_pieces_is_collected() {
    let engine = Canned::new();
    let address = engine.address();
    let answer =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n1\r\n\n\r\n0\r\n\r\n";
    let (request, body) = tokio::join!(engine.answer(answer, true), fetch(&address));
    assert_eq!(body, Ok(b"[]\n".to_vec()));
    assert!(request.starts_with("GET /containers/json?all=1 HTTP/1.1\r\n"), "{request}");
}

#[tokio::test]
async fn a_body_that_is_cut_short_is_no_shorter_list() {
    let engine = Canned::new();
    let address = engine.address();
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n";
    let (_, body) = tokio::join!(engine.answer(answer, true), fetch(&address));
    assert!(matches!(body, Err(EngineError::OutcomeUnknown { call: "list", .. })), "{body:?}");
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_leaves_the_outcome_open() {
    let engine = Canned::new();
    let address = engine.address();
    let (_, body) = tokio::join!(engine.answer("", true), fetch(&address));
    assert!(matches!(body, Err(EngineError::OutcomeUnknown { .. })), "{body:?}");
}

#[tokio::test]
async fn a_refusal_speaks_with_the_engines_words() {
    let engine = Canned::new();
    let address = engine.address();
    let json = "HTTP/1.1 500 Oops\r\nContent-Length: 17\r\n\r\n{\"message\":\"bad\"}";
    let (_, body) = tokio::join!(engine.answer(json, true), fetch(&address));
    assert_eq!(body, Err(EngineError::Failed { status: 500, message: "bad".to_owned() }));
    let html = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>";
    let (_, body) = tokio::join!(engine.answer(html, true), fetch(&address));
    assert_eq!(body, Err(EngineError::Failed { status: 502, message: "<html>".to_owned() }));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_meets_the_deadline() {
    let engine = Canned::new();
    let address = engine.address();
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[";
    let deadline = Duration::from_secs(30);
    let body = tokio::select! {
        body = within(Call::List, deadline, fetch(&address)) => body,
        _ = engine.answer(answer, false) => unreachable!("the engine keeps the connection"),
    };
    assert_eq!(body, Err(EngineError::OutcomeUnknown { call: "list", after: deadline }));
}

#[tokio::test]
async fn nobody_listening_means_that_nothing_was_done() {
    let engine = Canned::new();
    let address = engine.address();
    drop(engine.listener);
    let error = fetch(&address).await.unwrap_err();
    assert!(
        matches!(&error, EngineError::Unreachable(text) if text.contains("refused")),
        "{error}"
    );
}

/// Were bollard to send its own version, older engines would refuse it: then it must negotiate first.
#[tokio::test]
async fn bollard_asks_for_no_version_of_the_api() {
    let engine = Canned::new();
    let path = engine.path().to_string_lossy().into_owned();
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    let answers = async { [engine.answer(answer, true).await, engine.answer(answer, true).await] };
    let (requests, docker) = tokio::join!(answers, super::super::Docker::connect(Some(&path)));
    assert!(docker.is_ok(), "{docker:?}");
    let lines: Vec<_> = requests.iter().map(|it| it.lines().next().unwrap()).collect();
    assert_eq!(lines, ["GET /version HTTP/1.1", "GET /info HTTP/1.1"]);
}
