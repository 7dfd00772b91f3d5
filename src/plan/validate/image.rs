//! Image references: the grammar of the distribution project, and Kubernetes' rule for pulling.
//!
//! ```text
//! reference = [domain "/"] component *("/" component) [":" tag] ["@" digest]
//! ```

use crate::sandbox::PullPolicy;
use crate::sandbox::text::shown;

use super::Findings;

/// Longest repository, domain included.
const MAX_REPOSITORY: usize = 255;
/// Longest tag.
const MAX_TAG: usize = 128;

pub(super) fn check(image: Option<&str>, findings: &mut Findings) -> String {
    let Some(image) = image else {
        findings.problem(
            "spec.image",
            "is required, because the daemon's configuration has no defaults.image",
        );
        return String::new();
    };
    if let Err(reason) = parse(image) {
        findings.problem("spec.image", format!("{} is not an image: {reason}", shown(image)));
    }
    image.to_owned()
}

/// As in Kubernetes: a tag that moves is asked for each time.
pub(super) fn pull_policy(image: &str) -> PullPolicy {
    match parse(image) {
        Ok(Reference { tag: None | Some("latest"), digest: None, .. }) => PullPolicy::Always,
        _ => PullPolicy::IfNotPresent,
    }
}

/// The parts of a reference to an image.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::plan) struct Reference<'a> {
    /// Domain and path.
    pub(in crate::plan) repository: &'a str,
    pub(in crate::plan) tag: Option<&'a str>,
    pub(in crate::plan) digest: Option<&'a str>,
}

impl<'a> Reference<'a> {
    pub(in crate::plan) fn parse(image: &'a str) -> Result<Self, &'static str> {
        parse(image)
    }

    /// The parts where its separators are, unchecked.
    pub(in crate::plan) fn split(image: &'a str) -> Self {
        let (rest, digest) = match image.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (image, None),
        };
        // A colon after the last slash starts the tag; one before it belongs to the domain's port.
        let last = rest.rfind('/').unwrap_or(0);
        let (repository, tag) = match rest[last..].split_once(':') {
            Some((name, tag)) => (&rest[..last + name.len()], Some(tag)),
            None => (rest, None),
        };
        Self { repository, tag, digest }
    }

    /// What tells `registry:5000/app` and `example.com/app` from `library/app`.
    pub(in crate::plan) fn is_like_domain(first: &str) -> bool {
        is_like_domain(first)
    }
}

fn parse(image: &str) -> Result<Reference<'_>, &'static str> {
    if image.is_empty() {
        return Err("it is empty");
    }
    let reference = Reference::split(image);
    check_repository(reference.repository)?;
    reference.tag.map_or(Ok(()), check_tag)?;
    reference.digest.map_or(Ok(()), check_digest)?;
    Ok(reference)
}

fn check_repository(repository: &str) -> Result<(), &'static str> {
    if repository.len() > MAX_REPOSITORY {
        return Err("its repository is longer than 255 characters");
    }
    if repository.len() == 64 && repository.bytes().all(is_lower_hex) {
        return Err("64 hexadecimal digits are an image's id; name the image");
    }
    let path = match repository.split_once('/') {
        Some((first, path)) if is_like_domain(first) => {
            check_domain(first)?;
            path
        }
        _ => repository,
    };
    path.split('/').try_for_each(check_component)
}

/// What tells `registry:5000/app` and `example.com/app` from `library/app`.
fn is_like_domain(first: &str) -> bool {
    first == "localhost"
        || first.contains(['.', ':', '['])
        || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn check_domain(domain: &str) -> Result<(), &'static str> {
    const WRONG: &str = "the part before the first slash is not a registry's host name";
    let (host, port) = match domain.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            address.parse::<std::net::Ipv6Addr>().map_err(|_| WRONG)?;
            (None, port.strip_prefix(':').or((!port.is_empty()).then_some("")))
        }
        None => match domain.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(domain), None),
        },
    };
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty()
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let host_fits = host.is_none_or(|host| host.split('.').all(label));
    // All digits and at most five of them, so that it also fits what the grammar leaves open.
    let port_fits = port.is_none_or(|port| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
    });
    if host_fits && port_fits { Ok(()) } else { Err(WRONG) }
}

