//! Every fuzz target over its seeds, and over random mutants of them.

use std::{collections::BTreeSet, fs, thread};

use tests::{
    fuzz::{Mutator, TARGETS, Target, escaped, seeds},
    root,
};

/// How many mutants of each target.
const MUTANTS: u64 = 1_000;

/// Says what it was at when it is dropped by a panic.
struct Input<'b>(&'b Target, &'b [u8]);

impl Drop for Input<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("for fuzz/seeds/{}.txt:\n{}", self.0.name, escaped(self.1));
        }
    }
}

fn run(target: &Target, bytes: &[u8]) -> bool {
    let _input = Input(target, bytes);
    (target.run)(bytes)
}

/// Another one every time; a failure prints it.
fn seed() -> u64 {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    std::env::var_os("INTERLINGUA_SEED").and_then(|seed| seed.to_str()?.parse().ok()).unwrap_or(high ^ low)
}

#[test]
fn seeds_hold_and_are_both_taken_and_refused() {
    for target in TARGETS {
        let taken: BTreeSet<bool> = seeds(target).iter().map(|bytes| run(target, bytes)).collect();
        assert_eq!(taken.len(), 2, "{}: all seeds fare alike", target.name);
    }
}

#[test]
fn mutants_hold() {
    let seed = seed();
    println!("seed {seed}");
    for (at, target) in (0..).zip(TARGETS) {
        let seeds = seeds(target);
        let mut mutator = Mutator::new(seed.wrapping_add(at));
        for _ in 0..MUTANTS {
            run(target, &mutator.mutant(&seeds));
        }
    }
}

#[test]
fn every_file_of_seeds_has_a_target_and_every_dialect_too() {
    let names: BTreeSet<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names.len(), TARGETS.len(), "two targets of one name");
    for file in fs::read_dir(root().join("fuzz/seeds")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(names.contains(&name), "{name} is no target");
    }
    for dialect in gateway::registry::DIALECTS {
        assert!(names.contains(dialect.name), "{} has no target", dialect.name);
    }
}
