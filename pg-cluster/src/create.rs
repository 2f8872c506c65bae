//! A new cluster with nothing in it, by Debian's tools or by initdb.
//!
//! What must always hold: nothing that exists is written over; the same command again changes nothing.

use crate::args::{CreateArguments, LayoutName};
use pg_runbook::cluster::{self, Cluster, Layout, Role, State, debian, host, plain, programs};
use pg_runbook::configuration::ConfFile;
use pg_runbook::document::{Act, Change};
use pg_runbook::invocation::{Invocation, shell_word};
use pg_runbook::owner::{self, Owner};
use pg_runbook::{Attempt, Code, Failure, Level, Run, durable_file};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const CREATE: Act = Act { plain: "create", past: "created" };

/// What is to be made; complete, so that making it asks nothing more.
struct Plan {
    cluster: Cluster,
    owner: Owner,
    locale: Option<String>,
}

/// `pg-cluster create`
pub fn create(run: &mut Run, arguments: &CreateArguments) -> Result<(), Failure> {
    let plan = match (&arguments.new_cluster, arguments.layout) {
        (Some(name), None | Some(LayoutName::Debian)) => plan_debian(run, arguments, name)?,
        (None, Some(LayoutName::Debian)) => {
            return Err(Failure::usage("which cluster is to be made?").hint("pg-cluster create 17/replica"));
        }
        _ => plan_plain(run, arguments)?,
    };
    let Plan { cluster, .. } = &plan;
    refuse_another_major(run, cluster)?;
    if cluster.state != State::Absent {
        return exists(run, arguments, cluster);
    }
    refuse_a_taken_port(cluster)?;
    if run.check() {
        run.document.cluster = Some(plan.cluster.clone());
    } else if let Some(others) = make(run, arguments, &plan)? {
        return exists(run, arguments, &others);
    }
    run.change(Change::act("cluster", plan.cluster.title(), CREATE).at(&plan.cluster.data_directory, None));
    run.need(Level::Start, &plan.cluster.title());
    let made = if run.check() { "would be created" } else { "is created, and down" };
    run.message(format!("{} {made} (port {})", plan.cluster.title(), plan.cluster.port));
    Ok(())
}

fn exists(run: &mut Run, arguments: &CreateArguments, cluster: &Cluster) -> Result<(), Failure> {
    if let Some(port) = arguments.port.filter(|port| *port != cluster.port) {
        return Err(Failure::refused(format!("{} exists with port {}, not {port}", cluster.title(), cluster.port))
            .hint(format!("pg-conf set {} port={port} | pg-cluster restart", cluster.option())));
    }
    owner::act_as(&cluster.owner()?)?;
    run.set_cluster(cluster);
    run.message(format!("{} already exists (port {})", cluster.title(), cluster.port));
    Ok(())
}

fn refuse_another_major(run: &Run, cluster: &Cluster) -> Result<(), Failure> {
    match run.document.primary.as_ref().and_then(|primary| primary.major) {
        Some(major) if major != cluster.major => {
            let name =
                cluster.name.as_ref().map_or_else(|| format!("--pg-version {major}"), |name| format!("{major}/{name}"));
            Err(Failure::refused(format!(
                "the primary runs PostgreSQL {major}; a standby in version {} can't follow it",
                cluster.major
            ))
            .hint(format!("pg-cluster create {name}")))
        }
        _ => Ok(()),
    }
}

fn plan_debian(run: &Run, arguments: &CreateArguments, name: &str) -> Result<Plan, Failure> {
    let (major, short) = cluster::split_name(name)?;
    if short.contains('-') {
        return Err(Failure::usage(format!("{short:?} can't be a cluster's name"))
            .because("Debian's tools take a dash as the end of the version"));
    }
    let owner = Owner::named(arguments.owner.as_deref().unwrap_or("postgres"))?.ok_or_else(|| no_user(arguments))?;
    let locale = arguments.locale.clone();
    if let Some(cluster) = debian::find(major, short)? {
        return Ok(Plan { cluster, owner, locale });
    }
    if !debian::is_installed() {
        return Err(Failure::failed(format!("create {name}"))
            .because("this host has no pg_createcluster (postgresql-common)")
            .hint(format!(
                "pg-cluster require --pg-version {major} --install, or: pg-cluster create --layout plain -D DIRECTORY"
            )));
    }
    programs::server(major, "initdb")?;
    let configuration = debian::configuration_root().join(major.to_string()).join(short);
    let usual = debian::usual_data_directory(major, short);
    let port = arguments.port.map_or_else(next_free_port, Ok)?;
    let cluster = Cluster {
        name: Some(short.to_owned()),
        layout: Layout::Debian,
        config_file: configuration.join("postgresql.conf"),
        hba_file: configuration.join("pg_hba.conf"),
        ..planned(major, run.common.pgdata.clone().unwrap_or(usual), port, &owner)
    };
    Ok(Plan { cluster, owner, locale })
}

