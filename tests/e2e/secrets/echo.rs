//! An engine that refuses each creation and repeats in its words all that it was asked for. Whatever else
//! it is asked goes to the real engine.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

/// As long as a test lives; its threads end with their connections.
pub(super) struct Echo {
    told: Arc<Mutex<String>>,
}

impl Echo {
    pub(super) fn start(socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).expect("a socket");
        let told = Arc::<Mutex<String>>::default();
        let echo = Self { told: Arc::clone(&told) };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let told = Arc::clone(&told);
                // A connection that breaks is the daemon's to bear.
                thread::spawn(move || drop(serve(client, &told)));
            }
        });
        echo
    }

    /// Whether a request for a container held this.
    pub(super) fn was_told(&self, text: &str) -> bool {
        self.told.lock().expect("no thread panics").contains(text)
    }
}

/// The client opens a connection for each call.
fn serve(mut client: UnixStream, told: &Mutex<String>) -> io::Result<()> {
    let head = head(&mut client)?;
    if !head.starts_with("POST /containers/create") {
        return pass(&head, &client);
    }
    let length = head.to_lowercase().lines().find_map(|line| {
        line.strip_prefix("content-length: ").and_then(|length| length.trim().parse().ok())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    // What matters first: the words are cut somewhere.
    let env = body.split("\"Env\":").nth(1).unwrap_or(&body).to_owned();
    told.lock().expect("no thread panics").push_str(&body);
    let answer =
        serde_json::json!({ "message": format!("invalid environment: {env}") }).to_string();
    write!(
        client,
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{answer}",
        answer.len()
    )
}

fn head(client: &mut UnixStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn pass(head: &str, client: &UnixStream) -> io::Result<()> {
    let mut engine = UnixStream::connect("/var/run/docker.sock")?;
    engine.write_all(head.as_bytes())?;
    let (mut from_client, mut to_engine) = (client.try_clone()?, engine.try_clone()?);
    let forth = thread::spawn(move || {
        let copied = io::copy(&mut from_client, &mut to_engine);
        // The engine may already be gone.
        drop(to_engine.shutdown(Shutdown::Write));
        copied
    });
    let mut to_client = client.try_clone()?;
    io::copy(&mut engine, &mut to_client)?;
    drop(client.shutdown(Shutdown::Both));
    drop(forth.join());
    Ok(())
}
