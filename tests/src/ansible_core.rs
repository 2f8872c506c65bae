//! Ansible itself, in the versions that Debian's releases have: each in a virtual environment, made once for a machine.
//!
//! What must always hold: a test never fetches, the set-up of `cargo xtask test` does, and says so first.

use crate::servers::{fill, place, run};
use std::path::PathBuf;
use std::process::Command;

/// One version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnsibleCore {
    /// As PyPI names it.
    pub version: &'static str,
    /// The release of Debian that has it.
    pub suite: &'static str,
}

/// Those that the collection is tested with.
pub const ANSIBLE_CORES: [AnsibleCore; 2] =
    [AnsibleCore { version: "2.14.18", suite: "bookworm" }, AnsibleCore { version: "2.19.14", suite: "trixie" }];

impl AnsibleCore {
    /// The one of a release of Debian.
    pub fn of(suite: &str) -> Self {
        ANSIBLE_CORES.into_iter().find(|core| core.suite == suite).expect("each suite has one")
    }

    /// Where its programs are.
    pub fn bin(&self) -> PathBuf {
        self.place().join("bin")
    }

    /// Whether it is there.
    pub fn exists(&self) -> bool {
        self.bin().join("ansible-playbook").exists()
    }

    fn place(&self) -> PathBuf {
        place(("ansible-core", self.version))
    }

    /// Gets it from PyPI. Its programs find their Python by `$PATH`, for the environment is moved once it is whole.
    pub fn fetch(&self) -> Result<(), String> {
        fill(&self.place(), |folder| {
            run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
            let package = format!("ansible-core=={}", self.version);
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", &package];
            run(Command::new(folder.join("bin/python3")).args(pip))?;
            let programs = "sed -i '1s|^#!.*python.*|#!/usr/bin/env python3|' \"$0\"/bin/ansible*";
            run(Command::new("sh").args(["-c", programs]).arg(folder))
        })
    }
}
