//! Stands before the C library's clock in a process that loads it first
//! (`LD_PRELOAD`). The file that `ODD_CLOCK` names says what it does:
//! `shift SECONDS` moves the wall clock, `break PID` makes the main thread of
//! that process see one impossible time, which Rust's library refuses with a
//! panic. Compiled by the test that uses it, so without crates.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Linux's `struct timespec` on 64-bit machines.
#[repr(C)]
pub struct Timespec {
    seconds: c_long,
    nanoseconds: c_long,
}

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn getpid() -> c_int;
    fn gettid() -> c_int;
}

type Clock = unsafe extern "C" fn(c_int, *mut Timespec) -> c_int;

const REALTIME: c_int = 0;
/// The next definition behind this one.
const RTLD_NEXT: *mut c_void = -1isize as *mut c_void;

static REAL: OnceLock<Clock> = OnceLock::new();
static BROKEN: AtomicBool = AtomicBool::new(false);

/// # Safety
/// As clock_gettime(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: c_int, time: *mut Timespec) -> c_int {
    const NAME: &CStr = c"clock_gettime";
    // SAFETY: the C library has a function of this name and type.
    let real = REAL.get_or_init(|| unsafe {
        std::mem::transmute::<*mut c_void, Clock>(dlsym(RTLD_NEXT, NAME.as_ptr()))
    });
    // SAFETY: the caller's promise.
    let done = unsafe { real(clock, time) };
    let order = std::env::var_os("ODD_CLOCK").and_then(|file| std::fs::read_to_string(file).ok());
    let Some((verb, number)) = order.as_deref().and_then(|order| order.trim().split_once(' ')) else {
        return done;
    };
    let number: i64 = number.parse().unwrap_or(0);
    // SAFETY: the real function has filled it in.
    let time = unsafe { &mut *time };
    if verb == "shift" && clock == REALTIME {
        time.seconds += number;
    }
    // SAFETY: no memory is involved.
    let main_of_it = unsafe { i64::from(getpid()) == number && getpid() == gettid() };
    if verb == "break" && main_of_it && !BROKEN.swap(true, Ordering::SeqCst) {
        time.nanoseconds = 2_000_000_000;
    }
    done
}
