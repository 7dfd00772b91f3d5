//! The hostile files: one for each spelling of each row that can be a file.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::{chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use sandkeeper::sandbox::ProblemReason::{
    self, Empty, Invalid, Syntax, TooComplex, TooLarge, Unreadable,
};

use crate::harness::TEST_IMAGE;

/// Content of files that are not specs, which no message may show.
pub(super) const CANARY: &str = "canary-of-the-host-8271";

/// A file, and what is said of it.
pub(super) struct Bad {
    pub(super) row: u8,
    pub(super) file: String,
    pub(super) reason: ProblemReason,
    /// Part of one of its problems.
    pub(super) says: &'static str,
}

struct Folder<'a> {
    specs: &'a Path,
    bad: Vec<Bad>,
}

/// Writes all of them. `canary` is a directory of the host.
pub(super) fn all(specs: &Path, canary: &Path) -> Vec<Bad> {
    let mut folder = Folder { specs, bad: Vec::new() };
    folder.names();
    folder.environments();
    folder.mounts(canary);
    folder.privileges();
    folder.other_fields();
    folder.bombs();
    folder.encodings();
    folder.no_files(canary);
    folder.bad
}

impl Folder<'_> {
    fn file(&mut self, row: u8, reason: ProblemReason, says: &'static str, content: &[u8]) {
        let file = format!("row{row}-{}.yaml", self.bad.len());
        fs::write(self.specs.join(&file), content).expect("a hostile file");
        self.bad.push(Bad { row, file, reason, says });
    }

    fn metadata(&mut self, row: u8, says: &'static str, metadata: &str) {
        let text = format!(
            "apiVersion: sandkeeper.dev/v1alpha1\nkind: Sandbox\nmetadata: {metadata}\nspec: {{image: {TEST_IMAGE}, ports: []}}\n"
        );
        self.file(row, Invalid, says, text.as_bytes());
    }

    /// A spec that is fine but for these lines.
    fn spec(&mut self, row: u8, says: &'static str, lines: &str) {
        let image = if lines.starts_with("image:") { "" } else { TEST_IMAGE };
        let image = if image.is_empty() { String::new() } else { format!("  image: {image}\n") };
        let ports = if lines.starts_with("ports:") { "" } else { "  ports: []\n" };
        let text = format!(
            "apiVersion: sandkeeper.dev/v1alpha1\nkind: Sandbox\nmetadata: {{name: row{row}-{}}}\nspec:\n{image}{ports}  {lines}\n",
            self.bad.len()
        );
        self.file(row, Invalid, says, text.as_bytes());
    }

    fn names(&mut self) {
        self.metadata(1, "is not a name", "{name: ../../etc/x}");
        for name in ["a/b", "a b", "A", "\"\""] {
            self.metadata(2, "metadata.name", &format!("{{name: {name}}}"));
        }
        self.metadata(2, "metadata.name", &format!("{{name: {}}}", "a".repeat(300)));
        self.metadata(4, "is not a name", r#"{name: "web\0x"}"#);
        for name in [r"a\u202eb", r"a\u200bb", r"w\u0435b"] {
            self.metadata(5, "is not a name", &format!("{{name: \"{name}\"}}"));
        }
        let forged = r#"x\n{\"level\":\"ERROR\",\"message\":\"forged\"}"#;
        self.metadata(6, "is not a name", &format!("{{name: \"{forged}\"}}"));
        self.metadata(6, "is not a key", &format!("{{name: row6-l, labels: {{\"{forged}\": x}}}}"));
        self.metadata(
            6,
            "a label's value",
            &format!("{{name: row6-v, labels: {{a: \"{forged}\"}}}}"),
        );
        self.spec(6, "printable ASCII", &format!("env: [{{name: \"{forged}\", value: x}}]"));
        self.spec(6, "is not an image", &format!("image: \"{forged}\""));
        self.spec(6, "unknown field", &format!("\"{forged}\": x"));
        let file = "row6-\u{1b}[31m\n{\"level\":\"ERROR\"}.yaml".to_owned();
        fs::write(self.specs.join(&file), "kind: [").expect("a hostile name");
        self.bad.push(Bad { row: 6, file, reason: Syntax, says: "not YAML" });
        self.metadata(33, "is sandkeeper's own", "{name: row33, labels: {sandkeeper.dev/uid: x}}");
    }

    fn environments(&mut self) {
        self.spec(35, "must not contain `=`", "env: [{name: A=B, value: x}]");
        self.spec(35, "must not be empty", "env: [{name: \"\", value: x}]");
        self.spec(35, "printable ASCII", r#"env: [{name: "A\0B", value: x}]"#);
        self.spec(35, "must not contain a NUL", r#"env: [{name: A, value: "x\0"}]"#);
        let megabyte = format!("x: {}", "y".repeat(1 << 20));
        self.file(35, TooLarge, "1048579 bytes", megabyte.as_bytes());
    }

    fn mounts(&mut self, canary: &Path) {
        for path in ["/", "/etc"] {
            self.spec(8, "hostPath", &format!("mounts: [{{hostPath: {path}, mountPath: /x}}]"));
        }
        for path in ["/var/run/docker.sock", "/run/../run/docker.sock", "//run/docker.sock"] {
            self.spec(9, "hostPath", &format!("mounts: [{{hostPath: {path}, mountPath: /x}}]"));
        }
        let climbing = format!("{}/../../etc", canary.display());
        self.spec(11, "hostPath", &format!("mounts: [{{hostPath: {climbing}, mountPath: /x}}]"));
        let targets =
            ["/", "/proc", "/sys", "/dev", "/etc/passwd", "relative", "\"/a:b\"", "\"/a,b\""];
        for target in targets {
            let data = canary.join("data");
            let mount = format!("mounts: [{{hostPath: {}, mountPath: {target}}}]", data.display());
            self.spec(15, "mountPath", &mount);
        }
        self.spec(17, "unknown field", "volumes: [{driverOpts: {type: none, o: bind, device: /}}]");
        self.spec(48, "mountPath", "mounts: [{hostPath: /tmp, mountPath: \"; rm -rf /\"}]");
        self.spec(48, "path", "permissions: [{path: \"; rm -rf /\", mode: \"0755\"}]");
    }

    fn privileges(&mut self) {
        self.spec(18, "unknown field", "privileged: true");
        self.spec(18, "unknown field", "securityContext: {priviledged: true}");
        self.spec(18, "unknown field", "resources: {privileged: true}");
        for name in ["cap_sys_admin", "CAP_SYS_PTRACE", "\"SYS_ADMIN \""] {
            let add = format!("securityContext: {{capabilities: {{add: [{name}]}}}}");
            self.spec(19, "capabilities", &add);
        }
        self.spec(20, "network", "network: {mode: Host}");
        self.spec(20, "network", "network: {mode: Named, name: host}");
        self.spec(20, "network", "network: {mode: Named, name: \"container:x\"}");
        for field in ["hostPID", "hostIPC", "hostNetwork", "hostUsers", "cgroupnsMode", "utsMode"] {
            self.spec(20, "unknown field", &format!("{field}: true"));
        }
        self.spec(21, "unknown field", "devices: [/dev/kmsg]");
        self.spec(21, "unknown field", "deviceCgroupRules: [\"c *:* rwm\"]");
        for line in ["appArmorProfile: {type: Unconfined}", "seLinuxOptions: {type: spc_t}"] {
            self.spec(22, "unknown field", &format!("securityContext: {{{line}}}"));
        }
        self.spec(22, "unknown field", "securityOpt: [systempaths=unconfined]");
        self.spec(23, "unknown field", "sysctls: [{name: kernel.core_pattern, value: x}]");
        self.spec(24, "runtimeClassName", "runtimeClassName: ../../bin/sh");
        for field in ["cgroupParent", "volumesFrom", "links"] {
            self.spec(24, "unknown field", &format!("{field}: x"));
        }
        self.spec(25, "runAsUser", "securityContext: {runAsUser: \"0:0 \"}");
        self.spec(26, "must not be in /proc", "workingDir: /proc/self/fd/7");
    }

    fn other_fields(&mut self) {
        for port in ["0", "70000", "08080", "1-65535"] {
            self.spec(27, "containerPort", &format!("ports: [{{containerPort: {port}}}]"));
        }
        for image in ["x@sha256:bad", "-v", "$(id)"] {
            self.spec(29, "is not an image", &format!("image: {image}"));
        }
        self.spec(29, "is not an image", &format!("image: {}", "x".repeat(10_000)));
        for mode in ["755", "0755", "'4755'", "-1", "1e3"] {
            let rule = format!("permissions: [{{path: /data, mode: {mode}}}]");
            self.spec(39, "mode", &rule);
        }
        for memory in ["-1", "1e99", "NaN", ".nan"] {
            self.spec(40, "memory", &format!("resources: {{limits: {{memory: {memory}}}}}"));
        }
    }

    fn bombs(&mut self) {
        const NESTED: &str = "more than 32 levels";
        const BRACKETS: &str = "brackets; at most 4096";
        self.file(37, TooComplex, BRACKETS, format!("x: {}", "[".repeat(65_000)).as_bytes());
        let balanced = format!("x: {}{}", "[".repeat(32_000), "]".repeat(32_000));
        self.file(37, TooComplex, BRACKETS, balanced.as_bytes());
        self.file(37, TooComplex, BRACKETS, format!("x: {}", "{a: ".repeat(16_000)).as_bytes());
        let deep = format!("x: {}1{}", "[".repeat(2_000), "]".repeat(2_000));
        self.file(37, TooComplex, NESTED, deep.as_bytes());
        let quoted = format!("a: \"{}\"\nx: {}", "]".repeat(4_000), "[".repeat(4_000));
        self.file(37, TooComplex, NESTED, quoted.as_bytes());
        self.file(37, TooComplex, NESTED, format!("x:\n{}", "- ".repeat(32_000)).as_bytes());
        self.file(37, TooComplex, NESTED, format!("x:\n{}", "? ".repeat(32_000)).as_bytes());
        let text = format!("a: &a \"{}\"\nb: [{}]", "x".repeat(32_000), "*a,".repeat(10_000));
        self.document(37, TooComplex, "aliases", &text);
        let items = format!("a: &a [{}]\nb: [{}]", "1,".repeat(15_000), "*a,".repeat(10_000));
        self.document(37, TooComplex, "more than 20000 values", &items);
        let mut laughs = String::from("a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
        for (from, to) in "abcdefgh".chars().zip("bcdefghi".chars()) {
            let nine = format!("*{from}, ").repeat(9);
            writeln!(laughs, "{to}: &{to} [{nine}]").expect("a String takes any text");
        }
        self.document(37, TooComplex, "anchors", &laughs);
        let mut keys = String::new();
        for number in 0..6_000 {
            writeln!(keys, "k{number}: 1").expect("a String takes any text");
        }
        self.document(37, Invalid, "unknown field", &keys);
        self.file(37, TooLarge, "bytes", "key: 1\n".repeat(1_000_000).as_bytes());
        let file = "row37-scalar.yaml".to_owned();
        let scalar = File::create(self.specs.join(&file)).expect("a large file");
        scalar.set_len(50_000_000).expect("a large file");
        self.bad.push(Bad { row: 37, file, reason: TooLarge, says: "50000000 bytes" });
    }

    /// A file with the header of a Sandbox.
    fn document(&mut self, row: u8, reason: ProblemReason, says: &'static str, text: &str) {
        let head = "apiVersion: sandkeeper.dev/v1alpha1\nkind: Sandbox\nmetadata: {name: bomb}\n";
        self.file(row, reason, says, format!("{head}{text}").as_bytes());
    }

    fn encodings(&mut self) {
        self.spec(38, "is set twice", "env: []\n  env: []");
        self.metadata(38, "is set twice", "{name: row38, labels: {a: x, a: y}}");
        self.file(38, Empty, "only comments", b"---\n---\n");
        self.file(38, Syntax, "indent with spaces", b"kind: Sandbox\nspec:\n\timage: x\n");
        let utf16: Vec<u8> =
            "\u{feff}kind: Sandbox\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        self.file(38, Syntax, "UTF-16", &utf16);
        self.file(38, Syntax, "not UTF-8", b"kind: \xff\n");
        self.file(38, Syntax, "NUL", b"kind: Sandbox\0\n");
        self.bad.push(Bad {
            row: 38,
            file: "multi.yaml".to_owned(),
            reason: ProblemReason::UnsupportedVersion,
            says: "Pod",
        });
    }

    /// 42: what is no file of a trusted hand.
    fn no_files(&mut self, canary: &Path) {
        const OUT: &str = "leads out of the directory";
        let mut made = |name: &str, says: &'static str, make: &dyn Fn(&Path) -> bool| {
            let file = format!("row42-{name}.yaml");
            if make(&self.specs.join(&file)) {
                self.bad.push(Bad { row: 42, file, reason: Unreadable, says });
            }
        };
        let secret = canary.join("data/inner/file");
        made("fifo", "a FIFO", &|path| {
            use rustix::fs::{CWD, Mode, mkfifoat};
            mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).is_ok()
        });
        // Only root may make one, and not in every container.
        made("null", "a device", &|path| {
            use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
            mknodat(CWD, path, FileType::CharacterDevice, Mode::RUSR, makedev(1, 3)).is_ok()
        });
        made("socket", "a socket", &|path| UnixListener::bind(path).is_ok());
        made("folder", "a directory", &|path| fs::create_dir(path).is_ok());
        made("device", OUT, &|path| symlink("/dev/zero", path).is_ok());
        made("shadow", OUT, &|path| symlink("/etc/shadow", path).is_ok());
        made("link", OUT, &|path| symlink(&secret, path).is_ok());
        made("up", OUT, &|path| symlink("../canary/data/inner/file", path).is_ok());
        made("dangling", "does not exist", &|path| symlink("nowhere.yaml", path).is_ok());
        made("circle", "in a circle", &|path| symlink("row42-circle.yaml", path).is_ok());
        made("hard", "2 names", &|path| fs::hard_link(&secret, path).is_ok());
        // Only root may give one away.
        made("foreign", "user 65534 owns it", &|path| {
            fs::write(path, CANARY).is_ok() && chown(path, Some(65_534), None).is_ok()
        });
        made("open", "mode 0666", &|path| {
            use std::os::unix::fs::PermissionsExt as _;
            let everybody = fs::Permissions::from_mode(0o666);
            fs::write(path, CANARY).is_ok() && fs::set_permissions(path, everybody).is_ok()
        });
    }
}
