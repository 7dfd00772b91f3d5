//! Against real files. Every test runs with both implementations of [`Object`].

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::controller::host::object::Handle;
#[cfg(target_os = "linux")]
use crate::controller::host::object::PortableHandle;
use crate::plan::{BindMount, Permission, PermissionView};

use super::*;

macro_rules! on_both {
    ($($name:ident)*) => {
        mod native { $( #[test] fn $name() { super::$name::<super::Handle>(); } )* }
        #[cfg(target_os = "linux")]
        mod portable { $( #[test] fn $name() { super::$name::<super::PortableHandle>(); } )* }
    };
}

on_both! {
    drift_is_told_and_mended
    what_is_right_is_not_touched
    the_mounts_own_root_can_be_the_rules_path
    a_file_can_be_the_mount
    a_planted_link_is_refused_as_the_path_and_on_the_way
    links_below_a_recursive_rule_are_left_alone
    a_file_with_two_names_is_left_alone
    special_bits_are_cleared_from_files_and_never_set
    owners_are_mended
    a_missing_path_is_told_without_create_and_made_with_it
    a_read_only_mount_is_looked_at_and_never_mended
    a_mount_whose_host_path_passes_a_link_is_refused
    what_no_rule_can_name_is_refused
    recursion_reaches_everything_below
    recursion_stops_at_its_bounds
    a_directory_swapped_for_a_link_never_leads_out
}

/// A mount's root and a file beside it that nothing may touch.
struct Site {
    _keep: tempfile::TempDir,
    root: PathBuf,
    outside: PathBuf,
}

fn site() -> Site {
    let keep = tempfile::tempdir().unwrap();
    let base = keep.path().canonicalize().unwrap();
    let (root, outside) = (base.join("root"), base.join("outside"));
    fs::create_dir(&root).unwrap();
    chmod(&root, 0o755);
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("shadow"), "x").unwrap();
    chmod(&outside.join("shadow"), 0o600);
    chmod(&outside, 0o700);
    Site { _keep: keep, root, outside }
}

impl Site {
    fn rule(&self, path: &str, mode: u32) -> HostRule {
        let below = path.split('/').filter(|name| !name.is_empty()).map(OsString::from).collect();
        HostRule {
            rule: Permission {
                path: format!("/mnt{}{path}", if path.is_empty() { "" } else { "/" }),
                mode,
                uid: None,
                gid: None,
                recursive: false,
                create: false,
            },
            mount: BindMount {
                host_path: self.root.clone(),
                mount_path: "/mnt".to_owned(),
                read_only: false,
                create: None,
            },
            below,
        }
    }

    fn dir(&self, path: &str, mode: u32) -> PathBuf {
        let path = self.root.join(path);
        fs::create_dir_all(&path).unwrap();
        chmod(&path, mode);
        path
    }

    fn file(&self, path: &str, mode: u32) -> PathBuf {
        let path = self.root.join(path);
        fs::write(&path, "x").unwrap();
        chmod(&path, mode);
        path
    }

    fn outside_is_untouched(&self) {
        assert_eq!(mode(&self.outside), 0o700);
        assert_eq!(mode(&self.outside.join("shadow")), 0o600);
    }
}

fn recursive(rule: HostRule) -> HostRule {
    HostRule { rule: Permission { recursive: true, ..rule.rule }, ..rule }
}

fn creating(rule: HostRule) -> HostRule {
    HostRule { rule: Permission { create: true, ..rule.rule }, ..rule }
}

fn read_only(rule: HostRule) -> HostRule {
    HostRule { mount: BindMount { read_only: true, ..rule.mount }, ..rule }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn act<O: Object>(rule: &HostRule, act: Act) -> Findings {
    let mut findings = Findings::default();
    hold::<O>(rule, &Ids::default(), act, &mut Budget::new(Duration::from_mins(10)), &mut findings);
    findings
}

fn look<O: Object>(rule: &HostRule) -> PermissionView {
    act::<O>(rule, Act::Look).view()
}

fn mend<O: Object>(rule: &HostRule) -> Vec<String> {
    act::<O>(rule, Act::Mend).outcome().unwrap()
}

fn problem<O: Object>(rule: &HostRule) -> String {
    let PermissionView::Failed(told) = look::<O>(rule) else { panic!("{:?}", look::<O>(rule)) };
    assert_eq!(act::<O>(rule, Act::Mend).outcome().unwrap_err().to_string(), told);
    told
}

fn drifted(text: &str) -> PermissionView {
    PermissionView::Drifted(vec![text.to_owned()])
}

fn drift_is_told_and_mended<O: Object>() {
    let site = site();
    let path = site.dir("uploads", 0o755);
    let rule = site.rule("uploads", 0o777);
    assert_eq!(look::<O>(&rule), drifted("/mnt/uploads: mode 0755, should be 0777"));
    assert_eq!(mode(&path), 0o755, "looking changes nothing");
    assert_eq!(mend::<O>(&rule), ["/mnt/uploads: mode 0755 → 0777"]);
    assert_eq!(mode(&path), 0o777);
    assert_eq!(look::<O>(&rule), PermissionView::Hold);
}

fn what_is_right_is_not_touched<O: Object>() {
    let site = site();
    let path = site.dir("d", 0o750);
    let changed = |path: &Path| {
        let metadata = fs::metadata(path).unwrap();
        (metadata.ctime(), metadata.ctime_nsec())
    };
    let before = changed(&path);
    let mut rule = recursive(site.rule("d", 0o750));
    rule.rule.uid = Some(rustix::process::geteuid().as_raw());
    assert_eq!(mend::<O>(&rule), Vec::<String>::new());
    assert_eq!(changed(&path), before);
}

fn the_mounts_own_root_can_be_the_rules_path<O: Object>() {
    let site = site();
    let rule = site.rule("", 0o711);
    assert_eq!(look::<O>(&rule), drifted("/mnt: mode 0755, should be 0711"));
    mend::<O>(&rule);
    assert_eq!(mode(&site.root), 0o711);
}

fn a_file_can_be_the_mount<O: Object>() {
    let site = site();
    let path = site.file("settings", 0o644);
    let mut rule = recursive(site.rule("", 0o600));
    rule.mount.host_path.clone_from(&path);
    mend::<O>(&rule);
    assert_eq!(mode(&path), 0o600);
}

fn a_planted_link_is_refused_as_the_path_and_on_the_way<O: Object>() {
    let site = site();
    symlink(site.outside.join("shadow"), site.root.join("file")).unwrap();
    symlink(&site.outside, site.root.join("dir")).unwrap();
    symlink("../outside", site.root.join("relative")).unwrap();
    for path in ["file", "dir", "relative", "dir/shadow", "relative/shadow", "dir/new"] {
        let rule = creating(recursive(site.rule(path, 0o777)));
        let told = problem::<O>(&rule);
        assert!(told.contains("symbolic link"), "{told}");
    }
    assert!(!site.outside.join("new").exists());
    site.outside_is_untouched();
}

fn links_below_a_recursive_rule_are_left_alone<O: Object>() {
    let site = site();
    let sub = site.dir("sub", 0o755);
    symlink(site.outside.join("shadow"), sub.join("file")).unwrap();
    symlink(&site.outside, sub.join("dir")).unwrap();
    symlink("/etc/passwd", sub.join("absolute")).unwrap();
    let rule = recursive(site.rule("", 0o777));
    mend::<O>(&rule);
    assert_eq!(mode(&sub), 0o777);
    assert_eq!(look::<O>(&rule), PermissionView::Hold);
    site.outside_is_untouched();
}

fn a_file_with_two_names_is_left_alone<O: Object>() {
    let site = site();
    fs::hard_link(site.outside.join("shadow"), site.root.join("linked")).unwrap();
    let told = problem::<O>(&site.rule("linked", 0o777));
    assert!(told.contains("has 2 names"), "{told}");
    let below = recursive(site.rule("", 0o777));
    mend::<O>(&below);
    assert_eq!(look::<O>(&below), PermissionView::Hold, "what is left alone is no drift");
    site.outside_is_untouched();
}

fn special_bits_are_cleared_from_files_and_never_set<O: Object>() {
    let site = site();
    let (suid, shared) = (site.file("suid", 0o4755), site.dir("shared", 0o2755));
    let plain = site.dir("plain", 0o755);
    let rule = recursive(site.rule("", 0o755));
    assert_eq!(look::<O>(&rule), drifted("/mnt/suid: mode 4755, should be 0755"));
    mend::<O>(&rule);
    assert_eq!((mode(&suid), mode(&shared)), (0o755, 0o2755));
    mend::<O>(&site.rule("plain", 0o7777));
    assert_eq!(mode(&plain), 0o777);
}

fn owners_are_mended<O: Object>() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let site = site();
    let path = site.file("f", 0o755);
    let mut rule = site.rule("f", 0o755);
    (rule.rule.uid, rule.rule.gid) = (Some(1234), Some(2345));
    assert_eq!(
        look::<O>(&rule),
        drifted("/mnt/f: uid 0, should be 1234, and gid 0, should be 2345")
    );
    mend::<O>(&rule);
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.uid(), metadata.gid(), mode(&path)), (1234, 2345, 0o755));
    rule.rule.gid = None;
    rule.rule.uid = Some(1235);
    mend::<O>(&rule);
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (1235, 2345), "a group that no rule names stays");
}

