//! Debian's `copyright`: the project's own licence, and those of all that the programs are linked with, statically.
//!
//! What must always hold: every crate that is linked is named, and the words of every licence are there, because most of
//! them have to come with a binary. What can't be answered for (a licence that nobody looked at, a NOTICE) stops the
//! packing. The same crates give the same bytes.

use super::read;
use crate::shell;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

struct Licence {
    spdx: &'static str,
    /// Debian's name of it.
    name: &'static str,
    /// How its text begins, under its title and the copyright.
    opening: &'static str,
}

/// What deny.toml allows of crates. Where a crate leaves the choice, those of the choice that are here are taken.
const LICENCES: [Licence; 6] = [
    Licence { spdx: "Apache-2.0", name: "Apache-2.0", opening: "Apache License Version 2.0, January 2004" },
    Licence {
        spdx: "BSD-3-Clause",
        name: "BSD-3-clause",
        opening: "Redistribution and use in source and binary forms, with or without modification, are permitted",
    },
    Licence {
        spdx: "ISC",
        name: "ISC",
        opening: "Permission to use, copy, modify, and/or distribute this software for any purpose",
    },
    Licence {
        spdx: "MIT",
        name: "Expat",
        opening: "Permission is hereby granted, free of charge, to any person obtaining a copy of this software",
    },
    Licence { spdx: "Unicode-3.0", name: "Unicode-3.0", opening: "UNICODE LICENSE V3" },
    Licence { spdx: "Zlib", name: "zlib", opening: "This software is provided 'as-is'," },
];

/// The one text that every Debian system has, and that lintian does not want a second time.
const APACHE: &str = "Apache-2.0";
const WHERE_APACHE_IS: &str = "\
    On Debian systems, the text of the Apache License, version 2.0, is in\n/usr/share/common-licenses/Apache-2.0.";

const HEAD: &str = "\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: pg-runbook
Comment:
 The programs are linked statically with crates of crates.io. Each is named
 here by the folder that \"cargo vendor --versioned-dirs\" puts its source in.
";