/// Lower-case letters and digits, joined by `.`, `_`, `__` or any number of dashes.
fn check_component(component: &str) -> Result<(), &'static str> {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if component.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("repository names are in lower case");
    }
    let separators_fit = component
        .split(|character: char| character.is_ascii_lowercase() || character.is_ascii_digit())
        .filter(|separator| !separator.is_empty())
        .all(|it| matches!(it, "." | "_" | "__") || it.bytes().all(|byte| byte == b'-'));
    let bytes = component.as_bytes();
    let ends_fit = matches!((bytes.first(), bytes.last()),
        (Some(first), Some(last)) if alphanumeric(*first) && alphanumeric(*last));
    if separators_fit && ends_fit {
        Ok(())
    } else {
        Err("between slashes it has letters and digits, joined by a dot, underscores or dashes")
    }
}

fn check_tag(tag: &str) -> Result<(), &'static str> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let fits = tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'));
    if fits {
        Ok(())
    } else {
        Err("a tag has at most 128 letters, digits, dots, underscores and dashes")
    }
}

fn check_digest(digest: &str) -> Result<(), &'static str> {
    const WRONG: &str = "a digest is sha256: and 64 lower-case hexadecimal digits";
    let (algorithm, hex) = digest.split_once(':').ok_or(WRONG)?;
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return Err(WRONG),
    };
    if hex.len() == length && hex.bytes().all(is_lower_hex) { Ok(()) } else { Err(WRONG) }
}

fn is_lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_that_registries_take_are_taken() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for good in [
            "busybox",
            "library/busybox:1",
            "ghcr.io/agent-infra/sandbox:1.11.0",
            "localhost/app",
            "localhost:5000/app:v1",
            "registry:5000/a/b/c",
            "[::1]:5000/app",
            "[fe80::1]/app",
            "Example.COM/app",
            "my-registry.example/app",
            "a__b/c.d/e---f_g",
            &format!("app@{digest}"),
            &format!("example.com/app:1@{digest}"),
            &format!("a:{}", "t".repeat(128)),
            &format!("app@sha384:{}", "a".repeat(96)),
            &format!("app@sha512:{}", "a".repeat(128)),
            &"a".repeat(255),
        ] {
            assert!(parse(good).is_ok(), "{good}: {:?}", parse(good));
        }
    }

    #[test]
    fn references_that_no_registry_takes_are_refused() {
        for bad in [
            "",
            " ",
            "-v",
            "--privileged",
            "$(id)",
            "a b",
            "a\nb",
            "a\0",
            "App",
            "example.com/App",
            "a//b",
            "/a",
            "a/",
            "a:",
            "a:-x",
            "a:b:c",
            "a..b",
            "a___b",
            ".a",
            "a_",
            "é",
            "http://example.com/app",
            "example.com:port/app",
            "example.com:99999/app",
            "-example.com/app",
            "exam_ple.com/app",
            "[::1/app",
            "[nonsense]/app",
            "[::1]x/app",
            "x@sha256:bad",
            "x@",
            "x@md5:d41d8cd98f00b204e9800998ecf8427e",
            &format!("x@sha256:{}", "A".repeat(64)),
            &format!("x@sha512:{}", "a".repeat(64)),
            &"a".repeat(64),
            &"a".repeat(256),
            &"x".repeat(10_000),
            &format!("a:{}", "t".repeat(129)),
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn moving_tags_are_pulled_each_time() {
        let digest = format!("a@sha256:{}", "0".repeat(64));
        let latest = format!("a:latest@sha256:{}", "0".repeat(64));
        let table = [
            ("a", PullPolicy::Always),
            ("registry:5000/a", PullPolicy::Always),
            ("a:latest", PullPolicy::Always),
            ("a:1", PullPolicy::IfNotPresent),
            (digest.as_str(), PullPolicy::IfNotPresent),
            (latest.as_str(), PullPolicy::IfNotPresent),
        ];
        for (image, policy) in table {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }
}
