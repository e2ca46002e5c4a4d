//! libFuzzer on `santa_proxy_fuzz::response`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    santa_proxy_fuzz::response::check(bytes);
});
