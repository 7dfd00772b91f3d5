//! What a request line asks for, whatever the ids in it.

/// A request line, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    /// Method and path, with `*` for an id or a name and without the version: `POST /containers/*/start`.
    pub(super) kind: String,
    /// The id or name that stands in the path.
    pub(super) subject: Option<String>,
    /// The name that a creation asks for.
    pub(super) name: Option<String>,
}

/// Words that stand where an id may.
const NO_IDS: [&str; 5] = ["json", "create", "prune", "search", "load"];

impl Call {
    pub(super) fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        if segments.first().is_some_and(|first| is_version(first)) {
            segments.remove(0);
        }
        let subject = match segments.as_slice() {
            // An image's name may hold slashes.
            ["images", name @ .., _] if !name.is_empty() => Some(name.join("/")),
            [_, id, ..] if !NO_IDS.contains(id) => Some((*id).to_owned()),
            _ => None,
        };
        let kind = match (&subject, segments.as_slice()) {
            (Some(_), ["images", .., last]) => format!("{method} /images/*/{last}"),
            (Some(_), [first, _, rest @ ..]) => {
                let kind = [&[*first, "*"][..], rest].concat();
                format!("{method} /{}", kind.join("/"))
            }
            (_, segments) => format!("{method} /{}", segments.join("/")),
        };
        let name = query.split('&').find_map(|pair| pair.strip_prefix("name="));
        Self { kind, subject, name: name.map(str::to_owned) }
    }

    /// Whether it may change something.
    pub(super) fn mutates(&self) -> bool {
        !self.kind.starts_with("GET ") && !self.kind.starts_with("HEAD ")
    }
}

fn is_version(segment: &str) -> bool {
    let rest = segment.strip_prefix('v');
    rest.is_some_and(|rest| {
        !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit() || c == '.')
    })
}

/// Whether a pattern speaks of this kind of call: the same words, `*` for any one.
pub(super) fn matches(pattern: &str, kind: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        text.split([' ', '/']).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let (pattern, kind) = (words(pattern), words(kind));
    pattern.len() == kind.len()
        && pattern.iter().zip(&kind).all(|(pattern, word)| pattern == "*" || pattern == word)
}
