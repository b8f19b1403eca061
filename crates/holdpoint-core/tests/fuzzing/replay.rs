//! The corpus, and mutants of it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::targets;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

/// How often each input of the corpus is mutated.
const MUTANTS: u32 = 4;

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let files = fs::read_dir(folder.join(target)).unwrap();
    let mut inputs: Vec<(PathBuf, Vec<u8>)> = files
        .map(|file| file.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "fuzz/corpus/{target} is empty");
    inputs
}

/// A number below `limit`, or 0 if there is none.
fn below(limit: usize, rng: &mut TestRng) -> usize {
    let drawn = usize::try_from(rng.next_u32()).unwrap();
    drawn.checked_rem(limit).unwrap_or(0)
}

/// `input` with a few bytes changed, taken out, doubled or taken from `other`.
fn mutant(input: &[u8], other: &[u8], rng: &mut TestRng) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=below(8, rng) {
        let place = below(bytes.len(), rng);
        let byte = u8::try_from(below(256, rng)).unwrap();
        match below(5, rng) {
            0 if !bytes.is_empty() => bytes[place] = byte,
            1 if !bytes.is_empty() => bytes[place] ^= 1 << (byte % 8),
            2 if !bytes.is_empty() => {
                bytes.remove(place);
            }
            3 => bytes.insert(place, byte),
            _ => {
                let start = below(other.len(), rng);
                let end = (start + usize::from(byte % 24)).min(other.len());
                bytes.splice(place..place, other[start..end].iter().copied());
            }
        }
    }
    bytes
}

fn replay(target: &str, run: fn(&[u8])) {
    let inputs = corpus(target);
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    for (path, input) in &inputs {
        println!("{}", path.display());
        run(input);
        for _ in 0..MUTANTS {
            let other = &inputs[below(inputs.len(), &mut rng)].1;
            let mutant = mutant(input, other, &mut rng);
            println!("  and its mutant {mutant:?}");
            run(&mutant);
        }
    }
}

#[test]
fn whatever_bytes_come_they_decode_to_what_encodes_to_them_or_not_at_all() {
    replay("decode", targets::decode);
}

#[test]
fn whatever_commands_come_the_state_stays_sound_and_the_same_everywhere() {
    replay("judge", targets::judge);
}
