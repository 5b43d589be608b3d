#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mentor_fuzz::parsers::tar(bytes));