fn plan_plain(run: &mut Run, arguments: &CreateArguments) -> Result<Plan, Failure> {
    let given =
        run.common.pgdata.clone().or_else(|| std::env::var_os("PGDATA").map(PathBuf::from)).ok_or_else(|| {
            Failure::usage("where is the cluster to be made?")
                .hint("pg-cluster create --layout plain -D DIRECTORY, or: pg-cluster create 17/replica")
        })?;
    let folder = std::path::absolute(&given).attempt(|| format!("find the folder {given:?}"))?;
    let owner = plain_owner(arguments)?;
    let locale = Some(arguments.locale.clone().unwrap_or_else(|| "C.UTF-8".into()));
    if std::fs::read_dir(&folder).is_ok() {
        // Another run may be in the middle of making it.
        run.lock_folder(&folder)?;
    }
    if let Some(cluster) = owner::as_started(|| existing_plain(&folder))? {
        return Ok(Plan { owner: cluster.owner()?, cluster, locale });
    }
    let told = run.document.primary.as_ref().and_then(|primary| primary.major);
    let major =
        arguments.pg_version.or(told).or_else(|| programs::installed_majors().first().copied()).ok_or_else(|| {
            Failure::failed("find a PostgreSQL server").hint("pg-cluster require --pg-version 17 --install")
        })?;
    programs::server(major, "initdb")?;
    Ok(Plan { cluster: planned(major, folder, arguments.port.unwrap_or(5432), &owner), owner, locale })
}

fn plain_owner(arguments: &CreateArguments) -> Result<Owner, Failure> {
    if !owner::started_by_root() {
        return Owner::starter();
    }
    Owner::named(arguments.owner.as_deref().unwrap_or("postgres"))?.ok_or_else(|| no_user(arguments))
}

fn no_user(arguments: &CreateArguments) -> Failure {
    let name = arguments.owner.as_deref().unwrap_or("postgres");
    Failure::usage(format!("this host has no user {name:?} to own the cluster")).hint("name one: --owner USER")
}

/// A data directory is found, an empty folder is none yet, anything else is not ours to fill.
fn existing_plain(folder: &Path) -> Result<Option<Cluster>, Failure> {
    plain::refuse_one_aside(folder)?;
    if folder.join("PG_VERSION").exists() {
        return cluster::at(folder).map(Some);
    }
    let holds_something = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if holds_something {
        return Err(Failure::refused(format!("{} is not empty, and not a data directory", folder.display()))
            .hint("name another folder, or empty this one yourself"));
    }
    Ok(None)
}

fn planned(major: u32, data_directory: PathBuf, port: u16, owner: &Owner) -> Cluster {
    Cluster {
        host_id: host::id(),
        version: None,
        major,
        name: None,
        layout: Layout::Plain,
        config_file: data_directory.join("postgresql.conf"),
        hba_file: data_directory.join("pg_hba.conf"),
        data_directory,
        port,
        socket_directory: None,
        owner: owner.name.clone(),
        service: None,
        system_identifier: None,
        state: State::Absent,
        role: Some(Role::Primary),
        rest: serde_json::Map::new(),
    }
}

