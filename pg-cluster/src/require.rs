//! The programs of a version: there, missing, or installed from Debian's packages.

use crate::args::RequireArguments;
use pg_runbook::cluster::{self, debian, programs};
use pg_runbook::document::{Act, Change};
use pg_runbook::invocation::{Invocation, has_system_program, system_program};
use pg_runbook::{Failure, Run, owner};

const INSTALL: Act = Act { plain: "install", past: "installed" };

/// `pg-cluster require`
pub fn require(run: &mut Run, arguments: &RequireArguments) -> Result<(), Failure> {
    let told = run.document.primary.as_ref().and_then(|primary| primary.major);
    let major = arguments.pg_version.or(told).ok_or_else(|| {
        Failure::usage("which version is required?")
            .because("neither --pg-version nor a document's primary says it")
            .hint("pg-cluster require --pg-version 17")
    })?;
    let missing = missing_programs(major);
    if missing.is_empty() {
        run.fact("version", &programs::server_version(major)?);
        run.message(format!("the programs of PostgreSQL {major} are installed"));
        return Ok(());
    }
    if !arguments.install {
        return Err(Failure::failed(format!("PostgreSQL {major} lacks {}", missing.join(", ")))
            .hint(format!("sudo pg-cluster require --pg-version {major} --install")));
    }
    install(run, major)
}

/// The server's programs of this very major, the clients of this or a newer one.
fn missing_programs(major: u32) -> Vec<String> {
    let servers =
        ["postgres", "initdb", "pg_ctl"].into_iter().filter(|name| programs::find_server(major, name).is_none());
    let clients = ["psql", "pg_basebackup"].into_iter().filter(|name| programs::find_client(name, major).is_none());
    servers.chain(clients).map(str::to_owned).collect()
}

fn install(run: &mut Run, major: u32) -> Result<(), Failure> {
    let packages = [format!("postgresql-{major}"), format!("postgresql-client-{major}")];
    if !has_system_program("apt-get") {
        return Err(Failure::failed(format!("install PostgreSQL {major}"))
            .because("this host has no apt-get; only Debian's packages are installed from here")
            .hint("install it by this system's own means, then name its folder in PG_RUNBOOK_BINDIRS"));
    }
    if !run.check() {
        if !owner::started_by_root() {
            return Err(Failure::failed(format!("install {}", packages.join(" ")))
                .because("only root can install packages")
                .hint(format!("sudo pg-cluster require --pg-version {major} --install")));
        }
        let before = debian::list().known;
        fetch_and_install(&packages)?;
        let still = missing_programs(major);
        if !still.is_empty() {
            return Err(Failure::failed(format!(
                "{} are installed, and {} are still missing",
                packages.join(" and "),
                still.join(", ")
            )));
        }
        run.fact("version", &programs::server_version(major)?);
        for made in debian::list().known.iter().filter(|found| !before.iter().any(|known| known.is(found))) {
            let cluster::Cluster { port, .. } = made;
            run.warn(format!(
                "the package made and started the cluster {} on port {port}; if it isn't wanted: pg-cluster drop {}",
                made.title(),
                made.title()
            ));
        }
    }
    run.change(Change::act("package", packages.join(" "), INSTALL));
    run.message(format!(
        "the programs of PostgreSQL {major} {}",
        if run.check() { "would be installed" } else { "are installed now" }
    ));
    Ok(())
}

fn fetch_and_install(packages: &[String]) -> Result<(), Failure> {
    let apt_get = || -> Result<Invocation, Failure> {
        Ok(Invocation::new(system_program("apt-get")?).env("DEBIAN_FRONTEND", "noninteractive").arg("-qq").as_started())
    };
    apt_get()?.arg("update").run()?;
    apt_get()?.args(["install", "-y", "--no-install-recommends"]).args(packages).run().map_err(|failure| {
        failure
            .hint("if Debian does not have this version: see https://wiki.postgresql.org/wiki/Apt, and run this again")
    })?;
    Ok(())
}
