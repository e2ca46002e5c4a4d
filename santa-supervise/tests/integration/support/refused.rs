//! A system call that the kernel refuses to the santa-supervise of a test, with
//! an error of choice, by a seccomp filter.
#![expect(unsafe_code, reason = "a filter for a child has no safe form")]

use std::os::unix::process::CommandExt;
use std::process::Command;

/// What is refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused {
    pub(crate) call: i64,
    /// Only with this first argument.
    pub(crate) first: Option<u32>,
    pub(crate) error: i32,
}

/// Lets the kernel refuse a call to what `command` starts.
pub(crate) fn refuse(command: &mut Command, refused: Refused) {
    let mut program = program(refused, libc::SECCOMP_RET_ERRNO | refused.error.cast_unsigned());
    // SAFETY: the closure makes system calls and touches no memory but the
    // program, which it owns.
    unsafe { command.pre_exec(move || install(&mut program, 0).map(drop)) };
}

/// Lets a call hang forever in what `command` starts, unless it is killed: the
/// kernel asks what to do, and nobody answers.
pub(crate) fn hang(command: &mut Command, call: i64) {
    let refused = Refused { call, first: None, error: 0 };
    let mut program = program(refused, libc::SECCOMP_RET_USER_NOTIF);
    // SAFETY: as above.
    unsafe {
        command.pre_exec(move || {
            let listener = install(&mut program, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER)?;
            // Open for as long as the process lives: without it nothing would hang.
            match libc::fcntl(listener, libc::F_SETFD, 0) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
}

/// A filter that answers the calls that are `refused` with `action`.
fn program(refused: Refused, action: u32) -> Vec<libc::sock_filter> {
    let jump = |value: u32, otherwise: u8| libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt: 0,
        jf: otherwise,
        k: value,
    };
    // Offsets in struct seccomp_data: the number, and the first argument's low
    // half on the little-endian machines that we build for.
    let load = |offset: u32| libc::sock_filter {
        code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16,
        jt: 0,
        jf: 0,
        k: offset,
    };
    let give = |value: u32| libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: value,
    };
    let refusal = give(action);
    let number = u32::try_from(refused.call).expect("a number of a call");
    let mut program = vec![load(0)];
    match refused.first {
        Some(first) => program.extend([jump(number, 3), load(16), jump(first, 1), refusal]),
        None => program.extend([jump(number, 1), refusal]),
    }
    program.push(give(libc::SECCOMP_RET_ALLOW));
    program
}

/// Installs a filter in this process.
fn install(program: &mut [libc::sock_filter], flags: u64) -> std::io::Result<i32> {
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).expect("short"),
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the filter outlives both calls.
    let installed = unsafe {
        match libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) {
            0 => libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags,
                &raw const filter,
            ),
            _ => -1,
        }
    };
    match i32::try_from(installed) {
        Ok(number @ 0..) => Ok(number),
        _ => Err(std::io::Error::last_os_error()),
    }
}
