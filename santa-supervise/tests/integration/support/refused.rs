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
    let refusal = give(libc::SECCOMP_RET_ERRNO | refused.error.cast_unsigned());
    let number = u32::try_from(refused.call).expect("a number of a call");
    let mut program = vec![load(0)];
    match refused.first {
        Some(first) => program.extend([jump(number, 3), load(16), jump(first, 1), refusal]),
        None => program.extend([jump(number, 1), refusal]),
    }
    program.push(give(libc::SECCOMP_RET_ALLOW));
    // SAFETY: the closure makes two system calls and touches no memory but the
    // program, which it owns.
    unsafe {
        command.pre_exec(move || {
            let filter = libc::sock_fprog {
                len: u16::try_from(program.len()).expect("short"),
                filter: program.as_mut_ptr(),
            };
            let mode = libc::SECCOMP_MODE_FILTER;
            if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                || libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const filter) != 0
            {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
}
