//! Steps kept, and files followed back through them.

#![allow(clippy::disallowed_methods)] // The tests set their own scenery.

use super::*;
use crate::Code;
use std::fs;

struct Scene {
    folder: tempfile::TempDir,
    history: History,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let history = History { folder: folder.path().join(FOLDER) };
        Self { folder, history }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    /// Changes a file through the history; an empty text stands for no file.
    fn change(&self, name: &str, after: &str) -> u32 {
        let there = |text: &str| Some(text.as_bytes().to_vec()).filter(|bytes| !bytes.is_empty());
        let before = self.text(name).and_then(|text| there(&text));
        let edit = Edit { path: self.path(name), before, after: there(after) };
        self.history.change(What::default(), &[edit]).unwrap().unwrap()
    }

    fn back_to_before(&self, number: u32) -> Result<Vec<Edit>, Failure> {
        let steps = self.history.steps().unwrap();
        let from = steps.iter().position(|step| step.number == number).unwrap();
        self.history.back_before(&steps[from..])
    }
}

#[test]
fn follows_each_file_back_through_every_step() {
    let scene = Scene::new();
    fs::write(scene.path("a"), "a1\r\n\u{e9}").unwrap();
    let first = scene.change("a", "a2");
    let second = scene.change("b", "new");
    scene.change("a", "a3");
    edit::put(&scene.back_to_before(second).unwrap()).unwrap();
    assert_eq!((scene.text("a").as_deref(), scene.text("b")), (Some("a2"), None));
    edit::put(&scene.back_to_before(first).unwrap()).unwrap();
    assert_eq!(scene.text("a").as_deref(), Some("a1\r\n\u{e9}"));
    assert_eq!(scene.back_to_before(first).unwrap(), [], "a second time there is nothing to do");
}

#[test]
fn a_file_that_somebody_else_edited_is_left_alone() {
    let scene = Scene::new();
    fs::write(scene.path("a"), "a1").unwrap();
    let first = scene.change("a", "a2");
    fs::write(scene.path("a"), "by hand").unwrap();
    let failure = scene.back_to_before(first).unwrap_err();
    assert_eq!(failure.code, Code::Refused);
    assert!(failure.message.ends_with("a was edited by somebody else since step 1"), "{failure}");
    fs::remove_file(scene.path("a")).unwrap();
    assert_eq!(scene.back_to_before(first).unwrap_err().code, Code::Refused);
}

#[test]
fn an_edit_between_two_steps_is_seen() {
    let scene = Scene::new();
    fs::write(scene.path("a"), "a1").unwrap();
    let first = scene.change("a", "a2");
    fs::write(scene.path("a"), "by hand").unwrap();
    let second = scene.change("a", "a3");
    assert_eq!(scene.back_to_before(first).unwrap_err().code, Code::Refused);
    assert_eq!(scene.back_to_before(second).unwrap()[0].after.as_deref(), Some(b"by hand".as_slice()));
}

#[test]
fn a_step_that_never_took_effect_is_passed_over() {
    let scene = Scene::new();
    fs::write(scene.path("a"), "a1").unwrap();
    let first = scene.change("a", "a2");
    let edit = Edit { path: scene.path("a"), before: Some(b"a2".to_vec()), after: Some(b"a3".to_vec()) };
    // Killed between keeping it and putting it in place.
    scene.history.keep(What::default(), &[edit]).unwrap();
    assert_eq!(scene.back_to_before(first).unwrap()[0].after.as_deref(), Some(b"a1".as_slice()));
    assert_eq!(scene.back_to_before(first + 1).unwrap(), []);
}

#[test]
fn a_step_that_was_half_written_is_none() {
    let scene = Scene::new();
    fs::create_dir_all(scene.history.folder().join("making")).unwrap();
    fs::write(scene.history.folder().join("making/0.before"), "x").unwrap();
    assert_eq!(scene.history.steps().unwrap(), []);
    assert_eq!(scene.change("a", "a1"), 1);
    assert_eq!(fs::read_dir(scene.history.folder()).unwrap().count(), 1);
}

#[test]
fn goes_back_to_the_files_of_a_start_that_was_seen_and_to_no_other() {
    let scene = Scene::new();
    let files = |names: &[&str]| -> Vec<(PathBuf, Vec<u8>)> {
        names.iter().map(|name| (scene.path(name), fs::read(scene.path(name)).unwrap())).collect()
    };
    fs::write(scene.path("a"), "a1").unwrap();
    scene.history.remember_start(1_700_000_000.25, &files(&["a"])).unwrap();
    fs::write(scene.path("a"), "by hand").unwrap();
    fs::write(scene.path("b"), "new").unwrap();
    let now = files(&["a", "b"]);
    assert_eq!(scene.history.back_to_start(1_700_000_001.0, &now).unwrap(), None);
    let edits = scene.history.back_to_start(1_700_000_000.25, &now).unwrap().unwrap();
    edit::put(&edits).unwrap();
    assert_eq!((scene.text("a").as_deref(), scene.text("b")), (Some("a1"), None));
    assert_eq!(scene.history.back_to_start(1_700_000_000.25, &files(&["a"])).unwrap(), Some(Vec::new()));
    assert_eq!(scene.history.steps().unwrap(), []);
}

#[test]
fn what_somebody_else_did_for_a_step_is_a_part_of_it() {
    let scene = Scene::new();
    let number = scene.change("a", "a1");
    fs::write(scene.path("auto"), "without").unwrap();
    let edit = Edit { path: scene.path("auto"), before: Some(b"with".to_vec()), after: Some(b"without".to_vec()) };
    scene.history.amend(number, &edit).unwrap();
    edit::put(&scene.back_to_before(number).unwrap()).unwrap();
    assert_eq!((scene.text("a"), scene.text("auto").as_deref()), (None, Some("with")));
}

#[test]
fn keeps_the_newest_hundred() {
    let scene = Scene::new();
    for number in 0..103 {
        scene.change("a", &format!("text {number}"));
    }
    let numbers: Vec<u32> = scene.history.steps().unwrap().iter().map(|step| step.number).collect();
    assert_eq!((numbers.len(), numbers[0], numbers[99]), (100, 4, 103));
}
