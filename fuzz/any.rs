//! Any target under libFuzzer: the one that `INTERLINGUA_FUZZ` names. One binary is built once.

#![no_main]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    env, fs, panic,
    path::Path,
    sync::{
        LazyLock, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use libfuzzer_sys::fuzz_target;
use tests::fuzz::{Target, escaped, named, seeds};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = env::var("INTERLINGUA_FUZZ").unwrap_or_default();
    named(&name).unwrap_or_else(|| panic!("there is no target `{name}`"))
});

/// libFuzzer reads files: seeds become such, in the folder that it is told to read.
fn lay_out() {
    let folder = env::var("INTERLINGUA_FUZZ_CORPUS").expect("a folder");
    fs::create_dir_all(&folder).expect("a folder");
    for (at, seed) in seeds(&TARGET).into_iter().enumerate() {
        fs::write(Path::new(&folder).join(format!("seed-{at}")), seed).expect("a file");
    }
    let abort = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let input = INPUT.lock().unwrap_or_else(PoisonError::into_inner);
        eprintln!("for fuzz/seeds/{}.txt:\n{}", TARGET.name, escaped(&input));
        abort(info);
    }));
    // Whatever is made once is not of an input.
    (TARGET.run)(b"");
}

/// The input at hand, for a panic to print as a line for the file of seeds.
static INPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

fuzz_target!(init: lay_out(), |bytes: &[u8]| {
    bytes.clone_into(&mut INPUT.lock().unwrap_or_else(PoisonError::into_inner));
    let before = ALLOCATED.load(Relaxed);
    (TARGET.run)(bytes);
    let taken = ALLOCATED.load(Relaxed).saturating_sub(before);
    let bound = FIXED_BYTES + BYTES_PER_BYTE * bytes.len();
    assert!(taken <= bound, "{taken} bytes allocated for an input of {}", bytes.len());
});

/// What a run may allocate in all, given back or not.
const FIXED_BYTES: usize = 16 << 20;
const BYTES_PER_BYTE: usize = 4 << 10;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

/// The system's allocator, counting bytes.
struct Counting;

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATED.fetch_add(size.saturating_sub(layout.size()), Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}