fn a_missing_path_is_told_without_create_and_made_with_it<O: Object>() {
    let site = site();
    let rule = site.rule("a/b", 0o770);
    let told = problem::<O>(&rule);
    assert!(told.contains("/mnt/a: does not exist") && told.contains("create: true"), "{told}");
    assert!(!site.root.join("a").exists());
    let rule = creating(rule);
    assert_eq!(look::<O>(&rule), drifted("/mnt/a/b: does not exist"));
    assert!(!site.root.join("a").exists(), "looking makes nothing");
    mend::<O>(&rule);
    assert_eq!((mode(&site.root.join("a")), mode(&site.root.join("a/b"))), (0o755, 0o770));
    assert_eq!(look::<O>(&rule), PermissionView::Hold);
}

fn a_read_only_mount_is_looked_at_and_never_mended<O: Object>() {
    let site = site();
    let path = site.dir("d", 0o755);
    assert_eq!(look::<O>(&read_only(site.rule("d", 0o755))), PermissionView::Hold);
    let told = problem::<O>(&read_only(site.rule("d", 0o777)));
    assert!(told.contains("the mount /mnt is read-only"), "{told}");
    assert_eq!(mode(&path), 0o755);
    problem::<O>(&read_only(creating(site.rule("new", 0o777))));
    assert!(!site.root.join("new").exists());
}

