//! The ground the demo stands on: PostgreSQL's programs, our binaries, a folder, free ports, a password; and the
//! clearing of it.

use super::Outcome;
use pg_runbook::cluster::programs;
use pg_runbook::owner;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Everything that the demo uses.
pub struct Ground {
    pub folder: PathBuf,
    pub major: u32,
    pub primary_port: u16,
    pub standby_port: u16,
    path: std::ffi::OsString,
    user: Option<String>,
}

impl Ground {
    /// Gets what is missing, and makes the folder.
    pub fn prepare(no_install: bool) -> Outcome<Self> {
        let major = postgresql(no_install)?;
        let binaries = build()?;
        let user = owner::started_by_root().then(|| "postgres".to_owned());
        let folder = std::env::temp_dir().join(format!("pg-runbook-demo-{}", std::process::id()));
        std::fs::create_dir(&folder).map_err(|error| format!("make {}: {error}", folder.display()))?;
        let (primary_port, standby_port) = free_ports()?;
        let psql = programs::client("psql", major).map_err(|failure| failure.to_string())?.0;
        let path = [Some(binaries.as_path()), psql.parent()].into_iter().flatten().map(Path::to_owned);
        let usual = std::env::var_os("PATH").unwrap_or_default();
        let path =
            std::env::join_paths(path.chain(std::env::split_paths(&usual))).map_err(|error| error.to_string())?;
        let ground = Self { folder, major, primary_port, standby_port, path, user };
        ground.write_secret()?;
        ground.give(&ground.folder)?;
        println!("PostgreSQL {major}, in {}", ground.folder.display());
        Ok(ground)
    }

    /// A shell command in the demo's folder, with our tools in its path and none of libpq's variables.
    pub fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("bash");
        command
            .args(["-o", "pipefail", "-c", &self.as_user(script)])
            .current_dir(&self.folder)
            .env("PATH", &self.path)
            .stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command
    }

    /// psql and pgbench come in by peer authentication, so as root they are run as the servers' owner; our own tools
    /// change their identity themselves.
    fn as_user(&self, script: &str) -> String {
        match &self.user {
            Some(user) if script.starts_with("psql") || script.starts_with("pgbench") => {
                format!("exec setpriv --reuid={user} --regid={user} --init-groups {script}")
            }
            _ => script.to_owned(),
        }
    }

    /// psql's and pgbench's way to a server.
    pub fn place(&self, port: u16) -> String {
        format!("-h {} -p {port} postgres", self.sockets().display())
    }

    /// Debian's servers have their sockets here, others in /tmp.
    fn sockets(&self) -> PathBuf {
        let known =
            pg_runbook::cluster::at(&self.folder.join("primary")).ok().and_then(|cluster| cluster.socket_directory);
        known.unwrap_or_else(|| PathBuf::from("/var/run/postgresql"))
    }

    fn write_secret(&self) -> Outcome<()> {
        let secret = self.folder.join("secret");
        let say = |error: std::io::Error| format!("write {}: {error}", secret.display());
        let mut random = [0; 16];
        std::fs::File::open("/dev/urandom")
            .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut random))
            .map_err(say)?;
        let password = u128::from_ne_bytes(random);
        std::fs::write(&secret, format!("{password:032x}\n")).map_err(say)?;
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).map_err(say)
    }

    fn give(&self, path: &Path) -> Outcome<()> {
        let Some(user) = &self.user else { return Ok(()) };
        let owner = owner::Owner::named(user).ok().flatten().ok_or("this host has no user postgres")?;
        chown(path, Some(owner.uid.as_raw()), Some(owner.gid.as_raw()))
            .map_err(|error| format!("give {} to {user}: {error}", path.display()))
    }

    /// Stops the servers and removes the folder.
    pub fn clean_up(&self) {
        for name in ["standby", "primary"] {
            if self.folder.join(name).exists() {
                let stop = format!("pg-cluster stop -q -D {name} --mode immediate --no-input > /dev/null");
                // A server that never ran needs no stop.
                let _ = self.shell(&stop).status();
            }
        }
        match std::fs::remove_dir_all(&self.folder) {
            Ok(()) => println!("\nCleaned up: the servers are stopped, {} is gone.", self.folder.display()),
            Err(error) => println!("\nCould not remove {}: {error}", self.folder.display()),
        }
    }

    /// Says how to go on with servers that stay.
    pub fn leave(&self) {
        let become_user = self.user.as_ref().map(|user| format!("sudo -u {user} ")).unwrap_or_default();
        println!("\nThe servers stay, in {}:", self.folder.display());
        for (name, port) in [("primary", self.primary_port), ("standby", self.standby_port)] {
            println!("  {name}:  {become_user}psql {}", self.place(port));
        }
        println!(
            "To end them: pg-cluster stop -D {0}/standby; pg-cluster stop -D {0}/primary; rm -r {0}",
            self.folder.display()
        );
    }
}

/// Below the ports that the kernel gives to clients: one that asks a stopped server over and over would sooner or later
/// get the server's own port, and keep it from coming back.
fn free_ports() -> Outcome<(u16, u16)> {
    let mut free = (20_000..30_000).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().zip(free.next()).ok_or_else(|| "no two ports between 20000 and 30000 are free".into())
}

/// The newest PostgreSQL that has all it takes; Debian's packages where there is none.
fn postgresql(no_install: bool) -> Outcome<u32> {
    if let Some(major) = complete() {
        return Ok(major);
    }
    if no_install {
        return Err("no PostgreSQL server is installed, and --no-install forbids to get one".into());
    }
    if !owner::started_by_root() {
        return Err(
            "no PostgreSQL server is installed; as root the demo gets one: sudo apt-get install postgresql".into()
        );
    }
    println!("PostgreSQL is missing: installing Debian's packages postgresql and postgresql-contrib.");
    println!("(Debian starts an empty cluster with them; the demo does not touch it.)");
    for words in [&["-qq", "update"][..], &["-qq", "install", "-y", "postgresql", "postgresql-contrib"]] {
        let status = Command::new("apt-get").args(words).env("DEBIAN_FRONTEND", "noninteractive").status();
        if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
            return Err(format!("apt-get {} failed", words.join(" ")));
        }
    }
    complete().ok_or_else(|| "the packages are installed, and still no complete PostgreSQL is found".into())
}

fn complete() -> Option<u32> {
    programs::installed_majors().into_iter().find(|major| {
        let server = ["initdb", "pg_ctl"].iter().all(|name| programs::find_server(*major, name).is_some());
        server && ["psql", "pg_basebackup", "pgbench"].iter().all(|name| programs::find_client(name, *major).is_some())
    })
}

/// Our binaries, built now.
fn build() -> Outcome<PathBuf> {
    println!("Building the tools …");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--bins"])
        .status()
        .map_err(|error| format!("run cargo: {error}"))?;
    if !status.success() {
        return Err("the tools could not be built".into());
    }
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    own.parent().map(Path::to_owned).ok_or_else(|| "this program has no folder".into())
}