fn next_free_port() -> Result<u16, Failure> {
    let clusters = debian::list();
    if let Some(unreadable) = clusters.unreadable.into_iter().next() {
        let title = unreadable.title();
        return Err(Failure { code: Code::Refused, hint: Some("name one: -p PORT".into()), ..unreadable.failure }
            .while_doing(format!("which port {title} has can't be told, so the next one may be its own")));
    }
    let taken: Vec<u16> = clusters.known.iter().map(|known| known.port).collect();
    (5432..6000)
        .find(|port| !taken.contains(port) && is_free(*port))
        .ok_or_else(|| Failure::failed("find a free port between 5432 and 5999").hint("name one: -p PORT"))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

fn refuse_a_taken_port(cluster: &Cluster) -> Result<(), Failure> {
    let holder = cluster::list().known.into_iter().find(|known| known.port == cluster.port);
    let taken = match holder {
        Some(known) => format!("port {} belongs to {}", cluster.port, known.title()),
        None if !is_free(cluster.port) => format!("something already listens on port {}", cluster.port),
        None => return Ok(()),
    };
    Err(Failure::refused(format!("{} can't be made: {taken}", cluster.title())).hint("choose another: -p PORT"))
}

/// Makes it; gives back the cluster that another run made in the meantime, if one did.
fn make(run: &mut Run, arguments: &CreateArguments, plan: &Plan) -> Result<Option<Cluster>, Failure> {
    match plan.cluster.layout {
        Layout::Debian => make_debian(run, arguments, plan)?,
        Layout::Plain => {
            owner::act_as(&plan.owner)?;
            make_folder(plan)?;
            run.lock_folder(&plan.cluster.data_directory)?;
            if let Some(others) = existing_plain(&plan.cluster.data_directory)? {
                return Ok(Some(others));
            }
            make_plain(arguments, plan)?;
        }
    }
    let made = match &plan.cluster.name {
        Some(name) => cluster::named(&format!("{}/{name}", plan.cluster.major))?,
        None => plain::at(&plan.cluster.data_directory)?,
    };
    owner::act_as(&made.owner()?)?;
    let mut made = made;
    made.refresh();
    run.set_cluster(&made);
    Ok(None)
}

fn make_debian(run: &Run, arguments: &CreateArguments, plan: &Plan) -> Result<(), Failure> {
    let cluster = &plan.cluster;
    let mut invocation = Invocation::new("/usr/bin/pg_createcluster")
        .args(["--port", &cluster.port.to_string(), "--user", &plan.owner.name, "--encoding", &arguments.encoding])
        .as_started();
    // For a folder that is named to it, it makes the parents root's; its own are the owner's, as a swap needs them.
    if run.common.pgdata.is_some() {
        invocation = invocation.arg("--datadir").arg(&cluster.data_directory);
    }
    if let Some(locale) = &plan.locale {
        invocation = invocation.args(["--locale", locale]);
    }
    invocation = invocation.arg(cluster.major.to_string()).arg(cluster.name.as_deref().unwrap_or_default());
    let mut passed: Vec<std::ffi::OsString> = Vec::new();
    if arguments.data_checksums {
        passed.push("--data-checksums".into());
    }
    if let Some(folder) = &arguments.waldir {
        passed.extend(["--waldir".into(), folder.clone().into_os_string()]);
    }
    if !passed.is_empty() {
        invocation = invocation.arg("--").args(passed);
    }
    invocation.run().map(drop)
}

/// Folders that are made on the way belong to the cluster's owner, who stages copies there later. What root finds there
/// is given to the owner only where nobody else can change what the path means.
fn make_folder(plan: &Plan) -> Result<(), Failure> {
    let folder = &plan.cluster.data_directory;
    let missing: Vec<&Path> = folder.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
    for made in missing.iter().rev() {
        durable_file::make_owners_folder(made)?;
    }
    let found = std::fs::metadata(folder).attempt(|| format!("look at {folder:?}"))?;
    if !owner::started_by_root() || found.uid() == plan.owner.uid.as_raw() {
        return Ok(());
    }
    let denied = Failure::refused(format!("{folder:?} belongs to another user than {}", plan.owner.name));
    let word = shell_word(folder.as_os_str());
    let given = durable_file::in_the_owners_stead(folder, denied, || {
        let real = std::fs::canonicalize(folder).attempt(|| format!("find the folder {folder:?}"))?;
        durable_file::give_to_owner(&real)
    });
    given.map_err(|failure| failure.hint(format!("if it is meant: chown {}: {word}", plan.owner.name)))
}

fn make_plain(arguments: &CreateArguments, plan: &Plan) -> Result<(), Failure> {
    let folder = &plan.cluster.data_directory;
    let mut invocation = Invocation::new(programs::server(plan.cluster.major, "initdb")?)
        .args(["--encoding", &arguments.encoding, "--username", &plan.owner.name])
        .args(["--auth-local=peer", "--auth-host=scram-sha-256", "--pgdata"])
        .arg(folder);
    if let Some(locale) = &plan.locale {
        invocation = invocation.args(["--locale", locale]);
    }
    if arguments.data_checksums {
        invocation = invocation.arg("--data-checksums");
    }
    if let Some(waldir) = &arguments.waldir {
        invocation = invocation.arg("--waldir").arg(waldir);
    }
    invocation.run()?;
    let path = folder.join("postgresql.conf");
    let mut file = ConfFile::parse(&durable_file::read(&path)?.unwrap_or_default());
    file.insert("port", &plan.cluster.port.to_string())?;
    if let Some(sockets) = socket_directory(arguments, &plan.cluster)? {
        file.insert("unix_socket_directories", &sockets.display().to_string())?;
    }
    durable_file::replace(&path, &file.to_bytes(), 0o600).map(drop)
}

/// Debian's servers put their sockets where only postgres may write; anybody else's go where upstream's do.
fn socket_directory(arguments: &CreateArguments, cluster: &Cluster) -> Result<Option<PathBuf>, Failure> {
    if arguments.socket_directory.is_some() {
        return Ok(arguments.socket_directory.clone());
    }
    let postgres = Invocation::new(programs::server(cluster.major, "postgres")?);
    let said = postgres.args(["-C", "unix_socket_directories", "-D"]).arg(&cluster.data_directory).run()?.stdout;
    let usual = PathBuf::from(said.split(',').next().unwrap_or_default().trim());
    Ok(if owner::may_write(&usual) { None } else { Some(PathBuf::from("/tmp")) })
}
