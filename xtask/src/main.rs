//! The project's own chores: see `cargo xtask --help`.

#![allow(clippy::disallowed_methods, clippy::disallowed_macros)] // It stands outside the tools' doors: it builds and shows them.

mod ansible;
mod bench;
mod clients;
mod demo;
mod dist;
mod docs;
mod fuzz;
mod ground;
mod image;
mod materials;
mod picture;
mod selection;
mod servers;
mod shell;
mod test;
mod verdict;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The project's own chores
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Set up what is missing, and run everything that can be run
    Test(test::Arguments),
    /// Show the whole runbook on throwaway servers
    Demo(demo::Arguments),
    /// Print what the tools cost, as ratios
    Bench(bench::Arguments),
    /// Read files of ever new bytes, until one is lost (needs cargo-fuzz and a nightly toolchain)
    Fuzz(fuzz::Arguments),
    /// Build the images that the end-to-end tests make their hosts of
    Image(image::Arguments),
    /// Make Debian packages and a tarball, in target/dist
    Dist,
    /// Make the JSON Schema, man pages and completions
    Docs(docs::Arguments),
    /// Draw README's picture anew: a terminal session on three hosts
    Picture,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().chore {
        // Its last line is for programs, so nothing is said after it.
        Chore::Test(arguments) => return test::run(&arguments),
        Chore::Demo(arguments) => demo::run(&arguments),
        Chore::Bench(arguments) => bench::run(&arguments),
        Chore::Fuzz(arguments) => fuzz::run(&arguments),
        Chore::Image(arguments) => image::run(&arguments),
        Chore::Dist => dist::run(),
        Chore::Docs(arguments) => docs::run(&arguments),
        Chore::Picture => picture::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("error: {trouble}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_sound() {
        <super::Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
