//! Any bytes as postgresql.conf.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::lossless::conf_file(bytes));
