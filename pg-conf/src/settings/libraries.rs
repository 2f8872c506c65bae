//! Libraries that the server is to load at its start, and can't find: a server that does not come back from a restart.
//!
//! What must always hold: names are resolved as the server does it (dfmgr.c); where its own library folder can't be
//! found, nothing is said.

use pg_runbook::cluster::programs;
use std::path::{Path, PathBuf};

/// The setting.
pub const NAME: &str = "shared_preload_libraries";

/// The libraries of a list that no file stands for, in words.
pub fn concern(major: u32, list: &str, path: &str) -> Option<String> {
    let own = own_folder(&programs::find_server(major, "postgres")?)?;
    let missing: Vec<String> = names(list).into_iter().filter(|name| !is_there(name, path, &own)).collect();
    (!missing.is_empty()).then(|| {
        format!(
            "{NAME} names {}, and there is no such library in {}; the server would not start",
            missing.join(", "),
            folders(path, &own).iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
        )
    })
}

/// `$libdir`: beside the folder of the server's programs, where libraries are that every server brings along.
fn own_folder(program: &Path) -> Option<PathBuf> {
    let above = std::fs::canonicalize(program).ok()?.parent()?.parent()?.to_owned();
    let candidates = ["lib", "lib/postgresql", "lib64", "lib64/postgresql", "lib64/pgsql"].map(|name| above.join(name));
    candidates.into_iter().find(|folder| folder.join("libpqwalreceiver.so").exists())
}

fn is_there(name: &str, path: &str, own: &Path) -> bool {
    let places = if name.contains('/') {
        vec![PathBuf::from(expanded(name, own))]
    } else {
        folders(path, own).into_iter().map(|folder| folder.join(name)).collect()
    };
    places.iter().any(|place| place.is_file() || PathBuf::from(format!("{}.so", place.display())).is_file())
}

fn folders(path: &str, own: &Path) -> Vec<PathBuf> {
    path.split(':').filter(|folder| !folder.is_empty()).map(|folder| expanded(folder, own).into()).collect()
}

fn expanded(name: &str, own: &Path) -> String {
    name.strip_prefix("$libdir").map_or_else(|| name.to_owned(), |rest| format!("{}{rest}", own.display()))
}

/// Commas between them; a name in double quotes may hold some, and doubles its own quotes.
fn names(list: &str) -> Vec<String> {
    let (mut names, mut name, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = list.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.next_if_eq(&'"').is_some() => name.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => names.push(std::mem::take(&mut name)),
            _ => name.push(letter),
        }
    }
    names.push(name);
    names.into_iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)] // The tests set their own scenery.

    use super::*;

    #[test]
    fn takes_a_list_apart_as_the_server_does() {
        assert_eq!(names(""), Vec::<String>::new());
        assert_eq!(names(" auto_explain,pg_stat_statements "), ["auto_explain", "pg_stat_statements"]);
        assert_eq!(names(r#""a,b", "$libdir/c""#), ["a,b", "$libdir/c"]);
        assert_eq!(names(r#""a""b""#), [r#"a"b"#]);
    }

    #[test]
    fn looks_where_the_server_looks() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("here.so"), "").unwrap();
        let own = folder.path();
        let absolute = format!("{}/here.so", own.display());
        for name in ["here", "here.so", "$libdir/here", &absolute] {
            assert!(is_there(name, "$libdir", own), "{name}");
        }
        assert!(!is_there("there", "$libdir", own));
        assert!(!is_there("here", "/nowhere", own));
        assert!(is_there("here", "/nowhere:$libdir", own));
        assert!(!is_there("$libdir/plugins/here", "$libdir", own));
    }
}
