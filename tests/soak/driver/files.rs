//! Operations on spec files.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::Driver;
use crate::canary;
use crate::history::View;
use crate::oracle::now;
use crate::script::{Broken, How};
use crate::spec::Spec;

impl Driver {
    /// Where the file of a sandbox is. Whatever declares a name a second time sorts behind it.
    fn file(&self, name: &str) -> PathBuf {
        let moved = self.known.get(name).is_some_and(|known| known.moved);
        self.world.specs().join(if moved {
            format!("r-{name}.yaml")
        } else {
            format!("{name}.yaml")
        })
    }

    fn second_file(&self, name: &str) -> PathBuf {
        self.world.specs().join(format!("zz-{name}.yaml"))
    }

    pub(super) async fn write(&mut self, spec: Spec, how: How) {
        let (name, path) = (spec.name.clone(), self.file(&spec.name));
        let text = spec.yaml(&canary::data(&self.world.folder));
        self.note(&name, &format!("{how:?}: {spec:?}"));
        if path.is_dir() || !is_file(&path) {
            self.make_way(&name, &path);
        }
        let valid = View::Valid(spec.clone());
        match how {
            How::InPlace => {
                self.change_view(&name, valid, |_| {
                    fs::write(&path, &text).expect("a spec can be written");
                });
            }
            How::Rename => self.change_view(&name, valid, |driver| driver.put(&path, &text)),
            How::Halves => {
                // Cut where both halves are lines: the first is a spec without its end.
                let cut = text.find("  command:").unwrap_or(text.len() / 2);
                let mut file = None;
                self.change_view(&name, View::Broken, |_| {
                    let mut open = File::create(&path).expect("a spec can be written");
                    open.write_all(&text.as_bytes()[..cut]).expect("a spec can be written");
                    file = Some(open);
                });
                tokio::time::sleep(Duration::from_millis(150)).await;
                self.change_view(&name, valid, |_| {
                    if let Some(mut open) = file.take() {
                        open.write_all(&text.as_bytes()[cut..]).expect("a spec can be written");
                    }
                });
            }
        }
        self.known_mut(&name).spec = Some(spec);
    }

    /// Writes beside, and renames into place.
    fn put(&self, path: &Path, text: &str) {
        let beside = self.world.specs().join(".beside");
        fs::write(&beside, text).expect("a spec can be written");
        fs::rename(&beside, path).expect("a spec can be renamed");
    }

    /// What is no file cannot be overwritten.
    fn make_way(&mut self, name: &str, path: &Path) {
        if path.is_dir() {
            self.change_view(name, View::Broken, |_| fs::remove_dir(path).expect("it is empty"));
        } else if path.exists() {
            self.change_view(name, View::Broken, |_| fs::remove_file(path).expect("it can go"));
        }
    }

    pub(super) fn break_file(&mut self, name: &str, broken: Broken) {
        let path = self.file(name);
        self.note(name, &format!("the file breaks: {broken:?}"));
        let text = match broken {
            Broken::Garbage => "}}} no yaml: [\n".to_owned(),
            Broken::UnknownField => {
                format!(
                    "apiVersion: sandkeeper.dev/v1alpha1\nkind: Sandbox\nmetadata: {{name: {name}}}\nspec: {{imag: x}}\n"
                )
            }
            Broken::TooLarge => "# large\n".repeat(10_000),
            Broken::Half => {
                let whole = fs::read_to_string(&path).unwrap_or_default();
                whole[..whole.find("  command:").unwrap_or(0)]
                    .trim_end()
                    .replace("spec:", "spec: {")
            }
            Broken::Empty | Broken::Directory | Broken::Pipe => String::new(),
        };
        self.change_view(name, View::Broken, |driver| match broken {
            Broken::Directory => {
                fs::remove_file(&path).expect("it is there");
                fs::create_dir(&path).expect("a directory can be made");
            }
            Broken::Pipe => {
                fs::remove_file(&path).expect("it is there");
                mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0)
                    .expect("a pipe can be made");
            }
            _ => driver.put(&path, &text),
        });
    }

    pub(super) fn delete(&mut self, name: &str) {
        let path = self.file(name);
        self.note(name, "the file is deleted");
        self.change_view(name, View::Absent, |_| fs::remove_file(&path).expect("it is there"));
        let known = self.known_mut(name);
        known.spec = None;
        known.moved = false;
    }

    pub(super) fn move_file(&mut self, name: &str) {
        let from = self.file(name);
        let known = self.known_mut(name);
        known.moved = !known.moved;
        let to = self.file(name);
        self.note(name, &format!("the file becomes {}", to.display()));
        fs::rename(from, to).expect("it is there");
    }

    pub(super) async fn away_and_back(&mut self, name: &str, during: Duration) {
        let (path, away) = (self.file(name), self.world.folder.join("away.yaml"));
        self.note(name, &format!("the file is away for {during:?}"));
        let view = self.known_mut(name).view.clone();
        self.change_view(name, View::Absent, |_| fs::rename(&path, &away).expect("it is there"));
        tokio::time::sleep(during).await;
        if let Some(view) = view {
            self.change_view(name, view, |_| fs::rename(&away, &path).expect("it is there"));
        }
    }

    pub(super) fn duplicate(&mut self, spec: &Spec) {
        self.note(&spec.name, &format!("a second file: {spec:?}"));
        self.put(&self.second_file(&spec.name), &spec.yaml(&canary::data(&self.world.folder)));
    }

    pub(super) fn unduplicate(&mut self, name: &str) {
        self.note(name, "the second file goes");
        fs::remove_file(self.second_file(name)).expect("it is there");
    }

    /// Nobody can see the files of these any more; after that, what they are is as it was.
    pub(super) fn hide(&mut self, names: &[String], hide: impl FnOnce(&Self)) {
        for name in names {
            self.oracle.record().sandbox(name).history.begin(View::Unknown, now());
        }
        hide(self);
    }

    pub(super) fn show(&mut self, names: &[String], show: impl FnOnce(&Self)) {
        for name in names {
            if let Some(view) = self.known_mut(name).view.clone() {
                self.oracle.record().sandbox(name).history.begin(view, now());
            }
        }
        show(self);
        for name in names {
            self.oracle.record().sandbox(name).history.end(now());
        }
    }

    pub(super) fn hide_files(&mut self, names: &[String]) {
        let aside = self.world.folder.join("aside");
        fs::create_dir_all(&aside).expect("the folder is writable");
        self.hide(names, |driver| {
            for name in names {
                fs::rename(driver.file(name), aside.join(name)).expect("it is there");
            }
        });
    }

    pub(super) fn show_files(&mut self, names: &[String]) {
        let aside = self.world.folder.join("aside");
        self.show(names, |driver| {
            for name in names {
                fs::rename(aside.join(name), driver.file(name)).expect("it is there");
            }
        });
    }

    pub(super) fn hide_directory(&mut self, replace: bool) {
        let names: Vec<String> = self.known.keys().cloned().collect();
        self.hide(&names, |driver| {
            fs::rename(driver.world.specs(), driver.world.folder.join("specs-away"))
                .expect("it is there");
            if replace {
                fs::create_dir(driver.world.specs()).expect("the folder is writable");
            }
        });
    }

    pub(super) fn show_directory(&mut self) {
        let names: Vec<String> = self.known.keys().cloned().collect();
        self.show(&names, |driver| {
            if driver.world.specs().exists() {
                fs::remove_dir(driver.world.specs()).expect("nobody writes there");
            }
            fs::rename(driver.world.folder.join("specs-away"), driver.world.specs())
                .expect("it is there");
        });
    }
}

fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}
