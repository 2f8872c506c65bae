//! The binary: see the library for what this stage is.

fn main() -> std::process::ExitCode {
    pg_runbook::cli::main::<pg_conf::Arguments>()
}
