//! A folder of its own for each test, and the binary run in it as whoever runs the tests.
#![allow(dead_code)] // each test program uses a part of it

#[path = "../../../tests/src/schema.rs"]
mod schema;

use assert_cmd::Command;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Output;

/// The password that tests set; `old-secret` is the other that must never be shown.
pub const PASSWORD: &str = "swordfish";

pub struct Scene {
    folder: tempfile::TempDir,
    owner: String,
}

impl Scene {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("password"), format!("{PASSWORD}\n")).unwrap();
        Self { folder, owner: pg_runbook::owner::Owner::starter().unwrap().name }
    }

    pub fn with(lines: &str) -> Self {
        let scene = Self::new();
        fs::write(scene.passfile(), lines).unwrap();
        fs::set_permissions(scene.passfile(), fs::Permissions::from_mode(0o600)).unwrap();
        scene
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The owner's own, because no option names another.
    pub fn passfile(&self) -> PathBuf {
        self.folder().join(".pgpass")
    }

    pub fn text(&self) -> String {
        fs::read_to_string(self.passfile()).unwrap()
    }

    pub fn mode(&self) -> u32 {
        fs::metadata(self.passfile()).unwrap().mode() & 0o7777
    }

    pub fn command(&self) -> Command {
        let mut command = assert_cmd::cargo::cargo_bin_cmd!("pg-pass");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        command.env("HOME", self.folder());
        command
    }

    pub fn arguments(&self, verb: &str, arguments: &[&str]) -> Vec<String> {
        let mut words = vec![verb, "--owner", &self.owner];
        let file = self.folder().join("password").display().to_string();
        if verb == "set" {
            words.extend(["--password-file", &file]);
        }
        words.extend(arguments);
        words.into_iter().map(str::to_owned).collect()
    }

    pub fn run(&self, verb: &str, arguments: &[&str]) -> Output {
        self.run_with_input(verb, &[arguments, &["--no-input"]].concat(), "")
    }

    pub fn run_with_input(&self, verb: &str, arguments: &[&str], input: &str) -> Output {
        let output = self.command().args(self.arguments(verb, arguments)).write_stdin(input).output().unwrap();
        let written = [&output.stdout[..], &output.stderr].concat();
        let written = String::from_utf8_lossy(&written);
        assert!(!written.contains(PASSWORD) && !written.contains("old-secret"), "{written}");
        output
    }

    /// The document of a run that must go well.
    pub fn ok(&self, verb: &str, arguments: &[&str]) -> Value {
        Self::document(&self.run(verb, arguments), 0)
    }

    pub fn ok_with_input(&self, verb: &str, arguments: &[&str], input: &str) -> Value {
        Self::document(&self.run_with_input(verb, arguments, input), 0)
    }

    /// The document of a run that must fail with this code, and say how to go on.
    pub fn fails(&self, code: i32, verb: &str, arguments: &[&str]) -> Value {
        let document = Self::document(&self.run(verb, arguments), code);
        assert_eq!(document["failed"], true);
        assert_eq!(document["error"]["code"], code);
        document
    }

    pub fn document(output: &Output, code: i32) -> Value {
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        let document = serde_json::from_slice(&output.stdout).unwrap();
        schema::expect_described(&document, "pg-pass");
        document
    }
}
