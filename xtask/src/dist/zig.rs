//! The linker: cargo-zigbuild and zig, as PyPI has them, so that what is built here runs on an older C library.
//!
//! What must always hold: what is fetched is said first; nobody else's programs are run.

use crate::servers::need;
use ::tests::{fill, place, unpack_wheel};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian 11's: what runs there runs on everything newer.
pub const GLIBC: (u32, u32) = (2, 31);

/// Where PyPI keeps it, its name and its sum.
type Wheel = (&'static str, &'static str, &'static str);

/// cargo-zigbuild (MIT) and zig (MIT) for this machine.
#[cfg(target_arch = "x86_64")]
const WHEELS: [Wheel; 2] = [
    (
        "19/bd/5476661915fd4fb8bc6eb439ac2c3682a6454cfd3efb0365832e02897556",
        "cargo_zigbuild-0.24.1-py3-none-manylinux1_x86_64.manylinux_2_5_x86_64.whl",
        "238a1ab54a95053a4eadc34775c81f795a8ad75f80bfed63f3f445f518102375",
    ),
    (
        "59/e3/2a34676370a11c36b7cd04ffb2439c1089c0530cf4b01408c77cf7f8d9c3",
        "ziglang-0.17.1-py3-none-manylinux_2_12_x86_64.manylinux2010_x86_64.musllinux_1_1_x86_64.whl",
        "ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54",
    ),
];
#[cfg(target_arch = "aarch64")]
const WHEELS: [Wheel; 2] = [
    (
        "98/74/69f6f26cb6ba003c3946940afe69828354a8c78781b74651b550851f58e3",
        "cargo_zigbuild-0.24.1-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl",
        "07c5e3dcddf208500462ec927c556bb306cca2b533b0abe29446bffb63767b85",
    ),
    (
        "91/72/bb7c4f098ba3e535fa2ebefd9f26327ba63fb0672562959255cb5dd37aff",
        "ziglang-0.17.1-py3-none-manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64.whl",
        "b7c5f02fccd40f89b999ee16a1f5ddced56e6182370f8affe494bcf8a28cf07e",
    ),
];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const WHEELS: [Wheel; 0] = [];

/// Both, unpacked.
pub struct Zig {
    place: PathBuf,
}

impl Zig {
    /// Gets them where they are missing, once for a machine.
    pub fn get() -> Result<Self, String> {
        if WHEELS.is_empty() {
            return Err("packages are made on x86_64 and aarch64 only: cargo install --path pg-role".into());
        }
        let zig = Self { place: place(WHEELS.map(|(_, _, sha256)| sha256)) };
        if !zig.place.exists() {
            need("curl --version", "curl", "zig is fetched with it")?;
            need("unzip -v", "unzip", "what is fetched is unpacked with it")?;
            println!("cargo-zigbuild and zig are missing; fetching them from PyPI (100 MB, once for a machine)");
            zig.fetch().map_err(|trouble| {
                format!("{trouble}\nhint: without zig, build on Debian 11 itself: cargo install --path pg-role")
            })?;
        }
        let owner = zig.place.metadata().map_err(|error| format!("look at {}: {error}", zig.place.display()))?.uid();
        if owner != nix::unistd::getuid().as_raw() {
            return Err(format!("{} is somebody else's: rm -r {0}", zig.place.display()));
        }
        Ok(zig)
    }

    fn fetch(&self) -> Result<(), String> {
        fill(&self.place, |folder| {
            for (at, file, sha256) in WHEELS {
                unpack_wheel(at, file, sha256, folder)?;
            }
            let here = Self { place: folder.to_owned() };
            for program in [here.zigbuild(), here.program()] {
                let executable = std::fs::Permissions::from_mode(0o755);
                std::fs::set_permissions(&program, executable)
                    .map_err(|error| format!("make {} executable: {error}", program.display()))?;
            }
            Ok(())
        })
    }

    fn zigbuild(&self) -> PathBuf {
        self.place.join("cargo_zigbuild-0.24.1.data/scripts/cargo-zigbuild")
    }

    fn program(&self) -> PathBuf {
        self.place.join("ziglang/zig")
    }

    /// A build for a target with the older C library.
    pub fn build(&self, target: &str) -> Command {
        let mut command = Command::new(self.zigbuild());
        command.arg("zigbuild").arg("--target").arg(format!("{target}.{}.{}", GLIBC.0, GLIBC.1));
        command.env("CARGO_ZIGBUILD_ZIG_PATH", self.program());
        command
    }
}

/// libc6's of Debian 11. Packages depend on no other library.
const LIBRARIES: [&str; 5] = ["libc.so.6", "libpthread.so.0", "libdl.so.2", "libm.so.6", "ld-linux-"];

/// Expects that a program asks for nothing that Debian 11's libc6 hasn't.
pub fn check(program: &Path) -> Result<(), String> {
    let shown = program.display();
    let said = Command::new("objdump").arg("-pT").arg(program).output();
    let said = said.map_err(|error| format!("objdump -pT {shown}: {error}: apt-get install binutils"))?.stdout;
    let said = String::from_utf8_lossy(&said);
    let libraries = said.lines().filter_map(|line| line.trim().strip_prefix("NEEDED")).map(str::trim);
    for library in libraries {
        if !LIBRARIES.iter().any(|known| library.starts_with(known)) {
            return Err(format!(
                "{shown} asks for {library}, which is not in libc6, and its package depends on no other"
            ));
        }
    }
    match newest_glibc(&said) {
        None => Err(format!("objdump -pT {shown} shows no symbol of glibc")),
        Some(newest) if newest > GLIBC => {
            Err(format!("{shown} asks for glibc {}.{}, and Debian 11 has {}.{}", newest.0, newest.1, GLIBC.0, GLIBC.1))
        }
        Some(_) => Ok(()),
    }
}

/// `… (GLIBC_2.30) gettid`, and `GLIBC_2.2.5`, which is older than 2.3.
fn newest_glibc(symbols: &str) -> Option<(u32, u32)> {
    let versions = symbols.split("GLIBC_").skip(1).filter_map(|rest| {
        let mut numbers = rest.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse().ok());
        Some((numbers.next()?, numbers.next()?))
    });
    versions.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_glibc_is_a_number_not_a_text() {
        let symbols =
            "0 DF *UND* 0 (GLIBC_2.2.5) free\n0 DF *UND* 0 (GLIBC_2.30) gettid\n0 DF *UND* 0 (GLIBC_2.9) pipe2\n";
        assert_eq!(newest_glibc(symbols), Some((2, 30)));
        assert_eq!(newest_glibc("0 DF *UND* 0 (GCC_3.0) _Unwind_Resume\n"), None);
    }

    #[test]
    fn what_is_linked_as_usual_is_refused() {
        // What is built for this test needs libgcc_s, and this machine's glibc.
        let own = std::env::current_exe().expect("this program");
        assert!(check(&own).is_err_and(|trouble| trouble.contains("asks for")));
    }
}
