//! Host ports: who holds which, and which is free. An allocated port is kept for the sandbox's life; it
//! moves only when the engine says that somebody else has it.
//!
//! The book decides; [`PortBook`] around it brings the lock, the clock and the bind test. It knows what
//! this daemon gave out. What other programs hold shows in the bind test or in the engine's answer, which
//! comes back through [`PortBook::mark_taken`].

mod book;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::config::Ports;
use crate::plan::{Blocker, Port};
use crate::sandbox::Protocol;
use book::Book;

/// Whether a port can be bound on an address at this moment.
type Probe = fn(IpAddr, Protocol, u16) -> bool;

/// The host ports of all sandboxes. Shared between reconcilers; no call waits for anything but the lock
/// and a few bind system calls.
#[derive(Debug)]
pub struct PortBook {
    book: Mutex<Book>,
    probe: Probe,
}

impl PortBook {
    /// A book that begins with the ports that are remembered, by sandbox and port name.
    #[must_use]
    pub fn new(config: Ports, remembered: BTreeMap<String, BTreeMap<String, u16>>) -> Self {
        Self { book: Mutex::new(Book::new(config, remembered)), probe: can_bind }
    }

    /// Gives every wanted port its host port, by port name. All or nothing: a failure changes nothing.
    ///
    /// A fixed port is given as it is, unless another sandbox holds it. Another port stays what it was
    /// in the book or, failing that, in `remembered`, and is then not bind-tested, since the sandbox's own
    /// container may publish it. Otherwise it is the first free one of the range.
    ///
    /// # Errors
    /// A port conflict, when another sandbox (named) holds a fixed port or the range is used up.
    pub fn assign(
        &self,
        sandbox: &str,
        wanted: &[Port],
        remembered: &BTreeMap<String, u16>,
    ) -> Result<BTreeMap<String, u16>, Blocker> {
        self.book().assign(sandbox, wanted, remembered, self.probe, Instant::now())
    }

    /// Takes note that somebody else has this port, as the engine says: the sandbox gets another one,
    /// and nobody gets this one for a minute. A fixed port stays what the user said.
    pub fn mark_taken(&self, sandbox: &str, port_name: &str, port: u16) {
        self.book().mark_taken(sandbox, port_name, port, Instant::now());
    }

    /// Gives back the ports of a sandbox that is gone.
    pub fn release(&self, sandbox: &str) {
        self.book().release(sandbox);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // The book replaces a sandbox's claims as a whole, so a panic elsewhere leaves it consistent.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tries it. Only "in use" counts against a port: whether the engine may bind a privileged port, or has
/// an address that this process does not see, is for the engine to say.
fn can_bind(address: IpAddr, protocol: Protocol, port: u16) -> bool {
    let tried = match protocol {
        Protocol::Tcp => TcpListener::bind((address, port)).map(drop),
        Protocol::Udp => UdpSocket::bind((address, port)).map(drop),
    };
    !tried.is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
}

#[cfg(test)]
mod tests;
