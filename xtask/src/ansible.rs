//! The versions of Ansible that the tests run, got where they are missing.
//!
//! What must always hold: what is fetched or installed is said first; what can't be had stops nothing, and is said.

use crate::servers::need;
use tests::ANSIBLE_CORES;

/// Gets them.
pub fn set_up() -> Result<(), String> {
    need("ssh -V", "openssh-client", "Ansible reaches hosts by it")?;
    for core in ANSIBLE_CORES.iter().filter(|core| !core.exists()) {
        need("python3 -m ensurepip --version", "python3-venv", "Ansible runs in it")?;
        println!("ansible-core {} is missing; fetching it from PyPI", core.version);
        if let Err(trouble) = core.fetch() {
            println!("could not be fetched: {trouble}");
        }
    }
    Ok(())
}
