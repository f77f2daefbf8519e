#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| longshore_properties::check("templates", bytes));
