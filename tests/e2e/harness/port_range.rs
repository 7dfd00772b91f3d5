//! A range of host ports that no other test uses at the same time, in this process or another.

use std::fs::{self, File, TryLockError};

const FIRST: u16 = 21_000;
const SIZE: u16 = 60;
// All of it lies below 32768, where Linux starts to hand out ports for outgoing connections.
const SLOTS: u16 = 190;

/// A reserved range of host ports; free for others when it is dropped.
pub(crate) struct PortRange {
    pub(crate) base: u16,
    pub(crate) count: u16,
    _lock: File,
}

impl PortRange {
    /// Takes the first range whose lock file nobody holds.
    pub(crate) fn reserve() -> Self {
        let folder = std::env::temp_dir().join("sandkeeper-e2e-ports");
        fs::create_dir_all(&folder).expect("the folder of port locks can be made");
        for slot in 0..SLOTS {
            let lock = File::create(folder.join(slot.to_string())).expect("a lock file opens");
            match lock.try_lock() {
                Ok(()) => return Self { base: FIRST + slot * SIZE, count: SIZE, _lock: lock },
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => panic!("lock of port range {slot}: {error}"),
            }
        }
        panic!("all {SLOTS} port ranges are in use: look for tests that hang");
    }
}
