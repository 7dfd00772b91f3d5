//! What systemd is told (`sd_notify(3)`). Without `NOTIFY_SOCKET` every call does nothing.

use std::future::Future;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::sandbox::text::escape;

/// The service is up; `status` is the line that `systemctl status` shows.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(&escape(status))]);
}

/// The line that `systemctl status` shows.
pub fn status(text: &str) {
    tell(&[NotifyState::Status(&escape(text))]);
}

/// The service has begun to stop.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// How often to [`ping`]: half of what systemd waits for. `None`: it does not wait.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

/// The service makes progress. To be sent by what makes it: a ping from a thread of its own would vouch
/// for a main loop that hangs.
pub fn ping() {
    tell(&[NotifyState::Watchdog]);
}

/// Waits for something that may take as long as it takes, and keeps the watchdog content meanwhile: a
/// service that waits for another is no service that hangs.
pub async fn while_waiting<T>(work: impl Future<Output = T>) -> T {
    let Some(interval) = watchdog_interval() else { return work.await };
    tokio::pin!(work);
    let mut ticks = tokio::time::interval(interval / 2);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = ticks.tick() => ping(),
        }
    }
}

/// Texts must be escaped: a line break in one would start another assignment.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd cannot be told how the service is; it may restart it");
    }
}

#[cfg(test)]
mod tests;
