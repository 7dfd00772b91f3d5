//! What is to be checked: paths → contents. The only I/O of the command.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::sandbox::yaml::MAX_FILE_BYTES;

/// One file to check, or why it cannot be.
pub(super) struct Input {
    /// Name for messages.
    pub(super) file: PathBuf,
    /// Directory that relative host paths start at.
    pub(super) base: PathBuf,
    /// Its content.
    pub(super) content: io::Result<Vec<u8>>,
}

/// The inputs that a path names: itself, the specs in it, or standard input for `-`.
pub(super) fn read(path: &Path) -> Vec<Input> {
    if path == Path::new("-") {
        let (file, base) = (PathBuf::from("<stdin>"), PathBuf::from("."));
        return vec![Input { file, base, content: content(io::stdin().lock()) }];
    }
    if !path.is_dir() {
        return vec![read_file(path.to_owned())];
    }
    match specs_in(path) {
        Ok(files) => files.into_iter().map(read_file).collect(),
        Err(error) => {
            vec![Input { file: path.to_owned(), base: path.to_owned(), content: Err(error) }]
        }
    }
}

fn read_file(file: PathBuf) -> Input {
    let base = match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let content = std::fs::File::open(&file).and_then(content);
    Input { file, base: std::path::absolute(&base).unwrap_or(base), content }
}

/// What there is to read, and no more of it than it takes to know that it is too large.
fn content(from: impl io::Read) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    from.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}

/// The files that a daemon would take for specs, sorted. A directory without any is most likely the
/// wrong one.
fn specs_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    let paths = entries.into_iter().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = paths.filter(|path| is_spec(path) && !path.is_dir()).collect();
    files.sort();
    if files.is_empty() {
        return Err(io::Error::other("there is no file named *.yaml, *.yml or *.json in it"));
    }
    Ok(files)
}

fn is_spec(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    matches!(extension, Some("yaml" | "yml" | "json")) && !hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_is_read_no_further_than_it_must() {
        assert_eq!(content(io::repeat(b'x')).unwrap().len(), MAX_FILE_BYTES + 1);
    }

    #[test]
    fn only_names_of_specs_count() {
        for (name, expected) in [
            ("a.yaml", true),
            ("a.yml", true),
            ("a.json", true),
            (".a.yaml", false),
            ("a.yaml.swp", false),
            ("a", false),
        ] {
            assert_eq!(is_spec(Path::new(name)), expected, "{name}");
        }
    }
}
