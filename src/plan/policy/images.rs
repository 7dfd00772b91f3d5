//! Which image a pattern means.
//!
//! Both sides are spelt out first, as an engine would: `nginx` is `docker.io/library/nginx`, and what has
//! neither tag nor digest has the tag `latest`. Then they are compared part by part, so that no part can
//! pass for another.

use std::fmt;
use std::str::FromStr;

use wildmatch::WildMatch;

use crate::plan::validate::Reference;

const DOCKER_HUB: &str = "docker.io";
/// Docker's other name for the same registry.
const DOCKER_HUB_INDEX: &str = "index.docker.io";
/// Any number of path components, at the end of a pattern.
const REST: &str = "**";

/// A pattern of images, as `ghcr.io/acme/**` or `docker.io/library/nginx:1.*`.
///
/// `*` stands for any part of one component, `**` at the end for one component or more. Without a tag it
/// means every tag and digest. With a tag it means no image that has a digest, because engines go by the
/// digest then and ignore the tag. With a digest it means that digest alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePattern {
    text: String,
    parts: Option<Parts>,
}

/// The parts of a pattern. `None` in [`ImagePattern`]: every image.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    registry: String,
    path: Vec<String>,
    tag: Option<String>,
    digest: Option<String>,
}

impl ImagePattern {
    /// Every image, also one that is named by its id.
    #[must_use]
    pub fn any() -> Self {
        Self { text: "*".to_owned(), parts: None }
    }

    /// Whether this image is meant.
    #[must_use]
    pub fn matches(&self, image: &str) -> bool {
        let Some(pattern) = &self.parts else { return true };
        if !cannot_be_an_id(image) {
            return false;
        }
        let Ok(reference) = Reference::parse(image) else { return false };
        let (registry, path) = spelt_out(reference.repository);
        let tag = match (reference.tag, reference.digest) {
            (None, None) => Some("latest"),
            (tag, _) => tag,
        };
        let tag_fits = match (&pattern.tag, &pattern.digest) {
            (None, _) => true,
            (Some(_), None) if reference.digest.is_some() => false,
            (Some(wanted), _) => tag.is_some_and(|tag| fits(wanted, tag)),
        };
        let digest_fits = match &pattern.digest {
            None => true,
            Some(wanted) => reference.digest == Some(wanted),
        };
        fits(&pattern.registry, &registry)
            && path_fits(&pattern.path, &path)
            && tag_fits
            && digest_fits
    }
}

impl FromStr for ImagePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::any());
        }
        // A star stands for text that any part may have; `**` only for whole components at the end.
        let plain = text.strip_suffix("/**").map_or(text.to_owned(), |start| format!("{start}/x"));
        if plain.contains("**") {
            return Err("`**` stands for whole components, at the end, after a slash".to_owned());
        }
        let probe = plain.replace('*', "x");
        Reference::parse(&probe)
            .map_err(|reason| format!("is not a pattern of images: {reason}"))?;
        let Reference { repository, tag, digest } = Reference::split(text);
        if digest.is_some_and(|digest| digest.contains('*')) {
            return Err("a digest is whole or left out".to_owned());
        }
        let (registry, path) = spelt_out(repository);
        let parts = Parts {
            registry,
            path,
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        };
        Ok(Self { text: text.to_owned(), parts: Some(parts) })
    }
}

impl fmt::Display for ImagePattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Registry and path of a repository, as an engine spells them out.
fn spelt_out(repository: &str) -> (String, Vec<String>) {
    let (registry, path) = match repository.split_once('/') {
        Some((first, path)) if Reference::is_like_domain(first) => {
            (first.to_ascii_lowercase(), path)
        }
        _ => (DOCKER_HUB.to_owned(), repository),
    };
    let registry = if registry == DOCKER_HUB_INDEX { DOCKER_HUB.to_owned() } else { registry };
    let mut path: Vec<String> = path.split('/').map(str::to_owned).collect();
    if registry == DOCKER_HUB && path.len() == 1 && path[0] != REST {
        path.insert(0, "library".to_owned());
    }
    (registry, path)
}

fn path_fits(pattern: &[String], path: &[String]) -> bool {
    let (pattern, open) = match pattern.split_last() {
        Some((last, start)) if last == REST => (start, true),
        _ => (pattern, false),
    };
    let long_enough = if open { path.len() > pattern.len() } else { path.len() == pattern.len() };
    long_enough && pattern.iter().zip(path).all(|(pattern, part)| fits(pattern, part))
}

/// One part against its pattern, in which only `*` is special.
fn fits(pattern: &str, part: &str) -> bool {
    // Ports of registries are named or absent.
    WildMatch::new(pattern).matches(part)
        && pattern.matches(':').count() == part.matches(':').count()
}

/// Whether an engine cannot take this for the beginning of an image's id: then it could mean an image
/// of any name.
#[must_use]
pub fn cannot_be_an_id(image: &str) -> bool {
    const ALGORITHMS: [&str; 3] = ["sha256", "sha384", "sha512"];
    let hexadecimal = image.bytes().all(|byte| byte.is_ascii_hexdigit());
    let algorithm = image.split_once(':').map_or(image, |(name, _)| name);
    !hexadecimal && !ALGORITHMS.contains(&algorithm)
}
