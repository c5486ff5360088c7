//! The inputs that fuzzing found worth keeping, and those that once did harm, through the very
//! functions that `bench/fuzz` runs (fuzz/bodies.rs).

#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]
#![expect(
    clippy::print_stdout,
    reason = "captured, and so shown only with a panic"
)]

#[path = "../fuzz/bodies.rs"]
mod bodies;

use std::fs;
use std::path::{Path, PathBuf};

/// Most bytes that the corpora have together: they are cloned with the repository.
const MOST: u64 = 1024 * 1024;

fn files(folder: &str, target: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let Ok(found) = fs::read_dir(root.join(folder).join(target)) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn replay(target: &str) {
    let (_, body) = bodies::TARGETS
        .iter()
        .find(|(name, _)| *name == target)
        .unwrap();
    let corpus = files("corpus", target);
    assert!(
        corpus.len() >= 5,
        "the corpus of {target} has {} files",
        corpus.len()
    );
    for file in corpus.into_iter().chain(files("regressions", target)) {
        let data = fs::read(&file).unwrap();
        assert!(data.len() <= bodies::LONGEST, "{}", file.display());
        println!("{}", file.display());
        body(&data);
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { replay(stringify!($name)); })*

        #[test]
        fn every_target_is_here_and_the_corpora_are_small() {
            let here = [$(stringify!($name)),*];
            assert_eq!(bodies::TARGETS.map(|(name, _)| name), here);
            let manifest = fs::read_to_string("fuzz/Cargo.toml").unwrap();
            for name in here {
                assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
            }
            let sizes = here.iter().flat_map(|name| files("corpus", name));
            let size: u64 = sizes.map(|file| fs::metadata(file).unwrap().len()).sum();
            assert!(size <= MOST, "{size} bytes");
        }
    };
}

targets! {
    plan_toml architecture file_placement handoff claude_stream codex_stream event state
    diagnostics source user_rules bundle result comment
}
