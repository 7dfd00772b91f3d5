//! Waiting for something to become true. The deadline is generous: it only ends a test that would
//! otherwise wait for ever, and proves nothing about speed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(40);

/// Looks again and again until `look` gives a value; fails with its last reason when it never does.
#[track_caller]
pub(crate) fn until<T>(what: &str, look: impl FnMut() -> Result<T, String>) -> T {
    until_within(DEADLINE, what, look)
}

/// As [`until`], for what may rightly take longer.
#[track_caller]
pub(crate) fn until_within<T>(
    limit: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<T, String>,
) -> T {
    let end = Instant::now() + limit;
    loop {
        match look() {
            Ok(value) => return value,
            Err(reason) if Instant::now() > end => {
                panic!("waited {limit:?} until {what}; at last: {reason}")
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// The whole answer of an HTTP server on loopback to `GET path`, status line included.
pub(crate) fn http_get(port: u16, path: &str) -> Result<String, String> {
    let ask = || -> std::io::Result<String> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    match ask() {
        Ok(answer) if answer.starts_with("HTTP/1.") => Ok(answer),
        Ok(answer) => Err(format!("port {port} answered {answer:?}")),
        Err(error) => Err(format!("port {port}: {error}")),
    }
}
