//! Whether a server would start again with its configuration as it is, looked at while it still runs.
//!
//! What must always hold: only what the server would surely refuse stands in the way of a restart; nothing is changed to
//! find out, and a port is only tried for the moment of a `bind`.

use nix::unistd::{AccessFlags, eaccess};
use pg_runbook::cluster::Cluster;
use pg_runbook::configuration::judge::Judge;
use pg_runbook::configuration::{control_file, cross_checks};
use pg_runbook::{Failure, Run};
use std::io::ErrorKind;
use std::net::{TcpListener, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Refuses a restart that would leave the server down.
pub fn refuse_what_would_not_start(run: &mut Run, cluster: &Cluster, rule_errors: &[String]) -> Result<(), Failure> {
    let mut reasons = of_configuration(run, cluster)?;
    reasons.extend_from_slice(rule_errors);
    reasons.extend(of_data_directory(cluster));
    if reasons.is_empty() {
        return Ok(());
    }
    let title = cluster.title();
    let failure = Failure::refused(format!("{title} would not come back, so it is not restarted"));
    let failure = reasons.into_iter().fold(failure, Failure::because);
    let later = "it runs on as it is; a boot of this host would leave it down, unless that is mended or taken back (pg-conf undo)";
    Err(failure.because(later).hint(format!("pg-conf check {}", cluster.option())))
}

fn of_configuration(run: &mut Run, cluster: &Cluster) -> Result<Vec<String>, Failure> {
    if let Err(failure) = cluster.configuration() {
        return Ok(vec![failure.to_string()]);
    }
    let judge = Judge::of(cluster)?;
    let port = match judge.value("port")? {
        Ok(port) => port,
        Err(rejection) => return Ok(rejection.lines),
    };
    let value = |name: &str| Ok::<_, Failure>(judge.value(name)?.unwrap_or_default());
    let violations = cross_checks::of_configuration(&judge, cluster.major)?;
    let mut reasons: Vec<String> = violations.into_iter().map(|violation| violation.message).collect();
    reasons.extend(control_file::below(cluster, &judge)?.into_iter().map(|below| below.message));
    reasons.extend(of_memory(&value("shared_buffers")?, &value("block_size")?));
    if let Ok(port) = port.parse::<u16>()
        && port != cluster.port
    {
        let (reason, warnings) = of_port(port, &value("listen_addresses")?);
        reasons.extend(reason);
        for warning in warnings {
            run.warn(warning);
        }
    }
    reasons.extend(of_socket_directories(&value("unix_socket_directories")?));
    if value("ssl")? == "on" {
        for name in ["ssl_cert_file", "ssl_key_file"] {
            reasons.extend(of_ssl_file(cluster, name, &value(name)?));
        }
    }
    Ok(reasons)
}

/// The server gives up only where it can listen on none of its addresses; one of several is a warning.
fn of_port(port: u16, listen_addresses: &str) -> (Option<String>, Vec<String>) {
    let names = listen_addresses.split(',').map(str::trim).filter(|name| !name.is_empty());
    let (mut listens, mut troubles) = (0, Vec::new());
    for name in names {
        let hosts = if name == "*" { vec!["0.0.0.0", "::"] } else { vec![name] };
        for address in hosts.iter().filter_map(|host| (*host, port).to_socket_addrs().ok()).flatten() {
            match TcpListener::bind(address) {
                Ok(_) => listens += 1,
                Err(error) if error.kind() == ErrorKind::AddrInUse => {
                    troubles.push(format!("something else listens on {address}"));
                }
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    troubles.push(format!("its owner may not listen on {address}: {error}"));
                }
                // The server says so in its log and goes on.
                Err(_) => {}
            }
        }
    }
    if listens > 0 || troubles.is_empty() { (None, troubles) } else { (Some(troubles.join(", and ")), Vec::new()) }
}

fn of_socket_directories(folders: &str) -> Option<String> {
    let mut names = folders.split(',').map(|name| name.trim().trim_matches('"')).filter(|name| !name.is_empty());
    let usable = |name: &str| name.starts_with('@') || eaccess(Path::new(name), AccessFlags::W_OK).is_ok();
    let mut tried = names.clone().peekable();
    tried.peek()?;
    if names.any(usable) { None } else { Some(format!("its owner can't write to unix_socket_directories: {folders}")) }
}

/// A mapping larger than memory and swap together is refused by the kernel, unless it was told to grant anything.
fn of_memory(shared_buffers: &str, block_size: &str) -> Option<String> {
    let grants_anything =
        std::fs::read_to_string("/proc/sys/vm/overcommit_memory").is_ok_and(|text| text.trim() == "1");
    let (blocks, block_size): (u64, u64) = (shared_buffers.parse().ok()?, block_size.parse().ok()?);
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kilobytes = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let (there, asked) = (kilobytes("MemTotal:")? + kilobytes("SwapTotal:")?, blocks.checked_mul(block_size)? / 1024);
    (asked > there && !grants_anything).then(|| {
        format!("shared_buffers asks for {} MB, and memory and swap have {} MB together", asked / 1024, there / 1024)
    })
}

/// What `checkDataDir` of the server insists on (miscinit.c): from 11 on the group may read.
fn of_data_directory(cluster: &Cluster) -> Option<String> {
    let folder = &cluster.data_directory;
    let mode = std::fs::metadata(folder).ok()?.permissions().mode() & 0o777;
    let forbidden = if cluster.major >= 11 { 0o027 } else { 0o077 };
    (mode & forbidden != 0)
        .then(|| format!("{} has the mode {mode:04o}, and the server asks for 0700", folder.display()))
}

fn of_ssl_file(cluster: &Cluster, name: &str, value: &str) -> Option<String> {
    let path = cluster.data_directory.join(value);
    let error = std::fs::File::open(&path).err()?;
    Some(format!("{name} {} can't be read: {error}", path.display()))
}
