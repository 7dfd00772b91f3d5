//! One look at one directory: list, read, parse. It decides nothing; trouble becomes a value.
//!
//! Everything here blocks, and a dead mount blocks for ever: it runs on the blocking pool, under the
//! caller's deadline.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Dir, Mode, OFlags};

use super::signals::Signals;
use super::snapshot::{Content, FilePath, Identity, Listing, Look, Reading};
use super::trust::{self, Authors};
use super::watch::DirectoryWatch;
use super::{Admitted, ReadDocument, Reader};
use crate::sandbox::Problem;

mod beneath;
mod parser;
mod read;
mod way;

use parser::Parser;
use read::{RawReading, read};

/// Looks at one directory, and remembers what it parsed.
pub(super) struct Scanner {
    directory: PathBuf,
    parser: Parser,
    signals: Option<Arc<Signals>>,
    watch: Option<DirectoryWatch>,
    parsed: BTreeMap<FilePath, Arc<Content>>,
}

impl Scanner {
    /// A scanner that also keeps a watch on the directory.
    pub(super) fn watched(directory: PathBuf, reader: Reader, signals: Arc<Signals>) -> Self {
        Self { signals: Some(signals), ..Self::unwatched(directory, reader) }
    }

    /// A scanner for a single look.
    pub(super) fn unwatched(directory: PathBuf, reader: Reader) -> Self {
        let parser = Parser::new(reader, directory.clone(), parser::DEADLINE);
        Self { directory, parser, signals: None, watch: None, parsed: BTreeMap::new() }
    }

    /// Its watch is about to die.
    #[cfg(test)]
    pub(super) fn doom(&mut self) {
        self.watch = Some(DirectoryWatch::doomed(&self.directory));
    }

    /// Looks. The watch is in place before the listing begins, so that nothing falls between the two.
    /// `refresh` also renews a watch that seems to be in place.
    pub(super) fn look(&mut self, refresh: bool) -> Look {
        let watcher = self.watcher();
        let parent_watched = self.watch.as_mut().is_some_and(|watch| watch.arm_parent(refresh));
        let opened = match self.open() {
            Ok(opened) => opened,
            Err(error) => return self.trouble(&error, parent_watched),
        };
        let unwatched = match watcher {
            Err(reason) => Some(reason),
            Ok(()) => self.arm(&opened, refresh),
        };
        let authors = match self.authors(&opened) {
            Ok(Ok(authors)) => authors,
            // As if it could not be read: nothing there counts, and nothing is missed there.
            Ok(Err(reason)) => return Look::Unreadable(reason),
            Err(error) => return self.trouble(&error, parent_watched),
        };
        let listed = self.list(&opened, &authors, unwatched);
        self.parser.rest();
        match listed {
            Ok(listing) => Look::Listed(listing),
            Err(error) => self.trouble(&error, parent_watched),
        }
    }

    /// Whose files count here; the inner `Err` says who else could have written them.
    fn authors(&self, opened: &Opened) -> io::Result<Result<Authors, String>> {
        let (way, leads_to) = way::way(&self.directory)?;
        if leads_to != opened.identity {
            return Err(replaced());
        }
        Ok(trust::authors(&way, daemon()))
    }

    fn open(&self) -> io::Result<Opened> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(rustix::fs::open(&self.directory, flags, Mode::empty())?);
        let metadata = file.metadata()?;
        Ok(Opened { identity: Identity::of(&metadata), file })
    }

    /// Makes the watcher if there is none; `Err` says why there can be none.
    fn watcher(&mut self) -> Result<(), String> {
        let Some(signals) = &self.signals else { return Ok(()) };
        self.watch.take_if(|watch| watch.is_dead());
        if self.watch.is_none() {
            self.watch = Some(DirectoryWatch::new(&self.directory, signals.clone())?);
        }
        Ok(())
    }

    /// Arms the watch for this directory; `Some` says why it cannot be relied on.
    fn arm(&mut self, opened: &Opened, refresh: bool) -> Option<String> {
        let watch = self.watch.as_mut()?;
        if is_remote(&opened.file) {
            watch.disarm();
            return Some("a network or shared filesystem announces no changes".to_owned());
        }
        watch.arm(opened.identity, refresh).err()
    }

    fn trouble(&mut self, error: &io::Error, watched: bool) -> Look {
        if error.kind() != io::ErrorKind::NotFound {
            return Look::Unreadable(error.to_string());
        }
        if let Some(watch) = &mut self.watch {
            watch.disarm();
        }
        Look::Missing { watched }
    }

    /// Lists and reads everything. Any error spoils the listing: what was not seen is not absent.
    fn list(
        &mut self,
        opened: &Opened,
        authors: &Authors,
        unwatched: Option<String>,
    ) -> io::Result<Listing> {
        let mut files = BTreeMap::new();
        let mut ignored = Vec::new();
        for entry in Dir::read_from(&opened.file)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let path = self.directory.join(name);
            if !is_spec_name(name) {
                ignored.push(path);
                continue;
            }
            let path = FilePath::from(path);
            let regular = entry.file_type().is_file();
            let raw = read(&opened.file, entry.file_name(), regular, authors);
            if let Some(reading) = self.reading(raw, &path) {
                files.insert(path, reading);
            }
        }
        self.still_there(opened)?;
        ignored.sort();
        self.remember(&files);
        Ok(Listing { identity: opened.identity, files, ignored, unwatched })
    }

    /// A directory that was swapped while it was listed was not listed.
    fn still_there(&self, opened: &Opened) -> io::Result<()> {
        if Identity::of(&fs::metadata(&self.directory)?) == opened.identity {
            return Ok(());
        }
        Err(replaced())
    }

    /// `None`: the file has gone since it was listed.
    fn reading(&mut self, raw: RawReading, path: &FilePath) -> Option<Reading> {
        match raw {
            RawReading::Gone => None,
            RawReading::Unsettled => Some(Reading::Unsettled),
            RawReading::Refused(problem) => Some(Reading::Refused(problem)),
            RawReading::Bytes(bytes, metadata) => Some(self.content(&bytes, &metadata, path)),
        }
    }

    /// Parses, unless the same bytes were parsed before.
    fn content(&mut self, bytes: &[u8], metadata: &Metadata, path: &FilePath) -> Reading {
        let known = self.parsed.get(path).filter(|known| *known.bytes == *bytes);
        let (bytes, documents) = if let Some(known) = known {
            (known.bytes.clone(), known.documents.clone())
        } else {
            let bytes = Arc::from(bytes);
            match self.parser.parse(&bytes) {
                Ok(documents) => (bytes, Arc::new(documents)),
                Err(problem) => return Reading::Slow(problem),
            }
        };
        let modified = metadata.modified().ok().and_then(|modified| modified.try_into().ok());
        Reading::Content(Arc::new(Content {
            bytes,
            documents,
            identity: Identity::of(metadata),
            modified: modified.unwrap_or_default(),
        }))
    }

    fn remember(&mut self, files: &BTreeMap<FilePath, Reading>) {
        let contents = files.iter().filter_map(|(path, reading)| match reading {
            Reading::Content(content) => Some((path.clone(), content.clone())),
            Reading::Refused(_) | Reading::Slow(_) | Reading::Unsettled => None,
        });
        self.parsed = contents.collect();
    }
}

