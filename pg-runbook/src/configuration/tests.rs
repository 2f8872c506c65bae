//! Includes, and which assignment is in force.

#![allow(clippy::disallowed_methods)] // test files are written in place

use std::fs;

use tempfile::TempDir;

use super::*;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn load(folder: &TempDir) -> Result<Configuration, Failure> {
    Configuration::load(&folder.path().join("etc/postgresql.conf"), Some(&folder.path().join("data")))
}

fn applied(configuration: &Configuration) -> Vec<String> {
    let line = |at: &Located| format!("{}:{} {}", at.file.file_name().unwrap().display(), at.line, at.name);
    configuration.assignments().iter().map(line).collect()
}

#[test]
fn applies_includes_where_they_stand_and_alter_system_last() {
    let folder = folder(&[
        (
            "etc/postgresql.conf",
            "a = 1\ninclude_dir 'conf.d'\nInclude '../etc/./sub/x'\ninclude_if_exists none\na = 2\n",
        ),
        ("etc/sub/x", "include 'y'\nb = 1\n"),
        ("etc/sub/y", "c = 1\nA = 3"),
        ("data/postgresql.auto.conf", "a = 4\n"),
    ]);
    fs::create_dir(folder.path().join("etc/conf.d")).unwrap();
    let configuration = load(&folder).unwrap();
    let order = ["postgresql.conf:1 a", "y:1 c", "y:2 a", "x:2 b", "postgresql.conf:5 a", "postgresql.auto.conf:1 a"];
    assert_eq!(applied(&configuration), order);
    let winner = configuration.in_force("A").unwrap();
    assert_eq!((winner.value.as_str(), winner.from_alter_system), ("4", true));
    let values: Vec<_> = configuration.overridden("a").iter().map(|located| located.value.as_str()).collect();
    assert_eq!(values, ["1", "3", "2"]);
    assert_eq!(configuration.files().count(), 4);
    assert!(configuration.file(&folder.path().join("etc/sub/y")).is_some());
}

// pg_file_settings of 15 showed exactly these files of such a folder, in this order.
#[test]
fn reads_of_a_folder_what_the_server_reads() {
    let folder = folder(&[
        ("etc/postgresql.conf", "include_dir 'd'\n"),
        ("etc/d/b.conf", "b = 1\n"),
        ("etc/d/B.conf", "b = 2\n"),
        ("etc/d/a.conf", "b = 3\n"),
        ("etc/d/\u{e9}.conf", "b = 4\n"),
        ("etc/d/.conf", "b = 5\n"),
        ("etc/d/.c.conf", "b = 6\n"),
        ("etc/d/x.CONF", "b = 7\n"),
        ("etc/d/b.conf~", "b = 8\n"),
        ("etc/d/sub.conf/z.conf", "b = 9\n"),
    ]);
    assert_eq!(applied(&load(&folder).unwrap()), ["B.conf:1 b", "a.conf:1 b", "b.conf:1 b", "\u{e9}.conf:1 b"]);
}

#[test]
fn include_if_exists_reads_what_is_there_and_passes_over_what_is_not() {
    let text = "include_if_exists x\ninclude_if_exists 'none'\ninclude_if_exists none/none\nb = 1\n";
    let folder = folder(&[("etc/postgresql.conf", text), ("etc/x", "a = 1\n")]);
    assert_eq!(applied(&load(&folder).unwrap()), ["x:1 a", "postgresql.conf:4 b"]);
}

#[test]
fn names_the_line_that_includes_what_is_missing() {
    for directive in ["include 'none.conf'", "include_dir 'none.conf'"] {
        let folder = folder(&[("etc/postgresql.conf", &format!("a = 1\n{directive}\n"))]);
        let failure = load(&folder).unwrap_err();
        let said = failure.to_string();
        assert!(said.contains("none.conf\", included by"), "{said}");
        assert!(said.contains("postgresql.conf\" line 2: no such file"), "{said}");
        assert!(failure.hint.unwrap().starts_with("sed -n 2p"));
    }
}

#[test]
fn refuses_includes_that_go_round() {
    let itself = folder(&[("etc/postgresql.conf", "include './postgresql.conf'\n")]);
    assert!(load(&itself).unwrap_err().to_string().contains("recursion"));
    let each_other = folder(&[("etc/postgresql.conf", "include x\n"), ("etc/x", "include 'postgresql.conf'\n")]);
    assert!(load(&each_other).unwrap_err().to_string().contains("maximum nesting depth exceeded"));
    let nothing = folder(&[("etc/postgresql.conf", "include ' '\n")]);
    assert!(load(&nothing).unwrap_err().to_string().contains("empty configuration file name"));
}

#[test]
fn follows_ten_levels_and_no_eleventh() {
    let names: Vec<_> = (1..=11).map(|level| format!("etc/l{level}")).collect();
    let texts: Vec<_> = (1..=11).map(|level| format!("include l{}\n", level + 1)).collect();
    let mut files: Vec<_> = names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).take(9).collect();
    files.push(("etc/postgresql.conf", "include l1\n"));
    files.push(("etc/l10", "a = 1\n"));
    assert_eq!(applied(&load(&folder(&files)).unwrap()), ["l10:1 a"]);
    files.pop();
    files.push(("etc/l10", "include l11\n"));
    files.push(("etc/l11", "a = 1\n"));
    assert!(load(&folder(&files)).is_err());
}

#[test]
fn does_without_a_data_directory_and_collects_syntax_errors() {
    let folder = folder(&[("etc/postgresql.conf", "a = \ninclude x\n1\n"), ("etc/x", "port 1\nport 1 2")]);
    let main = folder.path().join("etc/postgresql.conf");
    let configuration = Configuration::load(&main, None).unwrap();
    let expected = [(main.clone(), 1), (main.clone(), 3), (folder.path().join("etc/x"), 2)];
    assert_eq!(configuration.syntax_errors(), expected);
    assert_eq!(configuration.main_file(), main);
    assert!(Configuration::load(&folder.path().join("none"), None).is_err());
}

#[test]
fn flattens_edited_files_and_new_ones_in_their_places() {
    let folder = folder(&[
        ("etc/postgresql.conf", "a = 1\r\ninclude_dir 'd' # ours\ninclude_if_exists 'none'\ninclude x\n# end"),
        ("etc/d/b.conf", "b = 1"),
        ("etc/x", "x = 1\n"),
        ("data/postgresql.auto.conf", "a = 9\n"),
    ]);
    let configuration = load(&folder).unwrap();
    let gone = folder.path().join("etc/none");
    let plain = format!("a = 1\r\nb = 1\ninclude_if_exists '{}'\nx = 1\n# end\n", gone.display());
    assert_eq!(String::from_utf8(configuration.flattened(&[])).unwrap(), plain);
    let edited = [
        (folder.path().join("etc/x"), ConfFile::parse(b"x = 2\n")),
        (folder.path().join("etc/d/c.conf"), ConfFile::parse(b"c = 1\n")),
    ];
    let replaced = plain.replace("x = 1", "x = 2").replace("b = 1\n", "b = 1\nc = 1\n");
    assert_eq!(String::from_utf8(configuration.flattened(&edited)).unwrap(), replaced);
}
