//! Sequences of commands.
#![no_main]

#[expect(dead_code, unused_imports, reason = "the other target is the other program's")]
#[path = "../../crates/holdpoint-core/tests/fuzzing/targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::judge(data));
