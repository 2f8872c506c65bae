//! What is outside changes places, and each step can be taken again.
#![allow(clippy::disallowed_methods)] // The tests set their own scenery.

use super::*;
use std::fs;

/// Two directories with a tablespace and a write-ahead log elsewhere each; the second one's are staged.
struct Scene {
    _folder: tempfile::TempDir,
    places: Places,
    journal: Journal,
}

fn scene() -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let places = Places::at(at("main"));
    let incoming = places.incoming();
    for (data, tablespace, wal, word) in [
        (&places.data, at("it's fast"), at("wal"), "old"),
        (&incoming, at("it's fast/main.pg-runbook-1"), at("wal.pg-runbook-1"), "new"),
    ] {
        for made in [data.join("pg_tblspc"), data.join("global"), tablespace.join("PG_15_1"), wal.clone()] {
            fs::create_dir_all(made).unwrap();
        }
        fs::write(data.join(CONTROL_FILE), word).unwrap();
        fs::write(data.join("PG_VERSION"), "15\n").unwrap();
        fs::write(tablespace.join("PG_15_1/1"), word).unwrap();
        // Another version's, which is none of ours.
        fs::create_dir_all(tablespace.join("PG_14_1")).unwrap();
        fs::write(wal.join("1"), word).unwrap();
        symlink(&tablespace, data.join(format!("pg_tblspc/{}", if word == "old" { 16384 } else { 16500 }))).unwrap();
        symlink(&wal, data.join("pg_wal")).unwrap();
    }
    let outside = between(&places.data, &incoming).unwrap();
    let journal = Journal {
        verb: "swap".into(),
        begun_at: String::new(),
        old: journal::identity(&places.data).unwrap(),
        old_goes_to: "main.previous-1".into(),
        new: journal::identity(&incoming).unwrap(),
        new_comes_from: "main.incoming".into(),
        outside,
        back: false,
        server: None,
        system_identifier: String::new(),
        timeline: 1,
        stood_at: None,
        timeout_seconds: 1.0,
        keep_for_seconds: None,
    };
    Scene { _folder: folder, places, journal }
}

impl Scene {
    /// What each directory's links lead to, in words; and whether each has the locations.
    fn told(&self) -> [(String, String, bool); 2] {
        let read = |path: PathBuf| fs::read_to_string(path).unwrap();
        [(self.places.data.clone(), "16384"), (self.places.incoming(), "16500")].map(|(data, number)| {
            let tablespace = data.join(format!("pg_tblspc/{number}"));
            let in_place = links(&data).iter().all(|link| location_of(link).is_none());
            (read(tablespace.join("PG_15_1/1")), read(data.join("pg_wal/1")), in_place)
        })
    }
}

fn words(word: &str, in_place: bool) -> (String, String, bool) {
    (word.into(), word.into(), in_place)
}

#[test]
fn knows_what_changes_places_by_where_the_links_lead() {
    let scene = scene();
    let parts = &scene.journal.outside;
    assert_eq!(parts.len(), 2);
    assert_eq!(parts[0].old_link.as_deref(), Some("pg_tblspc/16384"));
    assert_eq!((parts[0].new_link.as_str(), parts[0].inside.as_deref()), ("pg_tblspc/16500", Some("PG_15_1")));
    assert!(parts[1].location.ends_with("wal") && parts[1].inside.is_none());
}

#[test]
fn each_directory_keeps_its_own_whoever_has_the_locations() {
    let scene = scene();
    for _ in 0..2 {
        give(&scene.places, &scene.journal, Side::New).unwrap();
        assert_eq!(scene.told(), [words("old", false), words("new", true)]);
    }
    assert!(!scene.places.data.join(CONTROL_FILE).exists(), "the old one can't be started meanwhile");
    for _ in 0..2 {
        give(&scene.places, &scene.journal, Side::Old).unwrap();
        assert_eq!(scene.told(), [words("old", true), words("new", false)]);
    }
    make_startable(&scene.places.data).unwrap();
    make_startable(&scene.places.data).unwrap();
    assert_eq!(fs::read_to_string(scene.places.data.join(CONTROL_FILE)).unwrap(), "old");
}

#[test]
fn where_nothing_is_in_place_it_only_moves_in_and_out() {
    let scene = scene();
    let location = scene.places.data.with_file_name("it's fast");
    fs::remove_dir_all(location.join("PG_15_1")).unwrap();
    let outside = between(&scene.places.data, &scene.places.incoming()).unwrap();
    let journal = Journal { outside, ..scene.journal.clone() };
    for _ in 0..2 {
        give(&scene.places, &journal, Side::New).unwrap();
        assert_eq!(fs::read_to_string(location.join("PG_15_1/1")).unwrap(), "new");
    }
    for _ in 0..2 {
        give(&scene.places, &journal, Side::Old).unwrap();
        assert!(!location.join("PG_15_1").exists() && location.join("main.pg-runbook-1/PG_15_1/1").exists());
    }
}

#[test]
fn a_relative_link_ends_where_it_ends_for_the_server_and_stays_relative() {
    let scene = scene();
    let data = &scene.places.data;
    fs::remove_file(data.join("pg_wal")).unwrap();
    symlink("../wal", data.join("pg_wal")).unwrap();
    let wal = links(data).pop().unwrap();
    assert_eq!((wal.location, wal.written), (data.with_file_name("wal"), PathBuf::from("../wal")));
    let outside = between(data, &scene.places.incoming()).unwrap();
    let journal = Journal { outside, ..scene.journal.clone() };
    give(&scene.places, &journal, Side::New).unwrap();
    assert_eq!(fs::read_link(scene.places.incoming().join("pg_wal")).unwrap(), Path::new("../wal"));
    assert_eq!(fs::read_to_string(data.join("pg_wal/1")).unwrap(), "old");
}

#[test]
fn two_directories_that_lead_to_one_folder_are_refused() {
    let scene = scene();
    let incoming = scene.places.incoming();
    refuse_what_is_shared(&scene.places.data, &incoming).unwrap();
    symlink(scene.places.data.with_file_name("it's fast"), incoming.join("pg_tblspc/17000")).unwrap();
    refuse_what_is_shared(&scene.places.data, &incoming).unwrap_err();
}

#[test]
fn what_is_in_a_place_of_its_own_stays_there() {
    let scene = scene();
    let incoming = scene.places.incoming();
    let elsewhere = scene.places.data.with_file_name("elsewhere");
    lead(&incoming.join("pg_tblspc/16500"), &elsewhere).unwrap();
    lead(&incoming.join("pg_wal"), &elsewhere).unwrap();
    assert_eq!(between(&scene.places.data, &incoming).unwrap(), []);
}
