//! The ground that throwaway servers stand on: PostgreSQL's programs, our binaries, a folder, free ports, a password; and
//! the clearing of it.
//!
//! What must always hold: everything lives in one folder, and is stopped and gone when the ground is dropped, also by a
//! panic, unless it was left on purpose; no server of this machine is touched.

use crate::materials::Materials;
use pg_runbook::cluster::programs;
use pg_runbook::{owner, signals};
use std::ffi::OsString;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub type Outcome<T> = Result<T, String>;

/// Everything that throwaway servers use.
pub struct Ground {
    pub folder: PathBuf,
    pub major: u32,
    pub primary_port: u16,
    pub standby_port: u16,
    path: OsString,
    user: Option<String>,
    stays: bool,
}

/// A command that goes on until it is dropped.
pub struct Background(Child);

impl Ground {
    /// Makes the folder, as `parent/pg-runbook-PURPOSE-PID`.
    pub fn make(materials: &Materials, parent: &Path, purpose: &str) -> Outcome<Self> {
        let folder = parent.join(format!("pg-runbook-{purpose}-{}", std::process::id()));
        let (primary_port, standby_port) = free_ports()?;
        let path = search_path(materials)?;
        let user = owner::started_by_root().then(|| "postgres".to_owned());
        std::fs::create_dir(&folder).map_err(|error| format!("make {}: {error}", folder.display()))?;
        let ground = Self { folder, major: materials.major, primary_port, standby_port, path, user, stays: false };
        ground.write_secret()?;
        ground.give(&ground.folder)?;
        println!("PostgreSQL {}, in {}", ground.major, ground.folder.display());
        Ok(ground)
    }

    /// A shell command in this folder, with our tools in its path and none of libpq's variables.
    pub fn shell(&self, script: &str) -> Command {
        self.bash(Command::new("bash"), &self.as_user(script))
    }

    /// The same with the rights of the servers' owner, which PostgreSQL's own programs ask for.
    pub fn owners_shell(&self, script: &str) -> Command {
        let Some(user) = &self.user else { return self.shell(script) };
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--init-groups", "bash"]);
        self.bash(command, script)
    }

    fn bash(&self, mut command: Command, script: &str) -> Command {
        command
            .args(["-o", "pipefail", "-c", script])
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

    /// Starts what goes on until it is dropped.
    pub fn background(&self, script: &str) -> Outcome<Background> {
        let child = self.shell(script).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        child.map(Background).map_err(|error| format!("start {script:?}: {error}"))
    }

    /// psql's and pgbench's way to a server.
    pub fn place(&self, port: u16) -> String {
        format!("-h {} -p {port} postgres", self.sockets().display())
    }

    /// Debian's servers have their sockets here, others in /tmp.
    pub fn sockets(&self) -> PathBuf {
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

    /// Whose the servers are.
    pub fn owner(&self) -> Outcome<String> {
        let starter = || owner::Owner::starter().map(|owner| owner.name).map_err(|failure| failure.to_string());
        self.user.clone().map_or_else(starter, Ok)
    }

    /// Leaves the servers, and says how to go on with them.
    pub fn leave(mut self) {
        self.stays = true;
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

impl Drop for Ground {
    fn drop(&mut self) {
        if self.stays {
            return;
        }
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
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Goes on, or fails because somebody asked for an end.
pub fn refuse_after_a_signal() -> Outcome<()> {
    signals::arrived().map_or(Ok(()), |signal| Err(format!("{signal} arrived")))
}

/// Our tools, the clients' programs and the server's, before what there is anyway.
fn search_path(materials: &Materials) -> Outcome<OsString> {
    let psql = programs::client("psql", materials.major).map_err(|failure| failure.to_string())?.0;
    let server = programs::server(materials.major, "pg_ctl").map_err(|failure| failure.to_string())?;
    let ours = [Some(materials.binaries.as_path()), psql.parent(), server.parent()];
    let usual = std::env::var_os("PATH").unwrap_or_default();
    let all = ours.into_iter().flatten().map(Path::to_owned).chain(std::env::split_paths(&usual));
    std::env::join_paths(all).map_err(|error| error.to_string())
}

/// Below the ports that the kernel gives to clients: one that asks a stopped server over and over would sooner or later
/// get the server's own port, and keep it from coming back.
/// Beginning elsewhere in each process, because a server that is down for a while doesn't hold its port.
fn free_ports() -> Outcome<(u16, u16)> {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap_or_default();
    let ports = (first..30_000).chain(20_000..first);
    let mut free = ports.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.next().zip(free.next()).ok_or_else(|| "no two ports between 20000 and 30000 are free".into())
}
