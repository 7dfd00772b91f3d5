//! Mount tables of processes, as `/proc/PID/mountinfo` has them. Blocks.
//!
//! The file is read by whoever may see the process: it takes no right to trace it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use crate::plan::policy::mounted::{MountRow, MountTable};

/// The table of this process and that of a container's. `None`: this is no process of that container, as
/// far as can be seen here: its engine is on another host or in a virtual machine, or it has ended.
///
/// # Errors
/// A table is there and cannot be read.
pub fn mount_tables(pid: u32, container: &str) -> io::Result<Option<(MountTable, MountTable)>> {
    // Held open: what is read in it is of this very process, whoever gets the number later.
    let process = PathBuf::from(format!("/proc/{pid}"));
    let Ok(directory) = fs::File::open(&process) else { return Ok(None) };
    let Ok(groups) = read_in(&directory, "cgroup") else { return Ok(None) };
    let Ok(inside) = read_in(&directory, "mountinfo") else { return Ok(None) };
    // An empty table is that of a process that has ended.
    if inside.is_empty() || !is_of(container, &groups, &inside) {
        return Ok(None);
    }
    Ok(Some((parse(&fs::read("/proc/self/mountinfo")?)?, parse(&inside)?)))
}

/// Whether a process is of this container: a number means nothing on another host. That it is in the container's
/// control group does; and where an engine has none to give (a rootless one may not), that files of the
/// container's own, as its host name, are mounted in it.
fn is_of(container: &str, groups: &[u8], mounts: &[u8]) -> bool {
    [groups, mounts].iter().any(|text| String::from_utf8_lossy(text).contains(container))
}

fn read_in(directory: &fs::File, name: &str) -> io::Result<Vec<u8>> {
    use rustix::fs::{Mode, OFlags, openat};
    use std::io::Read as _;

    let file = openat(directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut content = Vec::new();
    fs::File::from(file).read_to_end(&mut content)?;
    Ok(content)
}

/// proc(5): `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse(text: &[u8]) -> io::Result<MountTable> {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let rows = lines.map(|line| {
        row(line).ok_or_else(|| {
            let line = String::from_utf8_lossy(line);
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a mount that cannot be read: {line}"),
            )
        })
    });
    rows.collect::<io::Result<_>>().map(MountTable)
}

fn row(line: &[u8]) -> Option<MountRow> {
    let mut words = line.split(|byte| *byte == b' ');
    let mut word = || words.next().map(unescape);
    let number = |word: Vec<u8>| String::from_utf8(word).ok()?.parse().ok();
    Some(MountRow {
        id: number(word()?)?,
        parent: number(word()?)?,
        device: String::from_utf8(word()?).ok()?,
        root: OsString::from_vec(word()?).into(),
        at: OsString::from_vec(word()?).into(),
    })
}

/// Blanks, tabs, line ends and backslashes are written as `\` and three octal digits.
fn unescape(word: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..3).filter(|_| *first == b'\\');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        if let Some(byte) = code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            plain.push(byte);
            rest = &tail[3..];
        } else {
            plain.push(*first);
            rest = tail;
        }
    }
    plain
}

#[cfg(test)]
mod tests;