fn replaced() -> io::Error {
    io::Error::other("it was replaced while it was being listed")
}

/// A directory that was opened.
struct Opened {
    file: File,
    identity: Identity,
}

/// What [`super::exposed`] says.
pub(super) fn exposed(directory: &Path) -> Option<String> {
    let (way, _) = way::way(&std::path::absolute(directory).ok()?).ok()?;
    trust::authors(&way, daemon()).err()
}

/// The user that we run as.
fn daemon() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A document's own word for its name, which becomes the name of a file in the state directory.
fn checked(document: ReadDocument) -> ReadDocument {
    let ReadDocument { index, name, result } = document;
    let Ok(admitted) = result else { return ReadDocument { index, name, result } };
    match admitted.sandbox.metadata.name.clone() {
        Some(name) if is_safe(&name) => {
            ReadDocument { index, name: Some(name), result: Ok(as_kept(admitted)) }
        }
        _ => {
            let message = "must be a DNS label: lower-case letters, digits and hyphens";
            let problem = Problem::at_field("metadata.name", message);
            ReadDocument { index, name, result: Err(vec![problem]) }
        }
    }
}

/// The spec as the state directory will give it back (times lose their fractions, for example), so that a
/// restart does not see an edit.
fn as_kept(mut admitted: Admitted) -> Admitted {
    let text = serde_json::to_vec(&admitted.sandbox.spec);
    if let Some(spec) = text.ok().and_then(|text| serde_json::from_slice(&text).ok()) {
        admitted.sandbox.spec = spec;
    }
    admitted
}

fn is_safe(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.len() <= 63 && name.bytes().all(plain) && !name.starts_with('-')
}

/// Whether a file of this name is a spec: not hidden, not an editor's or packager's dropping, and a name
/// that can be written down.
pub(super) fn is_spec_name(name: &OsStr) -> bool {
    let Some(text) = name.to_str() else { return false };
    let extension = [".yaml", ".yml", ".json"].iter().any(|suffix| text.ends_with(suffix));
    extension && !text.starts_with('.') && !text.starts_with('#')
}

/// Filesystems whose events are partial or missing.
#[cfg(target_os = "linux")]
fn is_remote(directory: &File) -> bool {
    const NFS: u32 = 0x6969;
    const NINE_P: u32 = 0x0102_1997;
    const FUSE: u32 = 0x6573_5546; // virtiofs too
    const SMB: u32 = 0x517b;
    const CIFS: u32 = 0xff53_4d42;
    const SMB2: u32 = 0xfe53_4d42;
    const CEPH: u32 = 0x00c3_6400;
    const AFS: u32 = 0x5346_414f;
    const VBOXSF: u32 = 0x786f_4256;
    rustix::fs::fstatfs(directory).is_ok_and(|stat| {
        // Magic numbers have 32 bits, whatever the width and sign of the field.
        let magic = u32::try_from(stat.f_type & 0xffff_ffff).unwrap_or_default();
        [NFS, NINE_P, FUSE, SMB, CIFS, SMB2, CEPH, AFS, VBOXSF].contains(&magic)
    })
}

/// Elsewhere the events are judged by what they miss.
#[cfg(not(target_os = "linux"))]
fn is_remote(_: &File) -> bool {
    false
}

#[cfg(test)]
mod tests;
