//! `pg_service.conf`: a name for a set of connection parameters.
//!
//! What must always hold: the same file, section and values as libpq's (`fe-connect.c`, `parseServiceInfo`): the
//! file that PGSERVICEFILE names or else `~/.pg_service.conf`, then the host's; the first value of a key counts.

use std::path::{Path, PathBuf};

use super::parameters::{Parameters, Source};
use crate::{Attempt, Failure};

/// Where the packages' libpq looks when PGSYSCONFDIR doesn't say: Debian's, then Red Hat's and PGDG's.
const SYSTEM_FOLDERS: [&str; 2] = ["/etc/postgresql-common", "/etc/sysconfig/pgsql"];

/// The parameters of one service.
pub(super) fn find(
    service: &str,
    home: Option<&Path>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Parameters, Failure> {
    for file in candidates(home, environment) {
        let named = environment("PGSERVICEFILE").is_some_and(|named| Path::new(&named) == file);
        if !named && !file.exists() {
            continue;
        }
        let text = std::fs::read_to_string(&file).attempt(|| format!("read the service file {:?}", file.display()))?;
        if let Some(parameters) = section(&text, service, &file)? {
            return Ok(parameters);
        }
    }
    Err(Failure::usage(format!("there is no service {service:?}"))
        .because(format!("looked in {:?}", candidates(home, environment))))
}

fn candidates(home: Option<&Path>, environment: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let own = environment("PGSERVICEFILE").map(PathBuf::from);
    let own = own.or_else(|| home.map(|home| home.join(".pg_service.conf")));
    let folders = environment("PGSYSCONFDIR").map_or(SYSTEM_FOLDERS.map(PathBuf::from).to_vec(), |at| vec![at.into()]);
    own.into_iter().chain(folders.into_iter().map(|folder| folder.join("pg_service.conf"))).collect()
}

/// The section's parameters, where the file has it.
fn section(text: &str, service: &str, file: &Path) -> Result<Option<Parameters>, Failure> {
    let shown = format!("{:?}, service {service:?}", file.display());
    let header = format!("[{service}]");
    let mut lines = text.lines().map(str::trim).zip(1..);
    if !lines.any(|(line, _)| line.starts_with(&header)) {
        return Ok(None);
    }
    let mut parameters = Parameters::default();
    for (line, number) in lines.take_while(|(line, _)| !line.starts_with('[')) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(Failure::usage(format!("{shown}: line {number} is not key=value")));
        };
        if key == "service" || line.starts_with("ldap") {
            return Err(Failure::usage(format!(
                "{shown}: line {number} refers to another place, which isn't followed"
            )));
        }
        let mut one = Parameters::default();
        one.set(key, value.to_owned(), Source::File(&shown))?;
        parameters.underlay(one);
    }
    Ok(Some(parameters))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# c\n[a]\nhost=db1\n\n # c\nport=5433\nhost=db2\npassword=a=b\n[b]\nhost=db3\n[bad]\nhots=x\n";

    fn host_of(service: &str) -> Result<Option<String>, Failure> {
        let found = section(FILE, service, Path::new("f"))?;
        Ok(found.and_then(|parameters| parameters.get("host").map(str::to_owned)))
    }

    #[test]
    fn takes_the_first_value_of_the_named_section() {
        assert_eq!(host_of("a").unwrap().as_deref(), Some("db1"));
        assert_eq!(host_of("b").unwrap().as_deref(), Some("db3"));
        assert_eq!(host_of("c").unwrap(), None);
        let found = section(FILE, "a", Path::new("f")).unwrap().unwrap();
        assert_eq!((found.get("port"), found.password.as_ref().unwrap().expose()), (Some("5433"), "a=b"));
    }

    #[test]
    fn names_the_file_the_service_and_the_unknown_key() {
        let failure = host_of("bad").unwrap_err().to_string();
        assert!(failure.contains("\"f\", service \"bad\"") && failure.contains("\"hots\""), "{failure}");
    }

    #[test]
    fn looks_in_the_named_file_the_home_and_the_system_folder() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            #[allow(clippy::disallowed_methods, reason = "a test's own input")]
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        put(".pg_service.conf", "[x]\nhost=home\n");
        put("pg_service.conf", "[x]\nhost=system\n[y]\nhost=system\n");
        put("named", "[x]\nhost=named\n");
        let system = folder.path().display().to_string();
        let plain = |name: &str| (name == "PGSYSCONFDIR").then(|| system.clone());
        let host = |service: &str, environment: &dyn Fn(&str) -> Option<String>| {
            find(service, Some(folder.path()), environment).map(|found| found.get("host").map(str::to_owned))
        };
        assert_eq!(host("x", &plain).unwrap().as_deref(), Some("home"));
        assert_eq!(host("y", &plain).unwrap().as_deref(), Some("system"));
        assert!(host("z", &plain).unwrap_err().to_string().contains("no service \"z\""));
        let named = |name: &str| (name == "PGSERVICEFILE").then(|| format!("{system}/named")).or_else(|| plain(name));
        assert_eq!(host("x", &named).unwrap().as_deref(), Some("named"));
        let missing = |name: &str| (name == "PGSERVICEFILE").then(|| format!("{system}/missing"));
        assert!(host("x", &missing).unwrap_err().to_string().contains("missing"));
    }
}
