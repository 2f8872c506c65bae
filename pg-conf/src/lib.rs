//! placeholder

pub mod hba_file;
