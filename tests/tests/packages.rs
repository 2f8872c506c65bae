//! What is made to be installed, looked at where it was made: the packages and their sums, and cargo's own way.

#![allow(clippy::disallowed_methods, reason = "tests set their own scenes")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tests::{in_ci, made, skip};

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn lintian_finds_no_fault_in_the_packages() {
    let Some(packages) = made(".deb") else { return };
    assert_eq!(packages.len(), 6, "{packages:?}");
    // What is not uploaded to Debian has no bug there that its first version closes.
    let lintian = ["--suppress-tags", "initial-upload-closes-no-bugs"];
    let strict = ["--profile", "debian", "--fail-on", "error,warning", "--allow-root"];
    match Command::new("lintian").args(lintian).args(strict).args(packages).output() {
        Ok(output) => assert!(output.status.success(), "{}", said(&output)),
        Err(error) => {
            let missing = format!("lintian: {error}: apt-get install lintian");
            assert!(!in_ci(), "{missing}, and CI skips nothing for want of it");
            skip(&missing);
        }
    }
}

fn run(command: &mut Command) {
    let output = command.output().expect("start it");
    assert!(output.status.success(), "{}", said(&output));
}

/// A package's files, in this folder.
fn unpack(package: &Path, folder: &Path) {
    run(Command::new("dpkg-deb").arg("-x").args([package, folder]));
}

/// Where the package pg-runbook and the tarball have their README, unpacked in this folder.
fn what_is_to_be_read(folder: &Path) -> Option<[PathBuf; 2]> {
    let packages = made(".deb")?;
    let package = packages.iter().find(|path| path.to_string_lossy().contains("/pg-runbook_")).expect("its package");
    unpack(package, folder);
    let tarball = made(".tar.gz")?.remove(0);
    run(Command::new("tar").arg("-xzf").arg(&tarball).arg("-C").arg(folder));
    let name = tarball.file_name().expect("a name").to_string_lossy().replace(".tar.gz", "");
    Some([folder.join("usr/share/doc/pg-runbook"), folder.join(name)])
}

fn pages(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path());
    let found = entries.flat_map(|path| if path.is_dir() { pages(&path) } else { vec![path] });
    found.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

#[test]
fn every_link_of_what_is_installed_leads_to_what_is_installed_and_nobody_is_told_to_build() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(folders) = what_is_to_be_read(folder.path()) else { return };
    for folder in folders {
        let mut links = 0;
        for page in pages(&folder) {
            let text = std::fs::read_to_string(&page).expect("a page");
            let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
            for target in targets.filter(|target| !target.is_empty() && !target.contains("://")) {
                let target = page.parent().expect("its folder").join(target);
                let led_to = target.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", target.display()));
                assert!(led_to.starts_with(folder.canonicalize().expect("its path")), "{}", target.display());
                links += 1;
            }
            let is_history = page.ends_with("CHANGELOG.md");
            assert!(is_history || !text.contains("cargo "), "{} wants something built", page.display());
        }
        assert!(links > 25, "{links} links in {}", folder.display());
    }
}

/// The names of licences that a machine-readable file of licences uses, and those that it has the texts of.
fn licences(text: &str) -> [BTreeSet<&str>; 2] {
    let (files, alone): (Vec<&str>, _) = text.split("\n\n").partition(|paragraph| paragraph.contains("Files: "));
    // The project's own licence stands where it is used.
    let used = files.iter().filter(|paragraph| !paragraph.starts_with("Files: *\n"));
    let used = used.filter_map(|paragraph| paragraph.lines().find_map(|line| line.strip_prefix("License: ")));
    let used = used.flat_map(|line| line.split([' ', ','])).filter(|word| !["", "and", "or"].contains(word)).collect();
    let told = alone.iter().filter_map(|paragraph| paragraph.strip_prefix("License: ")?.split_once("\n "));
    [used, told.map(|(name, _)| name).collect()]
}

#[test]
fn all_that_is_linked_is_told_with_its_licence_and_the_words_of_it() {
    let Some(packages) = made(".deb") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    for package in &packages {
        unpack(package, folder.path());
    }
    let Some([_, tarball]) = what_is_to_be_read(folder.path()) else { return };
    let documentation = std::fs::read_dir(folder.path().join("usr/share/doc")).expect("documentation");
    let mut files: Vec<PathBuf> = documentation.flatten().map(|entry| entry.path().join("copyright")).collect();
    assert_eq!(files.len(), packages.len());
    files.push(tarball.join("COPYRIGHT"));
    for file in &files {
        let text = std::fs::read_to_string(file).expect("the file of licences");
        let [used, told] = licences(&text);
        assert!(used == told && used.len() > 3, "{}: {used:?}, but {told:?}", file.display());
        let part = text.split("\n\n").find(|paragraph| paragraph.starts_with("Files: vendor/tokio-postgres-0"));
        assert!(part.is_some_and(|part| part.ends_with("License: Expat or Apache-2.0")), "{part:?}");
        assert!(!text.contains("vendor/testcontainers-"), "what is for tests only is in no program");
        // Debian has Apache's licence on every system; elsewhere it has to come with the programs.
        let is_for_debian = file.ends_with("copyright");
        assert_eq!(text.contains("/usr/share/common-licenses/Apache-2.0"), is_for_debian);
        assert_eq!(text.contains("END OF TERMS AND CONDITIONS"), !is_for_debian);
    }
}

#[test]
fn sums_of_packages_name_all_that_was_made_and_hold() {
    let Some(sums) = made("SHA256SUMS") else { return };
    let folder = sums[0].parent().expect("it lies in a folder");
    let names = std::fs::read_to_string(&sums[0]).expect("the sums").lines().count();
    assert_eq!(names + 1, std::fs::read_dir(folder).expect("the folder").count());
    let check = ["--check", "--strict", "SHA256SUMS"];
    let checked = Command::new("sha256sum").args(check).current_dir(folder).output().expect("sha256sum");
    assert!(checked.status.success(), "{}", said(&checked));
}

#[test]
fn cargo_install_by_path_gives_a_tool_that_runs() {
    let root = tempfile::tempdir().expect("a folder");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the work tree");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Unoptimized, it shares what is built already.
    let mut install = Command::new(cargo);
    install.args(["install", "--path", "pg-pass", "--debug", "--offline", "--locked", "--root"]).arg(root.path());
    let installed = install.current_dir(workspace).output().expect("cargo");
    assert!(installed.status.success(), "{}", said(&installed));
    let told = Command::new(root.path().join("bin/pg-pass")).arg("--version").output().expect("run it");
    assert_eq!(said(&told), format!("pg-pass {}\n", env!("CARGO_PKG_VERSION")));
}
