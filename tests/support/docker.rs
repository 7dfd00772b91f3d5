//! What tests against a real Docker engine share: an image made on the spot, for no registry may be
//! asked, and a guard that leaves nothing behind. Include it with `#[path]`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bollard::Docker;
use bollard::query_parameters::{
    CreateImageOptions, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
};
use futures::TryStreamExt as _;

/// A static busybox with `Cmd ["sleep", "infinity"]`.
pub(crate) const TEST_IMAGE: &str = "sandkeeper-test/busybox:sleep-2";

const APPLETS: &[&str] = &[
    "sh", "sleep", "httpd", "nc", "kill", "cat", "stat", "chmod", "chown", "mkdir", "tail", "true",
    "false", "env", "ls", "touch", "echo", "id", "mount", "df", "rm",
];

/// A client of the engine at this socket, else of the one that the tests use: `DOCKER_HOST`, else the
/// default socket.
pub(crate) fn client(address: Option<&str>) -> Docker {
    let client = match address {
        Some(socket) => Docker::connect_with_unix(socket, 120, bollard::API_DEFAULT_VERSION),
        None => Docker::connect_with_defaults(),
    };
    client.expect("an engine must be there for this test")
}

/// Makes the image unless the engine has it, and returns its name.
pub(crate) async fn ensure_test_image(client: &Docker) -> &'static str {
    // One user may not open another's file there to write.
    let user = rustix::process::geteuid().as_raw();
    let lock = std::env::temp_dir().join(format!("sandkeeper-test-image-{user}.lock"));
    let lock = std::fs::File::create(lock).expect("the temporary directory is writable");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)
        .expect("locks work in the temporary directory");
    if client.inspect_image(TEST_IMAGE).await.is_ok() {
        return TEST_IMAGE;
    }
    let options = CreateImageOptions {
        from_src: Some("-".to_owned()),
        // Podman reads no tag of its own here.
        repo: Some(TEST_IMAGE.to_owned()),
        changes: vec!["CMD [\"sleep\",\"infinity\"]".to_owned()],
        ..CreateImageOptions::default()
    };
    let body = bollard::body_full(root_filesystem().into());
    let imported = client.create_image(Some(options), Some(body), None);
    imported.try_collect::<Vec<_>>().await.expect("the engine imports the test image");
    TEST_IMAGE
}

fn root_filesystem() -> Vec<u8> {
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].iter().find(|path| Path::new(path).exists());
    let busybox = busybox.expect("busybox is missing: apt-get install busybox-static");
    let busybox = std::fs::read(busybox).expect("busybox can be read");
    let mut tar = Vec::new();
    for directory in ["bin/", "etc/", "data/"] {
        append(&mut tar, directory, Entry::Directory);
    }
    append(&mut tar, "tmp/", Entry::Sticky);
    append(&mut tar, "bin/busybox", Entry::Program(&busybox));
    for applet in APPLETS {
        append(&mut tar, &format!("bin/{applet}"), Entry::Link("busybox"));
    }
    append(&mut tar, "etc/passwd", Entry::File(b"root:x:0:0:root:/:/bin/sh\n"));
    append(&mut tar, "etc/group", Entry::File(b"root:x:0:\n"));
    // Two empty blocks end an archive.
    tar.resize(tar.len() + 1024, 0);
    tar
}

#[derive(Clone, Copy)]
enum Entry<'a> {
    Directory,
    Sticky,
    Program(&'a [u8]),
    File(&'a [u8]),
    Link(&'a str),
}

/// Appends one entry in the ustar format of POSIX.1-1988.
fn append(tar: &mut Vec<u8>, name: &str, entry: Entry<'_>) {
    let (kind, mode, content, target) = match entry {
        Entry::Directory => (b'5', 0o755, &[][..], ""),
        Entry::Sticky => (b'5', 0o1777, &[][..], ""),
        Entry::Program(content) => (b'0', 0o755, content, ""),
        Entry::File(content) => (b'0', 0o644, content, ""),
        Entry::Link(target) => (b'2', 0o777, &[][..], target),
    };
    let mut header = [0_u8; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{:011o}", content.len()).as_bytes());
    put(136, b"00000000000");
    // The checksum counts itself as blanks.
    put(148, b"        ");
    put(156, &[kind]);
    put(157, target.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    tar.extend_from_slice(&header);
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

/// A prefix that no other test uses. Whatever carries it in its name is removed with this, also when the
/// test panics.
pub(crate) struct Prefix {
    text: String,
    client: Docker,
    /// Removed by name too, not only when found in a list: the client library cannot read a list in which
    /// Podman uses a word of its own.
    names: Mutex<BTreeSet<String>>,
}

impl Prefix {
    /// A new prefix on this client's engine.
    pub(crate) fn on(client: Docker) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let text = format!("sandkeeper-test-{}-{count}-", std::process::id());
        Self { text, client, names: Mutex::default() }
    }

    /// A name under it.
    pub(crate) fn name(&self, rest: &str) -> String {
        let name = format!("{}{rest}", self.text);
        self.names.lock().expect("no holder panics").insert(name.clone());
        name
    }
}

impl Drop for Prefix {
    fn drop(&mut self) {
        // A thread of its own: a runtime cannot be entered from within another.
        let names = std::mem::take(&mut *self.names.lock().expect("no holder panics"));
        let (client, prefix) = (self.client.clone(), self.text.clone());
        let cleaner = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(clean(&prefix, names, &client));
        });
        // A failed clean-up must not hide why the test failed.
        let _ = cleaner.join();
    }
}

async fn clean(prefix: &str, mut names: BTreeSet<String>, client: &Docker) {
    let all = ListContainersOptionsBuilder::new().all(true).build();
    let listed = client.list_containers(Some(all)).await.unwrap_or_default().into_iter();
    let listed = listed.flat_map(|container| container.names.unwrap_or_default());
    let listed = listed.map(|name| name.trim_start_matches('/').to_owned());
    names.extend(listed.filter(|name| name.starts_with(prefix)));
    let force = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    for name in &names {
        let _ = client.remove_container(name, Some(force.clone())).await;
    }
    for name in &names {
        let _ = client.remove_network(name).await;
    }
}
