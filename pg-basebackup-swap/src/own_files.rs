//! In the plain layout the configuration lies inside the data directory, so a copy brings the primary's: the standby's
//! own is put in its place.
//!
//! What must always hold: after it, the copy's configuration says what the standby's said.

use pg_runbook::cluster::Layout;
use pg_runbook::configuration::{Configuration, history};
use pg_runbook::{Cluster, Failure, durable_file};
use std::path::{Path, PathBuf};

/// Files named by settings, by default in the data directory (`ssl_cert_file` and so on).
const NAMED: [(&str, &str); 7] = [
    ("ident_file", "pg_ident.conf"),
    ("ssl_cert_file", "server.crt"),
    ("ssl_key_file", "server.key"),
    ("ssl_ca_file", ""),
    ("ssl_crl_file", ""),
    ("ssl_dh_params_file", ""),
    ("krb_server_keyfile", ""),
];

/// Puts the standby's own files into the copy; returns their names.
pub fn keep(cluster: &Cluster, data: &Path, copy: &Path) -> Result<Vec<PathBuf>, Failure> {
    if cluster.layout == Layout::Debian {
        return Ok(Vec::new());
    }
    let configuration = cluster.configuration()?;
    let names = inside(cluster, &configuration, data);
    for name in &names {
        let Some(bytes) = durable_file::read(&data.join(name))? else { continue };
        if let Some(folder) = name.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            durable_file::make_folder(&copy.join(folder))?;
        }
        durable_file::remove_unfinished(&copy.join(name))?;
        durable_file::replace(&copy.join(name), &bytes, 0o600)?;
    }
    // With its configuration elsewhere, the standby has none of these; the primary's would be taken for its own.
    for name in ["postgresql.conf", "pg_hba.conf", "pg_ident.conf"].map(Path::new) {
        if !data.join(name).exists() {
            durable_file::remove(&copy.join(name))?;
        }
    }
    keep_command_line(data, copy)?;
    remove_what_only_the_primary_includes(copy, &names)?;
    let [own, its] = [data, copy].map(|folder| folder.join(history::FOLDER));
    if !durable_file::same_tree(&own, &its) {
        durable_file::remove_tree(&its)?;
        durable_file::copy_tree(&own, &its)?;
    }
    Ok(names)
}

/// It remembers how the server was started, and where the configuration is, where that is elsewhere.
pub fn keep_command_line(data: &Path, copy: &Path) -> Result<(), Failure> {
    let name = "postmaster.opts";
    match durable_file::read(&data.join(name))? {
        Some(bytes) => durable_file::replace(&copy.join(name), &bytes, 0o600).map(drop),
        None => durable_file::remove(&copy.join(name)),
    }
}

/// The standby's own files below its data directory, relative to it; postgresql.auto.conf is written apart.
fn inside(cluster: &Cluster, configuration: &Configuration, data: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = configuration.files().map(|(path, _)| path.to_owned()).collect();
    paths.push(cluster.hba_file.clone());
    for (setting, usual) in NAMED {
        let named = configuration.in_force(setting).map_or(usual, |found| found.value.as_str());
        if !named.is_empty() {
            paths.push(data.join(named));
        }
    }
    let roots = [data.to_owned(), cluster.data_directory.clone()];
    let relative = |path: &PathBuf| roots.iter().find_map(|root| path.strip_prefix(root).ok()).map(Path::to_owned);
    let mut names: Vec<PathBuf> = paths.iter().filter_map(relative).filter(|name| data.join(name).is_file()).collect();
    names.retain(|name| name.as_os_str() != "postgresql.auto.conf");
    names.sort();
    names.dedup();
    names
}

/// An `include_dir` would take up files that came with the copy.
fn remove_what_only_the_primary_includes(copy: &Path, own: &[PathBuf]) -> Result<(), Failure> {
    let main = copy.join("postgresql.conf");
    if !main.exists() {
        return Ok(());
    }
    let configuration = Configuration::load(&main, None)?;
    for (path, _) in configuration.files() {
        if let Ok(name) = path.strip_prefix(copy)
            && !own.iter().any(|known| known == name)
        {
            durable_file::remove(path)?;
        }
    }
    Ok(())
}
