//! The tarball: what the packages hold, for where there is no dpkg.
//!
//! What must always hold: the programs, pages and completions are the packages' own.

use crate::docs;
use crate::shell::workspace;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What it is unpacked to, at work.
pub struct Tarball {
    folder: PathBuf,
    name: String,
    time: String,
    work: tempfile::TempDir,
}

const INSTALL: &str = "\
To install, as root, in this folder:

    cp -r bin share /usr/local/

To remove that again, in this folder too:

    find bin share -type f -printf '/usr/local/%p\\n' | xargs rm
";

impl Tarball {
    /// Of the packages in this folder.
    pub fn new(folder: &Path, time: &str) -> Result<Self, String> {
        let name = format!("pg-runbook-{}-{}-linux-gnu", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
        let work = tempfile::tempdir().map_err(|error| format!("make a folder: {error}"))?;
        let tarball = Self { folder: folder.to_owned(), name, time: time.to_owned(), work };
        tarball.fill()?;
        Ok(tarball)
    }

    fn top(&self) -> PathBuf {
        self.work.path().join(&self.name)
    }

    fn fill(&self) -> Result<(), String> {
        let script = format!(
            "set -eu; mkdir '{top}'; umask 022
             for package in '{packages}'/*.deb; do dpkg-deb --fsys-tarfile \"$package\" | tar -x --strip-components=2 -C '{top}' ./usr; done
             cp -r LICENSE CHANGELOG.md docs examples '{made}'/README.md '{made}'/COPYRIGHT '{top}'
             cd '{top}'; rm -r share/doc; [ ! -e share/lintian ] || rm -r share/lintian
             mv share/zsh/vendor-completions share/zsh/site-functions",
            top = self.top().display(),
            packages = self.folder.display(),
            made = docs::folder().display()
        );
        run(Command::new("bash").args(["-o", "pipefail", "-c", &script]).current_dir(workspace()))?;
        let install = self.top().join("INSTALL");
        std::fs::write(&install, INSTALL).map_err(|error| format!("write {}: {error}", install.display()))
    }

    /// Those that it holds.
    pub fn programs(&self) -> Result<Vec<PathBuf>, String> {
        let bin = self.top().join("bin");
        let entries = std::fs::read_dir(&bin).map_err(|error| format!("read {}: {error}", bin.display()))?;
        Ok(entries.flatten().map(|entry| entry.path()).collect())
    }

    /// Expects that each page that was made is in one of the packages.
    pub fn check_pages(&self, made: &Path) -> Result<(), String> {
        let entries = std::fs::read_dir(made).map_err(|error| format!("read {}: {error}", made.display()))?;
        for page in entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()) {
            let section = page.rsplit('.').next().unwrap_or_default();
            if !self.top().join(format!("share/man/man{section}/{page}.gz")).exists() {
                return Err(format!("{page} is in no package: it belongs into the assets of a Cargo.toml"));
            }
        }
        Ok(())
    }

    /// Packs it. Names in order, one owner and one time: the same content is the same file.
    pub fn pack(&self) -> Result<(), String> {
        let time = format!("--mtime=@{}", self.time);
        let same = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mode=u+w,go-w", &time];
        let archive = self.folder.join(format!("{}.tar.gz", self.name));
        run(Command::new("tar").args(same).arg("-czf").arg(archive).arg("-C").arg(self.work.path()).arg(&self.name))
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let said = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let trouble = String::from_utf8_lossy(&said.stderr);
    if said.status.success() { Ok(()) } else { Err(format!("{command:?}: {}: {}", said.status, trouble.trim())) }
}
