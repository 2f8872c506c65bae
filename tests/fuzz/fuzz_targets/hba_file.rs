//! Any bytes as pg_hba.conf.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::lossless::hba_file(bytes));
