//! The image that hosts are made of: Debian with systemd, its PostgreSQL, sudo and sshd.
//!
//! What must always hold: an image is named by its recipe, so that a changed recipe makes another one; all are labelled,
//! and those of earlier recipes are removed when a new one is built.

use crate::hosts::docker::Docker;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::process::{Command, Stdio};

const REPOSITORY: &str = "pg-runbook-host";
const IMAGE_LABEL: &str = "org.pg-runbook.host-image";

/// A release of Debian, with the PostgreSQL that it ships.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Its name.
    pub name: &'static str,
    /// The major version of its PostgreSQL.
    pub major: u32,
}

/// Those that hosts are made of.
pub const SUITES: [Suite; 2] = [Suite { name: "bookworm", major: 15 }, Suite { name: "trixie", major: 17 }];

/// The oldest that packages are for. What is built here for tests asks for a newer C library than it has.
pub const OLDEST: Suite = Suite { name: "bullseye", major: 13 };

/// nftables cuts a host off; iproute2 has `ip` and `tc`. Ansible wants python3 for what is asynchronous, and acl to become
/// one user from another. pass, with gnupg, is a password manager whose command the tools are given.
const PACKAGES: &str = "systemd systemd-sysv dbus postgresql postgresql-common sudo openssh-server openssh-client \
    ca-certificates openssl iproute2 nftables procps less make python3 acl pass gnupg";

/// What is done once the packages are in. Two administrators: one who may become anybody, one who may only become
/// postgres. Each host makes its machine-id and its clusters by itself: two hosts of one image share neither.
const SET_UP: &str = r#"set -eu
for cluster in $(pg_lsclusters -h | awk '{ print $1 "/" $2 }'); do pg_dropcluster "${cluster%/*}" "${cluster#*/}"; done
useradd --create-home --shell /bin/bash admin
useradd --create-home --shell /bin/bash dba
echo 'admin ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/admin
echo 'dba ALL=(postgres) NOPASSWD: ALL' > /etc/sudoers.d/dba
chmod 440 /etc/sudoers.d/*
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
    systemd-udevd.service systemd-logind.service console-getty.service getty.target; do
  ln -sf /dev/null "/etc/systemd/system/$unit"
done
: > /etc/machine-id
rm -f /var/lib/dbus/machine-id
apt-get clean
rm -rf /var/lib/apt/lists/*
"#;

/// An image for one suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostImage {
    /// Its suite.
    pub suite: Suite,
}

impl HostImage {
    /// The image of a suite.
    pub fn of(suite: Suite) -> Self {
        Self { suite }
    }

    /// The tag that holds the recipe's hash.
    pub fn tag(&self) -> String {
        let mut hash = DefaultHasher::new();
        (PACKAGES, SET_UP, self.suite.name).hash(&mut hash);
        format!("{}-{:016x}", self.suite.name, hash.finish())
    }

    /// Repository and tag.
    pub fn name(&self) -> String {
        format!("{REPOSITORY}:{}", self.tag())
    }

    /// The repository alone.
    pub fn repository() -> &'static str {
        REPOSITORY
    }

    /// Whether the engine has it.
    pub fn exists(&self) -> bool {
        Docker::run(&["image", "inspect", "--format", "{{.Id}}", &self.name()]).is_ok()
    }

    /// Builds it: from Debian's own image where that can be had, else by mmdebstrap. Says which.
    pub fn build(&self) -> Result<(), String> {
        let base = format!("debian:{}-slim", self.suite.name);
        let has_base =
            Docker::run(&["image", "inspect", &base]).is_ok() || Docker::run(&["pull", "--quiet", &base]).is_ok();
        if has_base {
            println!("building {} from {base}", self.name());
            self.build_from(&base)
        } else {
            println!("building {} by mmdebstrap (no registry has {base} for us; a minute or so)", self.name());
            self.bootstrap()
        }
    }

    fn label(&self) -> String {
        format!("{IMAGE_LABEL}={}", self.suite.name)
    }

    fn build_from(&self, base: &str) -> Result<(), String> {
        let recipe = format!(
            "FROM {base}\n\
             RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends {PACKAGES}\n\
             COPY set-up /set-up\nRUN sh /set-up && rm /set-up\nCMD [\"/sbin/init\"]\n"
        );
        let folder = tempfile::tempdir().map_err(|error| format!("make a folder: {error}"))?;
        for (name, text) in [("Dockerfile", recipe.as_str()), ("set-up", SET_UP)] {
            std::fs::write(folder.path().join(name), text).map_err(|error| format!("write {name}: {error}"))?;
        }
        let folder = folder.path().to_string_lossy().into_owned();
        Docker::run(&["build", "--quiet", "--label", &self.label(), "--tag", &self.name(), &folder]).map(drop)
    }

    /// The archive goes from one to the other through a pipe.
    fn bootstrap(&self) -> Result<(), String> {
        let mut set_up = tempfile::NamedTempFile::new().map_err(|error| format!("make a file: {error}"))?;
        set_up.write_all(SET_UP.as_bytes()).map_err(|error| format!("write the set-up: {error}"))?;
        let path = set_up.path().display();
        let mut mmdebstrap = Command::new("mmdebstrap");
        mmdebstrap
            .args(["--quiet", "--variant=minbase", "--aptopt=APT::Install-Recommends \"false\""])
            .arg(format!("--include={}", PACKAGES.split_whitespace().collect::<Vec<_>>().join(",")))
            .arg(format!("--customize-hook=copy-in {path} /tmp"))
            .arg(format!("--customize-hook=chroot \"$1\" sh /tmp/{0}; rm \"$1/tmp/{0}\"", file_name(&set_up)))
            .args([self.suite.name, "-"]);
        let mut made = mmdebstrap
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("start mmdebstrap: {error}: apt-get install mmdebstrap"))?;
        let archive = made.stdout.take().ok_or("mmdebstrap has no stdout")?;
        let label = format!("LABEL {}", self.label());
        // `import` without a tag first: half an archive is no image.
        let imported = Command::new("docker")
            .args(["import", "--change", "CMD [\"/sbin/init\"]", "--change", &label, "-"])
            .stdin(archive)
            .output()
            .map_err(|error| format!("start docker import: {error}"))?;
        let made = made.wait().map_err(|error| format!("wait for mmdebstrap: {error}"))?;
        if !made.success() || !imported.status.success() {
            let said = String::from_utf8_lossy(&imported.stderr).trim().to_owned();
            return Err(format!("mmdebstrap: {made}; docker import: {}: {said}", imported.status));
        }
        let image = String::from_utf8_lossy(&imported.stdout).trim().to_owned();
        Docker::run(&["tag", &image, &self.name()]).map(drop)
    }

    /// Removes images of earlier recipes, for this suite.
    pub fn prune(&self) -> Result<(), String> {
        let filter = format!("label={}", self.label());
        let list = Docker::run(&["image", "ls", "--filter", &filter, "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"])?;
        for line in list.lines() {
            let Some((id, name)) = line.split_once(' ') else { continue };
            if name != self.name() {
                println!("removing the image of an earlier recipe: {name}");
                Docker::run(&["image", "rm", "--force", id])?;
            }
        }
        Ok(())
    }
}

fn file_name(file: &tempfile::NamedTempFile) -> String {
    file.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
