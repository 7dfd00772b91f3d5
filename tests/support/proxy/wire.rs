//! The daemon's end of a connection, on which bytes that are no HTTP can be sent.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

/// Bytes that are sent in place of everything that hyper would send from now on.
#[derive(Clone, Default)]
pub(super) struct Garbage(Arc<Mutex<Option<Vec<u8>>>>);

impl Garbage {
    pub(super) fn send(&self, bytes: Vec<u8>) {
        *super::held(&self.0) = Some(bytes);
    }
}

/// A stream that hyper serves.
pub(super) struct Wire {
    stream: UnixStream,
    garbage: Garbage,
}

impl Wire {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, garbage: Garbage::default() }
    }

    pub(super) fn garbage(&self) -> Garbage {
        self.garbage.clone()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let garbage = self.garbage.clone();
        let mut garbage = super::held(&garbage.0);
        let Some(rest) = garbage.as_mut() else {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        };
        while !rest.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
            rest.drain(..written);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
