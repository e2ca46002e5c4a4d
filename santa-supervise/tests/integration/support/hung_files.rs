//! Stands before the C library's file calls in a process that loads it first
//! (`LD_PRELOAD`): every path below the folder that `HUNG` names hangs, as on a
//! network mount whose server is gone, and so do the path that the file named by
//! `HUNG_FROM` holds (all that end so, behind a `*`) and the look-up of the user `hung`. Where `SHORTAGE` names a
//! file, nothing hangs, but as long as the file exists those paths and the look-ups
//! of users by name and of groups fail with the error whose number it holds. Compiled by the test that
//! uses it, so without crates.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::os::unix::ffi::OsStringExt;
use std::sync::OnceLock;

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn pause() -> c_int;
    fn __errno_location() -> *mut c_int;
}

/// The next definition behind this one.
const RTLD_NEXT: *mut c_void = -1isize as *mut c_void;

fn next(name: &CStr) -> *mut c_void {
    // SAFETY: a text that ends in NUL.
    unsafe { dlsym(RTLD_NEXT, name.as_ptr()) }
}

fn hang() -> ! {
    loop {
        // SAFETY: no memory is involved.
        unsafe { pause() };
    }
}

/// The error that look-ups fail with now; nothing where they are to hang.
fn shortage() -> Option<Option<c_int>> {
    let orders = std::env::var_os("SHORTAGE")?;
    Some(std::fs::read_to_string(orders).ok().and_then(|number| number.parse().ok()))
}

/// What a call gives when it fails.
trait Failure {
    const FAILURE: Self;
}

impl Failure for c_int {
    const FAILURE: Self = -1;
}

impl Failure for *mut c_void {
    const FAILURE: Self = std::ptr::null_mut();
}

/// Hangs below the folder; or gives the error to fail with there.
///
/// # Safety
/// `path` is a text that ends in NUL, or null: that is how Rust asks for statx.
unsafe fn hang_below(path: *const c_char) -> Option<c_int> {
    if path.is_null() {
        return None;
    }
    static HUNG: OnceLock<Vec<u8>> = OnceLock::new();
    let hung = HUNG.get_or_init(|| std::env::var_os("HUNG").unwrap_or_default().into_vec());
    // SAFETY: the caller's promise.
    let path = unsafe { CStr::from_ptr(path) }.to_bytes();
    if !hung.is_empty() && path.starts_with(hung) || is_switched(path) {
        return shortage().unwrap_or_else(|| hang());
    }
    None
}

/// Whether it is the path that the file named by `HUNG_FROM` holds by now.
fn is_switched(path: &[u8]) -> bool {
    thread_local!(static LOOKING: Cell<bool> = const { Cell::new(false) });
    let Some(switch) = std::env::var_os("HUNG_FROM") else { return false };
    // Reading it comes here again.
    if LOOKING.replace(true) {
        return false;
    }
    let found = std::fs::read(switch).is_ok_and(|hung| match &hung[..] {
        [b'*', end @ ..] => path.ends_with(end),
        hung => hung == path,
    });
    LOOKING.set(false);
    found
}

/// Defines a call that hangs below the folder and else does what it should.
macro_rules! hanging {
    ($($name:ident($($before:ident: $type_before:ty,)* ; path $(, $after:ident: $type_after:ty)*) -> $result:ty;)+) => {
        $(
            /// # Safety
            /// As the C library's.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name(
                $($before: $type_before,)* path: *const c_char $(, $after: $type_after)*
            ) -> $result {
                type Call = unsafe extern "C" fn($($type_before,)* *const c_char $(, $type_after)*) -> $result;
                static NEXT: OnceLock<usize> = OnceLock::new();
                const NAME: &str = concat!(stringify!($name), "\0");
                let found = NEXT.get_or_init(|| {
                    next(CStr::from_bytes_with_nul(NAME.as_bytes()).expect("one NUL")) as usize
                });
                // SAFETY: the caller's promise; the function found has this type.
                unsafe {
                    if let Some(error) = hang_below(path) {
                        *__errno_location() = error;
                        return Failure::FAILURE;
                    }
                    let call = std::mem::transmute::<*mut c_void, Call>(*found as *mut c_void);
                    call($($before,)* path $(, $after)*)
                }
            }
        )+
    };
}

hanging! {
    open64(; path, flags: c_int, mode: c_uint) -> c_int;
    open(; path, flags: c_int, mode: c_uint) -> c_int;
    statx(folder: c_int, ; path, flags: c_int, mask: c_uint, about: *mut c_void) -> c_int;
    stat64(; path, about: *mut c_void) -> c_int;
    opendir(; path) -> *mut c_void;
    chdir(; path) -> c_int;
    unlink(; path) -> c_int;
    execve(; path, argv: *const *const c_char, envp: *const *const c_char) -> c_int;
}

type LookUp =
    unsafe extern "C" fn(*const c_char, *mut c_void, *mut c_char, usize, *mut *mut c_void) -> c_int;

/// # Safety
/// As getpwnam_r(3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getpwnam_r(
    name: *const c_char,
    record: *mut c_void,
    buffer: *mut c_char,
    size: usize,
    found: *mut *mut c_void,
) -> c_int {
    // SAFETY: the caller's promise; the function found has this type.
    unsafe {
        if CStr::from_ptr(name) == c"hung" {
            hang();
        }
        if let Some(Some(error)) = shortage() {
            return error;
        }
        let call = std::mem::transmute::<*mut c_void, LookUp>(next(c"getpwnam_r"));
        call(name, record, buffer, size, found)
    }
}

type Groups = unsafe extern "C" fn(*const c_char, c_uint, *mut c_uint, *mut c_int) -> c_int;

/// # Safety
/// As getgrouplist(3).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getgrouplist(
    name: *const c_char,
    group: c_uint,
    groups: *mut c_uint,
    count: *mut c_int,
) -> c_int {
    // SAFETY: the caller's promise; the function found has this type.
    unsafe {
        let Some(Some(error)) = shortage() else {
            let call = std::mem::transmute::<*mut c_void, Groups>(next(c"getgrouplist"));
            return call(name, group, groups, count);
        };
        *__errno_location() = error;
        // The GNU C library's way, and that of others.
        if error % 2 == 0 {
            *groups = group;
            *count = 1;
            return 1;
        }
        -1
    }
}
