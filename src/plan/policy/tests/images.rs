//! Which images a pattern means, and which spellings do not fool it.

use super::told;
use crate::plan::policy::{ImagePattern, Policy, cannot_be_an_id};

fn pattern(text: &str) -> ImagePattern {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn row_29_a_pattern_means_the_images_of_its_own_registry_and_path() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let at = |image: &str| format!("{image}@{digest}");
    let table: [(&str, &[&str], &[&str]); 10] = [
        (
            "nginx",
            &[
                "nginx",
                "nginx:1.29",
                "library/nginx",
                "docker.io/nginx",
                "index.docker.io/library/nginx:1",
            ],
            &[
                "nginx2",
                "evil.example/nginx",
                "evil/nginx",
                "docker.io/evil/nginx",
                "ghcr.io/library/nginx",
            ],
        ),
        (
            "docker.io/library/*",
            &["nginx", "busybox:1"],
            &["evil/nginx", "evil.example/library/nginx"],
        ),
        (
            "ghcr.io/acme/**",
            &["ghcr.io/acme/app", "ghcr.io/acme/team/app:2", "GHCR.IO/acme/app"],
            &["ghcr.io/acme", "ghcr.io/acme-evil/app", "evil.example/ghcr.io/acme/app", "acme/app"],
        ),
        ("ghcr.io/acme/*", &["ghcr.io/acme/app"], &["ghcr.io/acme/team/app"]),
        ("ghcr.io/**", &["ghcr.io/a/b/c"], &["ghcr.io.evil.example/a", "ghcr.io:5000/a", "a"]),
        ("*.example.com/app", &["a.example.com/app"], &["example.com/app", "a.example.com:1/app"]),
        ("localhost:5000/app", &["localhost:5000/app:1"], &["localhost/app", "localhost:5001/app"]),
        ("nginx:1.*", &["nginx:1.29", "nginx:1."], &["nginx", "nginx:2", "nginx:11"]),
        ("nginx:latest", &["nginx", "nginx:latest"], &["nginx:1"]),
        ("acme/*-sandbox", &["acme/web-sandbox"], &["acme/sandbox", "acme/web-sandbox-evil"]),
    ];
    for (text, meant, others) in table {
        for image in meant {
            assert!(pattern(text).matches(image), "{text} means {image}");
        }
        for image in others {
            assert!(!pattern(text).matches(image), "{text} does not mean {image}");
        }
    }
    // Engines go by the digest and ignore the tag beside it.
    assert!(!pattern("nginx:1.29").matches(&at("nginx:1.29")));
    assert!(pattern("nginx").matches(&at("nginx:1.29")));
    assert!(pattern(&at("nginx")).matches(&at("nginx")));
    assert!(pattern(&at("nginx")).matches(&at("nginx:1.29")));
    assert!(!pattern(&at("nginx")).matches("nginx"));
    assert!(!pattern(&at("nginx")).matches(&format!("nginx@sha256:{}", "b".repeat(64))));
}

/// Docker takes the beginning of an id for the image, whatever its name is.
#[test]
fn what_could_be_an_images_id_is_meant_by_no_pattern_but_the_one_for_all() {
    for image in ["cafe", "0123456789ab", "sha256:cafe", "sha256"] {
        assert!(!cannot_be_an_id(image), "{image}");
        assert!(!pattern("docker.io/library/*").matches(image), "{image}");
        assert!(ImagePattern::any().matches(image), "{image}");
    }
    assert!(pattern("docker.io/library/*").matches("cafe:latest"));
    let policy = Policy { images: vec![pattern("nginx")], ..Policy::default() };
    assert_eq!(
        told("{image: cafe}", &policy),
        ["spec.image: \"cafe\", which could be an image's id, is not allowed by policy.images \
          (allowed: nginx)"]
    );
}

#[test]
fn row_29_an_image_that_no_pattern_means_is_refused_by_name() {
    let policy =
        Policy { images: vec![pattern("nginx"), pattern("ghcr.io/acme/**")], ..Policy::default() };
    assert_eq!(
        told("{image: evil.example/x}", &policy),
        [
            "spec.image: \"evil.example/x\" is not allowed by policy.images (allowed: nginx, ghcr.io/acme/**)"
        ]
    );
    assert_eq!(told("{image: nginx}", &policy), [""; 0]);
    let nothing = Policy { images: Vec::new(), ..Policy::default() };
    assert_eq!(told("{image: nginx}", &nothing).len(), 1);
}

#[test]
fn what_is_no_pattern_is_refused() {
    for text in ["", "**", "a/**/b", "a b", "ghcr.io/acme/**x", "App", "a:*@x", "nginx?", "[a]"] {
        assert!(text.parse::<ImagePattern>().is_err(), "{text}");
    }
    assert_eq!(pattern("*").to_string(), "*");
}
