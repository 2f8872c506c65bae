//! What a replaced file keeps, and where root's rights end.

use super::*;
use std::os::unix::fs::symlink;

#[test]
fn keeps_the_mode_and_leaves_nothing_beside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pg_hba.conf");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    assert!(replace(&path, b"new", 0o600).unwrap());
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn keeps_a_symbolic_link_and_replaces_what_it_points_at() {
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::write(&real, "old").unwrap();
    symlink("real", &link).unwrap();
    replace(&link, b"new", 0o600).unwrap();
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("real"));
    assert_eq!(fs::read(&real).unwrap(), b"new");
}

#[test]
fn does_not_touch_a_file_that_is_already_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "same").unwrap();
    let before = fs::metadata(&path).unwrap();
    assert!(!replace(&path, b"same", 0o600).unwrap());
    let after = fs::metadata(&path).unwrap();
    assert_eq!((before.ino(), before.mtime_nsec()), (after.ino(), after.mtime_nsec()));
}

#[test]
fn keeps_the_owner_of_a_file_that_root_replaces() {
    if !owner::started_by_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "old").unwrap();
    std::os::unix::fs::chown(&path, Some(65534), Some(65534)).unwrap();
    replace(&path, b"new", 0o600).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().uid(), 65534);
}

#[test]
fn sets_the_mode_of_what_a_link_points_at_and_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::write(&real, "x").unwrap();
    fs::set_permissions(&real, Permissions::from_mode(0o644)).unwrap();
    symlink("real", &link).unwrap();
    set_mode(&link, 0o600).unwrap();
    assert_eq!(fs::metadata(&real).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(fs::read(&real).unwrap(), b"x");
}

#[test]
fn only_root_leads_to_what_nobody_else_can_redirect() {
    if !owner::started_by_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    assert!(only_root_leads_to(&file));
    symlink("/etc", folder.path().join("roots")).unwrap();
    assert!(only_root_leads_to(&folder.path().join("roots/new")));
    let theirs = folder.path().join("theirs");
    symlink("/etc", &theirs).unwrap();
    std::os::unix::fs::lchown(&theirs, Some(65534), Some(65534)).unwrap();
    assert!(!only_root_leads_to(&theirs.join("new")));
    std::os::unix::fs::chown(folder.path(), Some(65534), Some(65534)).unwrap();
    assert!(!only_root_leads_to(&file));
}

#[test]
fn a_new_file_gets_the_mode_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pgpass");
    replace(&path, b"x", 0o600).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
}