/// What no crate brings. Of LLVM's licence, an exception frees what gets into a binary by compiling.
const TOOLCHAIN: &str = "
Files: rust/library/*
Copyright: The Rust Project Developers (see https://thanks.rust-lang.org)
 1991-2024 Unicode, Inc.
License: Expat or Apache-2.0, and Unicode-3.0
Comment: Rust's standard library. The crates in it may be had under Expat too.

Files: zig/lib/compiler_rt/*
Copyright: Zig contributors
License: Expat
";

/// The five tools', as they are built for a target.
pub struct Copyright {
    own: String,
    parts: Vec<Part>,
    texts: BTreeMap<&'static str, String>,
}

/// A crate: where its source is, who has the rights, and on what terms.
struct Part {
    folder: String,
    holders: Vec<String>,
    licence: String,
}

impl Copyright {
    /// Of the project's `licence`, and of what the crates' own files say.
    pub fn of(licence: &str, target: &str) -> Result<Self, String> {
        let mut copyright = Self { own: own(licence), parts: Vec::new(), texts: BTreeMap::new() };
        for package in linked(target)? {
            copyright.add(&package)?;
        }
        let used = |name: &str| copyright.parts.iter().any(|part| part.licence.split([' ', ',']).any(|it| it == name));
        match LICENCES.iter().find(|it| used(it.name) && !copyright.texts.contains_key(it.name)) {
            Some(Licence { spdx, .. }) => Err(format!("no crate has the text of the licence {spdx}")),
            None => Ok(copyright),
        }
    }

    /// As Debian wants it.
    pub fn for_debian(&self) -> String {
        self.text(WHERE_APACHE_IS)
    }

    /// For systems that don't have Apache's licence anyway.
    pub fn in_full(&self) -> String {
        self.text(self.texts.get(APACHE).map_or("", String::as_str))
    }

    fn text(&self, apache: &str) -> String {
        let mut text = format!("{HEAD}\n{}{TOOLCHAIN}", self.own);
        for Part { folder, holders, licence } in &self.parts {
            let holders = holders.join("\n ");
            let _ = write!(text, "\nFiles: {folder}/*\nCopyright: {holders}\nLicense: {licence}\n");
        }
        for (name, words) in &self.texts {
            let words = indented(if *name == APACHE { apache } else { words });
            let _ = write!(text, "\nLicense: {name}\n{words}");
        }
        text
    }

    /// A crate. What it took over from others is under the licence that its Cargo.toml tells, too.
    fn add(&mut self, package: &Value) -> Result<(), String> {
        let field = |name: &str| package[name].as_str().unwrap_or_default();
        let folder = format!("vendor/{}-{}", field("name"), field("version"));
        let licence = in_debians_words(field("license")).ok_or_else(|| {
            format!("{folder} has a licence that was never looked at ({}): see deny.toml", field("license"))
        })?;
        let mut holders = BTreeSet::new();
        for file in legal_files(Path::new(field("manifest_path")).parent().unwrap_or(Path::new("/")))? {
            let text = read(&file)?;
            holders.extend(holders_in(&text));
            if let Some((name, words)) = licence_in(&text) {
                self.texts.entry(name).or_insert(words);
            }
        }
        if holders.is_empty() {
            let authors = package["authors"].as_array().into_iter().flatten().filter_map(Value::as_str);
            holders.extend(authors.map(str::to_owned));
        }
        if holders.is_empty() {
            holders.insert(format!("the authors of {}", field("name")));
        }
        self.parts.push(Part { folder, holders: holders.into_iter().collect(), licence });
        Ok(())
    }
}

/// The crates that are built into the tools, in order; not those that only the build needs.
fn linked(target: &str) -> Result<Vec<Value>, String> {
    // `cargo metadata` would have the features that the other members of the workspace want.
    let tree = shell::said(&format!(
        "cargo tree --locked --target {target} --edges normal,no-proc-macro --workspace --exclude xtask --exclude tests \
         --prefix none --format {{p}}"
    ))?;
    let metadata = shell::said(&format!("cargo metadata --locked --format-version 1 --filter-platform {target}"))?;
    let metadata: Value =
        serde_json::from_str(&metadata).map_err(|error| format!("what cargo metadata said: {error}"))?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata names no packages")?;
    // `tokio-postgres v0.7.18 (*)`; the workspace's own have their folder behind that.
    let names: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter(|line| !line.contains("(/"))
        .filter_map(|line| line.split_once(" v"))
        .map(|(name, version)| (name, version.split(' ').next().unwrap_or_default()))
        .collect();
    let found = names.iter().map(|(name, version)| {
        let found = packages.iter().find(|package| package["name"] == *name && package["version"] == *version);
        found.cloned().ok_or_else(|| format!("cargo metadata doesn't know {name} {version}"))
    });
    found.collect()
}

/// A crate's files that are about who has the rights, in order.
fn legal_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("read {}: {error}", folder.display()))?;
    let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    let mut files = Vec::new();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            files.extend(legal_files(&path)?);
        } else if name.starts_with("NOTICE") {
            return Err(format!("{} has to come with the programs, which nothing does yet", path.display()));
        } else if ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT"].iter().any(|start| name.starts_with(start)) {
            files.push(path);
        }
    }
    Ok(files)
}

/// `LICENSE` as the paragraph of all files: who has the rights, and the text.
fn own(licence: &str) -> String {
    let (_, rest) = licence.split_once("Copyright (c) ").unwrap_or(("", licence));
    let (whose, words) = rest.split_once('\n').unwrap_or((rest, ""));
    let words = indented(words.trim_start());
    format!("Files: *\nCopyright: {whose}\nLicense: {}\n{words}", env!("CARGO_PKG_LICENSE"))
}

fn indented(text: &str) -> String {
    let lines = text.trim_end().lines().map(str::trim_end);
    lines.map(|line| if line.is_empty() { " .\n".to_owned() } else { format!(" {line}\n") }).collect()
}

/// Cargo's expression of licences in Debian's: those of a choice that we know, and all that go together.
fn in_debians_words(expression: &str) -> Option<String> {
    let together: Vec<&str> = expression.split(" AND ").collect();
    let mut parts = Vec::new();
    for part in &together {
        let bare = part.strip_prefix('(').and_then(|part| part.strip_suffix(')'));
        let is_choice = part.contains(" OR ") || part.contains('/');
        if bare.unwrap_or(part).contains(['(', ')']) || (is_choice && bare.is_none() && together.len() > 1) {
            return None;
        }
        let choice = bare.unwrap_or(part).split(" OR ").flat_map(|names| names.split('/'));
        let known = choice.filter_map(|spdx| LICENCES.iter().find(|licence| licence.spdx == spdx));
        parts.push(known.map(|licence| licence.name).collect::<Vec<_>>().join(" or "));
    }
    let and = if parts.iter().any(|part| part.contains(" or ")) { ", and " } else { " and " };
    (!parts.contains(&String::new())).then(|| parts.join(and))
}

/// The licence that a file has the text of, and that text without what stands above it.
fn licence_in(file: &str) -> Option<(&'static str, String)> {
    let lines: Vec<&str> = file.lines().collect();
    let mut starts = (0..lines.len()).filter(|start| !lines[*start].trim().is_empty());
    starts.find_map(|start| {
        let text = lines[start..].join("\n");
        let words = text.split_whitespace().take(20).collect::<Vec<_>>().join(" ");
        let licence = LICENCES.iter().find(|licence| words.starts_with(licence.opening))?;
        Some((licence.name, text))
    })
}

/// Whom a file names: `(c) 2016 Steven Fackler`. A form to be filled in names nobody.
fn holders_in(file: &str) -> impl Iterator<Item = String> {
    let lines = file.lines().map(|line| line.trim_start_matches([' ', '\t', '/', '*', '#']).trim_end());
    let notices = lines.filter_map(|line| line.strip_prefix("Copyright "));
    notices.filter(|whose| !whose.starts_with(|c: char| "[{".contains(c) || c.is_lowercase())).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_licence_is_one_paragraph_of_fields() {
        let licence = "PostgreSQL License\n\nCopyright (c) 2026, somebody\n\nYou may.\n\nWe don't.\n";
        let fields = "Files: *\nCopyright: 2026, somebody\nLicense: PostgreSQL\n You may.\n .\n We don't.\n";
        assert_eq!(own(licence), fields);
    }

    #[test]
    fn cargos_licences_are_told_in_debians_words() {
        for (cargos, debians) in [
            ("MIT", Some("Expat")),
            ("MIT/Apache-2.0", Some("Expat or Apache-2.0")),
            ("Unlicense OR MIT", Some("Expat")),
            ("Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT", Some("Apache-2.0 or Expat")),
            ("Apache-2.0 AND ISC", Some("Apache-2.0 and ISC")),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", Some("Expat or Apache-2.0, and Unicode-3.0")),
            ("MIT OR Apache-2.0 AND ISC", None),
            ("(MIT AND ISC) OR Zlib", None),
            ("MIT AND GPL-3.0-only", None),
            ("GPL-3.0-only", None),
            ("", None),
        ] {
            assert_eq!(in_debians_words(cargos).as_deref(), debians, "{cargos}");
        }
    }

    #[test]
    fn no_licence_is_known_that_the_project_does_not_allow() {
        let allowed = include_str!("../../../deny.toml").lines().find(|line| line.starts_with("allow = ")).unwrap();
        for Licence { spdx, .. } in LICENCES {
            assert!(allowed.contains(&format!("\"{spdx}\"")), "{spdx} is not in deny.toml");
        }
    }

    #[test]
    fn a_text_is_known_however_its_lines_are_broken_and_whoever_has_the_rights() {
        let file = "The MIT License (MIT)\n\nCopyright (c) 2016 Ada\r\n// Copyright 2017 Bob.\n\nPermission is hereby\n granted, free of \
                    charge, to any person obtaining a copy of this\nsoftware and more\n";
        let (name, text) = licence_in(file).unwrap();
        assert!(name == "Expat" && text.starts_with("Permission") && text.ends_with("and more"), "{name}: {text}");
        assert_eq!(holders_in(file).collect::<Vec<_>>(), ["(c) 2016 Ada", "2017 Bob."]);
        let form = "   Copyright [yyyy] [name of copyright owner]\ncopyright license to\nCopyright notice\n";
        assert!(licence_in(form).is_none() && holders_in(form).next().is_none());
    }

    #[test]
    fn every_crate_that_is_linked_is_told_with_its_licence() {
        let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let copyright = Copyright::of("Copyright (c) 2026, somebody\n\nYou may.\n", &target).unwrap();
        let licence = |name: &str| {
            let start = format!("vendor/{name}-");
            let part = copyright.parts.iter().find(|part| part.folder.starts_with(&start));
            part.map(|part| (part.holders.join(", "), part.licence.clone()))
        };
        let told = |holders: &str, licence: &str| Some((holders.to_owned(), licence.to_owned()));
        assert_eq!(licence("tokio-postgres"), told("(c) 2016 Steven Fackler", "Expat or Apache-2.0"));
        assert!(licence("ring").is_some_and(|(_, licence)| licence == "Apache-2.0 and ISC"));
        for (build_or_test, what) in [("syn", "a macro's"), ("cc", "a build's"), ("testcontainers", "a test's")] {
            assert_eq!(licence(build_or_test), None, "{build_or_test} is {what}");
        }
        let (debian, full) = (copyright.for_debian(), copyright.in_full());
        assert!(
            debian.contains("/usr/share/common-licenses/Apache-2.0") && !debian.contains("END OF TERMS"),
            "{debian}"
        );
        assert!(full.contains("END OF TERMS") && !full.contains("common-licenses"), "{full}");
    }
}
