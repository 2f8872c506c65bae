//! How a host comes to be: its container, what it sees of this machine, and what its clusters lie on.
//!
//! What must always hold: the container carries our label, and takes all that it wrote away with it.

use crate::command::binary;
use crate::ground;
use crate::hosts::docker::{Docker, LABEL};
use crate::hosts::host::Host;
use crate::hosts::image::HostImage;
use crate::hosts::network::{Hosts, Protocols, maker};
use std::sync::Mutex;
use testcontainers::bollard::models::{Mount as Volume, MountType};
use testcontainers::core::{CgroupnsMode, Mount};
use testcontainers::runners::SyncRunner;
use testcontainers::{ContainerRequest, GenericImage, ImageExt};

/// Where Debian's clusters are.
const CLUSTERS: &str = "/var/lib/postgresql";

const TOOLS: [&str; 5] = ["pg-role", "pg-conf", "pg-cluster", "pg-pass", "pg-basebackup-swap"];

/// A host that is not started yet.
#[derive(Debug)]
pub struct HostBuilder<'a> {
    hosts: &'a Hosts,
    name: String,
    ground: HostGround,
    tools: &'static [&'static str],
}

/// What `/var/lib/postgresql` lies on.
#[derive(Clone, Debug, PartialEq, Eq)]
enum HostGround {
    /// Memory: what is there is gone once the host is down.
    Memory,
    /// A disk.
    Disk,
    /// A file system of this size, in memory.
    Small(String),
}

impl<'a> HostBuilder<'a> {
    pub(super) fn new(hosts: &'a Hosts, name: &str) -> Self {
        let ground = if ground::in_memory() { HostGround::Memory } else { HostGround::Disk };
        Self { hosts, name: name.to_owned(), ground, tools: &TOOLS }
    }

    /// `/var/lib/postgresql` is on a file system of its own, of this size (`300m`).
    #[must_use]
    pub fn with_small_disk(mut self, size: &str) -> Self {
        self.ground = HostGround::Small(size.to_owned());
        self
    }

    /// `/var/lib/postgresql` is on a disk, where it outlives reboots.
    #[must_use]
    pub fn on_a_disk(mut self) -> Self {
        self.ground = HostGround::Disk;
        self
    }

    /// None of our tools is on it.
    #[must_use]
    pub fn without_tools(mut self) -> Self {
        self.tools = &[];
        self
    }

    /// Boots it.
    #[track_caller]
    pub fn boot(self) -> Host {
        let host = self.start();
        host.wait_until_up();
        host
    }

    #[track_caller]
    pub(super) fn start(self) -> Host {
        let (address, address6) = self.hosts.next_addresses();
        let (name, network) = (self.name.clone(), self.hosts.network().to_owned());
        let suite = self.hosts.suite;
        let container = self.request().start().unwrap_or_else(|error| panic!("start the host {name}: {error}"));
        // testcontainers gives neither fixed addresses nor a second name; both stay over a reboot.
        let moved = Docker::run(&["network", "disconnect", &network, container.id()]).and_then(|_| {
            let id = container.id();
            let mut words = vec!["network", "connect", "--alias", &name, "--ip", &address];
            if self.hosts.protocols == Protocols::Both {
                words.extend(["--ip6", &address6]);
            }
            words.extend([network.as_str(), id]);
            Docker::run(&words)
        });
        moved.unwrap_or_else(|trouble| panic!("{trouble}"));
        let outlives_reboots = self.ground == HostGround::Disk;
        Host { name, address, address6, suite, outlives_reboots, container: Some(container), told: Mutex::default() }
    }

    fn request(&self) -> ContainerRequest<GenericImage> {
        let image = HostImage::of(self.hosts.suite);
        let ground = self.ground.clone();
        let mut request = GenericImage::new(HostImage::repository(), &image.tag())
            // As systemd leaves it on a machine, and not in a container: without it, a unit's credentials stay empty.
            .with_cmd(["/bin/sh", "-c", "mount --make-rshared / && chown postgres: ~postgres && exec /sbin/init"])
            .with_network(self.hosts.network())
            .with_hostname(&self.name)
            .with_label(LABEL, maker())
            .with_env_var("container", "docker")
            .with_cap_add("SYS_ADMIN")
            .with_cap_add("NET_ADMIN")
            // A host's root may look into everybody's processes.
            .with_cap_add("SYS_PTRACE")
            .with_security_opt("seccomp=unconfined")
            .with_security_opt("apparmor=unconfined")
            .with_cgroupns_mode(CgroupnsMode::Host)
            .with_mount(Mount::bind_mount("/sys/fs/cgroup", "/sys/fs/cgroup"))
            .with_mount(Mount::bind_mount(self.hosts.exchange().to_string_lossy(), "/exchange"));
        for tool in self.tools {
            let path = binary(tool);
            assert!(path.exists(), "{path:?} is not built: cargo build --workspace");
            request = request.with_mount(Mount::bind_mount(path.to_string_lossy(), format!("/usr/local/bin/{tool}")));
        }
        request.with_host_config_modifier(move |config| {
            let mut memory = vec![("/run".to_owned(), String::new()), ("/tmp".to_owned(), "exec".to_owned())];
            match &ground {
                HostGround::Small(size) => memory.push((CLUSTERS.into(), format!("size={size},mode=755"))),
                // Not in the container's layer: data directories are to lie on a file system as hosts have it.
                HostGround::Disk => config.mounts.get_or_insert_default().push(Volume {
                    target: Some(CLUSTERS.into()),
                    typ: Some(MountType::VOLUME),
                    ..Volume::default()
                }),
                HostGround::Memory => memory.push((CLUSTERS.into(), "mode=755".into())),
            }
            config.tmpfs = Some(memory.into_iter().collect());
        })
    }
}