fn a_mount_whose_host_path_passes_a_link_is_refused<O: Object>() {
    let site = site();
    let link = site.root.join("link");
    symlink(&site.outside, &link).unwrap();
    let mut rule = site.rule("shadow", 0o777);
    rule.mount.host_path = link;
    assert!(problem::<O>(&rule).contains("write the real path into hostPath"));
    site.outside_is_untouched();
}

fn what_no_rule_can_name_is_refused<O: Object>() {
    let site = site();
    let mut rule = site.rule("", 0o777);
    rule.below = vec!["..".into(), "outside".into()];
    problem::<O>(&rule);
    site.outside_is_untouched();
}

fn recursion_reaches_everything_below<O: Object>() {
    let site = site();
    let deep = site.dir("a/b/c", 0o700);
    let file = site.file("a/b/c/f", 0o600);
    let name = "name\nof two lines";
    site.file(name, 0o600);
    let rule = recursive(site.rule("", 0o755));
    let PermissionView::Drifted(told) = look::<O>(&rule) else { panic!() };
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|line| !line.contains('\n')), "{told:?}");
    mend::<O>(&rule);
    for path in [deep, file, site.root.join(name)] {
        assert_eq!(mode(&path), 0o755, "{}", path.display());
    }
    assert_eq!(look::<O>(&rule), PermissionView::Hold);
}

fn recursion_stops_at_its_bounds<O: Object>() {
    let site = site();
    let deep = ["d"; MAX_DEPTH + 2].join("/");
    fs::create_dir_all(site.root.join(deep)).unwrap();
    let rule = recursive(site.rule("", 0o755));
    let told = problem::<O>(&rule);
    assert!(told.contains("deeper than 128 levels"), "{told}");

    let spent = |budget: &mut Budget| {
        let mut findings = Findings::default();
        hold::<O>(&rule, &Ids::default(), Act::Look, budget, &mut findings);
        findings.outcome().unwrap_err().to_string()
    };
    let mut few = Budget { entries: 3, ..Budget::new(Duration::from_mins(10)) };
    assert!(spent(&mut few).contains("entries; the rest is not looked at"));
    assert!(spent(&mut Budget::new(Duration::ZERO)).contains("too slow"));
}

/// A sandbox that swaps a directory for a link as fast as it can, while it is mended.
fn a_directory_swapped_for_a_link_never_leads_out<O: Object>() {
    use std::sync::atomic::{AtomicBool, Ordering};

    let site = site();
    let inner = site.dir("flip/inner", 0o700);
    fs::write(inner.join("shadow"), "").unwrap();
    symlink(&site.outside, site.root.join("flip/link")).unwrap();
    let (one, other) = (site.root.join("flip/inner"), site.root.join("flip/link"));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                exchange(&one, &other);
            }
        });
        for round in 0..500 {
            // Another mode each time, so that there is always something to do.
            let mode = if round % 2 == 0 { 0o777 } else { 0o755 };
            act::<O>(&recursive(site.rule("", mode)), Act::Mend);
            act::<O>(&site.rule("flip/inner/shadow", mode), Act::Mend);
            act::<O>(&creating(site.rule("flip/inner/new", mode)), Act::Mend);
        }
        stop.store(true, Ordering::Relaxed);
    });
    site.outside_is_untouched();
    assert!(!site.outside.join("new").exists());
}

#[cfg(target_os = "linux")]
fn exchange(one: &Path, other: &Path) {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    // One step, so that there is no moment at which either is missing.
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
}

#[cfg(not(target_os = "linux"))]
fn exchange(one: &Path, other: &Path) {
    let aside = one.with_extension("aside");
    fs::rename(one, &aside).unwrap();
    fs::rename(other, one).unwrap();
    fs::rename(&aside, other).unwrap();
}
