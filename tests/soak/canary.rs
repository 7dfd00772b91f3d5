//! Files that must survive: data on mounts, and files outside that a link in a mount leads to.
//!
//! ```text
//! data/NAME/canary          never changes
//! data/NAME/shared/inside   content never changes; the spec's rule says 0770
//! data/NAME/shared/out ───▶ outside/NAME
//! outside/NAME/secret       never changes, its mode neither
//! ```

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::judge::Property;

const RULE: u32 = 0o770;
const SECRET: u32 = 0o600;

fn content(name: &str) -> String {
    format!("the data of {name}\n")
}

/// Directory of all mounts.
pub(crate) fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// Makes the files of one sandbox.
pub(crate) fn make(folder: &Path, name: &str) -> io::Result<()> {
    let (mount, outside) = (data(folder).join(name), folder.join("outside").join(name));
    let shared = mount.join("shared");
    fs::create_dir_all(&shared)?;
    fs::create_dir_all(&outside)?;
    fs::write(mount.join("canary"), content(name))?;
    fs::write(shared.join("inside"), content(name))?;
    fs::write(outside.join("secret"), content(name))?;
    chmod(&outside.join("secret"), SECRET)?;
    symlink(&outside, shared.join("out"))
}

/// Changes modes inside of the mount.
pub(crate) fn drift(folder: &Path, name: &str) -> io::Result<()> {
    let shared = data(folder).join(name).join("shared");
    chmod(&shared, 0o700)?;
    chmod(&shared.join("inside"), 0o604)
}

/// Whether the spec's rule holds.
pub(crate) fn modes_hold(folder: &Path, name: &str) -> Result<(), String> {
    let shared = data(folder).join(name).join("shared");
    for path in [shared.clone(), shared.join("inside")] {
        let found = mode(&path);
        if found != Ok(RULE) {
            return Err(format!("{} has mode {}", path.display(), octal(found)));
        }
    }
    Ok(())
}

/// What is not as it was.
pub(crate) fn check(folder: &Path, name: &str) -> Vec<(Property, String)> {
    let (mount, outside) = (data(folder).join(name), folder.join("outside").join(name));
    let mut wrong = Vec::new();
    for (property, path) in [
        (Property::DataLost, mount.join("canary")),
        (Property::DataLost, mount.join("shared/inside")),
        (Property::ChangedOutside, outside.join("secret")),
    ] {
        match fs::read_to_string(&path) {
            Ok(found) if found == content(name) => {}
            found => wrong.push((property, format!("{} holds {found:?}", path.display()))),
        }
    }
    let secret = outside.join("secret");
    let found = mode(&secret);
    if found != Ok(SECRET) {
        let what = format!("{} has mode {}", secret.display(), octal(found));
        wrong.push((Property::ChangedOutside, what));
    }
    wrong
}

fn chmod(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn mode(path: &Path) -> Result<u32, io::ErrorKind> {
    let found = fs::symlink_metadata(path).map_err(|error| error.kind())?;
    Ok(found.permissions().mode() & 0o7777)
}

fn octal(mode: Result<u32, io::ErrorKind>) -> String {
    mode.map_or_else(|error| error.to_string(), |mode| format!("{mode:04o}"))
}
