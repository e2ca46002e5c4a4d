//! fork and exec. Everything that needs memory or a look-up is prepared before
//! the fork; between fork and exec only calls are made that are safe there.
#![expect(unsafe_code, reason = "fork, exec and what must happen between them")]

use std::ffi::{CString, c_char, c_int};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use super::{Credentials, Pid, calls};

/// A program to run, ready to be forked.
#[derive(Debug)]
pub struct Launch {
    /// Path of the program; relative ones start at `directory`.
    pub program: CString,
    /// Arguments, the program's name first.
    pub arguments: Vec<CString>,
    /// Environment as `NAME=value`, without `LISTEN_PID`.
    pub environment: Vec<CString>,
    /// Working directory, if another than ours.
    pub directory: Option<CString>,
    /// User and groups, if others than ours.
    pub credentials: Option<Credentials>,
    /// Limits other than ours, each soft and hard.
    pub limits: ResourceLimits,
    /// Permission bits taken away from files it makes, if not ours.
    pub umask: Option<u32>,
    /// Standard input, if anything is to be read there.
    pub input: Option<OwnedFd>,
    /// Standard output and standard error.
    pub output: (OwnedFd, OwnedFd),
    /// Handed over as descriptors 3, 4, … (with `LISTEN_PID`, if any).
    pub sockets: Vec<RawFd>,
}

/// Limits of one process; none means ours. Units as in setrlimit(2).
#[derive(Debug, Clone, Copy, Default)]
pub struct ResourceLimits {
    /// Open files.
    pub nofile: Option<u64>,
    /// Size of core dumps in bytes.
    pub core: Option<u64>,
    /// Processes and threads of the user.
    pub nproc: Option<u64>,
    /// Address space in bytes.
    pub address_space: Option<u64>,
    /// How soon the kernel picks it when memory runs out (proc_pid_oom_score_adj(5)).
    pub oom_score_adj: Option<i32>,
}

/// Why a program could not be started, and at which step.
#[derive(Debug)]
pub struct StartError {
    /// What was attempted, to be read after "cannot".
    pub step: &'static str,
    /// The system's answer.
    pub error: io::Error,
}

/// The steps between fork and exec; the number travels through the error pipe.
const STEPS: [&str; 8] = [
    "make a process",
    "make a session",
    "connect its output",
    "set its limits",
    "change to its user",
    "change to its directory",
    "hand over its sockets",
    "run the program",
];

/// Pointers and numbers for the child; nothing here is allocated after the fork.
struct Prepared<'a> {
    launch: &'a Launch,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    /// `LISTEN_PID=` and room for digits, filled in by the child.
    listen_pid: Vec<u8>,
    input: RawFd,
    /// Digits for /proc/self/oom_score_adj; empty for ours.
    oom_score_adj: Vec<u8>,
    error_pipe: RawFd,
    parent: Pid,
    /// Room for the sockets' numbers while they are moved.
    moved: Vec<RawFd>,
}

const LISTEN_PID: &[u8] = b"LISTEN_PID=";

/// Starts the program and waits until it runs or could not.
///
/// Must be called on the thread that lives as long as this process: on Linux
/// children are killed when the thread that forked them ends.
///
/// # Errors
/// The step that failed, and why.
pub fn start(launch: &Launch) -> Result<Pid, StartError> {
    let at = |step: usize| move |error: io::Error| StartError { step: STEPS[step], error };
    let null = std::fs::OpenOptions::new().read(true).open("/dev/null").map_err(at(2))?;
    let (report, error_pipe) = calls::pipe().map_err(at(0))?;
    let mut prepared = Prepared {
        launch,
        argv: pointers(&launch.arguments, None),
        envp: Vec::new(),
        listen_pid: [LISTEN_PID, &[0; 12]].concat(),
        input: launch.input.as_ref().map_or(null.as_raw_fd(), AsRawFd::as_raw_fd),
        oom_score_adj: launch.limits.oom_score_adj.map_or(Vec::new(), |adj| adj.to_string().into()),
        error_pipe: error_pipe.as_raw_fd(),
        parent: std::process::id().cast_signed(),
        moved: vec![-1; launch.sockets.len()],
    };
    let listen_pid = prepared.listen_pid.as_ptr().cast();
    let extra = (!launch.sockets.is_empty()).then_some(listen_pid);
    prepared.envp = pointers(&launch.environment, extra);
    // SAFETY: the child calls only `become_program`, which keeps to the calls
    // that are allowed after the fork of a process with threads.
    let forked = unsafe { libc::fork() };
    match forked {
        -1 => Err(at(0)(io::Error::last_os_error())),
        // SAFETY: this is the freshly forked child.
        0 => unsafe { become_program(&mut prepared) },
        pid => {
            drop(error_pipe);
            read_report(&report, pid)
        }
    }
}

fn pointers(texts: &[CString], extra: Option<*const c_char>) -> Vec<*const c_char> {
    let end = [std::ptr::null()];
    texts.iter().map(|text| text.as_ptr()).chain(extra).chain(end).collect()
}

/// End of file: the program runs. Five bytes: the step and the error number.
fn read_report(report: &OwnedFd, pid: Pid) -> Result<Pid, StartError> {
    let mut bytes = [0u8; 5];
    let read = loop {
        match rustix::io::read(report, &mut bytes) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other.unwrap_or(0),
        }
    };
    if read < bytes.len() {
        return Ok(pid);
    }
    let error = i32::from_ne_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
    // SAFETY: waits for our own child, which ends right after its report.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    let step = STEPS.get(usize::from(bytes[0])).copied().unwrap_or(STEPS[0]);
    Err(StartError { step, error: io::Error::from_raw_os_error(error) })
}

/// The child's whole life before its program.
///
/// # Safety
/// Only to be called in a freshly forked child.
unsafe fn become_program(prepared: &mut Prepared<'_>) -> ! {
    // SAFETY: all pointers were prepared by `start` and live in our copy of its
    // memory; every call below is safe between fork and exec.
    unsafe {
        let step = match attempt(prepared) {
            Ok(never) => match never {},
            Err(step) => step,
        };
        let error = io::Error::last_os_error().raw_os_error().unwrap_or(0).to_ne_bytes();
        let report = [step, error[0], error[1], error[2], error[3]];
        libc::write(prepared.error_pipe, report.as_ptr().cast(), report.len());
        libc::_exit(127)
    }
}

/// Does all steps; gives the number of the one that failed, with errno set.
unsafe fn attempt(prepared: &mut Prepared<'_>) -> Result<std::convert::Infallible, u8> {
    // SAFETY: as in `become_program`.
    unsafe {
        require(1, libc::setsid())?;
        default_signals();
        connect_output(prepared)?;
        set_limits(prepared)?;
        change_user(prepared)?;
        if let Some(umask) = prepared.launch.umask {
            libc::umask(umask as libc::mode_t);
        }
        if let Some(directory) = &prepared.launch.directory {
            require(5, libc::chdir(directory.as_ptr()))?;
        }
        hand_over(prepared)?;
        write_own_pid(&mut prepared.listen_pid);
        unblock_signals();
        libc::execve(
            prepared.launch.program.as_ptr(),
            prepared.argv.as_ptr(),
            prepared.envp.as_ptr(),
        );
        Err(7)
    }
}

fn require(step: u8, result: c_int) -> Result<(), u8> {
    if result == -1 { Err(step) } else { Ok(()) }
}

/// A program must not inherit that we ignore or handle signals.
unsafe fn default_signals() {
    for signal in 1..=calls::LAST_SIGNAL {
        // SAFETY: SIG_DFL needs no handler; KILL and STOP refuse harmlessly.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Last step but exec, so that no signal can end the child half-way unseen.
unsafe fn unblock_signals() {
    // SAFETY: the set is initialised by sigemptyset.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

unsafe fn connect_output(prepared: &mut Prepared<'_>) -> Result<(), u8> {
    // SAFETY: numbers of open descriptors.
    unsafe {
        // Out of the way of the numbers that programs expect.
        let above = 3 + c_int::try_from(prepared.moved.len()).unwrap_or(0);
        let error_pipe = libc::fcntl(prepared.error_pipe, libc::F_DUPFD_CLOEXEC, above);
        require(2, error_pipe)?;
        prepared.error_pipe = error_pipe;
        require(2, libc::dup2(prepared.input, 0))?;
        require(2, libc::dup2(prepared.launch.output.0.as_raw_fd(), 1))?;
        require(2, libc::dup2(prepared.launch.output.1.as_raw_fd(), 2))
    }
}

unsafe fn set_limits(prepared: &Prepared<'_>) -> Result<(), u8> {
    let limits = &prepared.launch.limits;
    let all = [
        (libc::RLIMIT_NOFILE, limits.nofile),
        (libc::RLIMIT_CORE, limits.core),
        (libc::RLIMIT_NPROC, limits.nproc),
        (libc::RLIMIT_AS, limits.address_space),
    ];
    for (resource, value) in all {
        let Some(value) = value else { continue };
        let limit =
            libc::rlimit { rlim_cur: value as libc::rlim_t, rlim_max: value as libc::rlim_t };
        // SAFETY: `limit` is initialised.
        require(3, unsafe { libc::setrlimit(resource, &raw const limit) })?;
    }
    // SAFETY: the digits live in our copy of the parent's memory.
    unsafe { set_oom_score(&prepared.oom_score_adj) }
}

unsafe fn set_oom_score(digits: &[u8]) -> Result<(), u8> {
    if digits.is_empty() {
        return Ok(());
    }
    // SAFETY: a constant path; the length is that of the slice.
    unsafe {
        let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY);
        require(3, file)?;
        let written = libc::write(file, digits.as_ptr().cast(), digits.len());
        require(3, if written == -1 { -1 } else { 0 })?;
        require(3, libc::close(file))
    }
}

unsafe fn change_user(prepared: &Prepared<'_>) -> Result<(), u8> {
    // SAFETY: the list of groups lives in our copy of the parent's memory.
    unsafe {
        if let Some(credentials) = &prepared.launch.credentials {
            let groups: *const libc::gid_t = credentials.groups.as_ptr();
            require(4, libc::setgroups(credentials.groups.len() as _, groups))?;
            require(4, libc::setgid(credentials.gid))?;
            require(4, libc::setuid(credentials.uid))?;
        }
        die_with_parent(prepared.parent)
    }
}

/// After the change of user, which would clear the setting.
#[cfg(target_os = "linux")]
unsafe fn die_with_parent(parent: Pid) -> Result<(), u8> {
    // SAFETY: no memory is involved.
    unsafe {
        require(1, libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
        // The parent may have died before the line above.
        if libc::getppid() != parent {
            libc::_exit(127);
        }
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
unsafe fn die_with_parent(_parent: Pid) -> Result<(), u8> {
    Ok(())
}

/// Puts the sockets at 3, 4, …: first above all targets, then down, because a
/// source may sit on another's target.
unsafe fn hand_over(prepared: &mut Prepared<'_>) -> Result<(), u8> {
    let above = 3 + c_int::try_from(prepared.moved.len()).unwrap_or(0);
    // SAFETY: numbers of open descriptors; dup2 clears close-on-exec.
    unsafe {
        for (socket, moved) in prepared.launch.sockets.iter().zip(&mut prepared.moved) {
            *moved = libc::fcntl(*socket, libc::F_DUPFD_CLOEXEC, above);
            require(6, *moved)?;
        }
        for (moved, target) in prepared.moved.iter().zip(3..) {
            require(6, libc::dup2(*moved, target))?;
        }
    }
    Ok(())
}

/// Writes the decimal digits of our own pid behind `LISTEN_PID=`.
fn write_own_pid(text: &mut [u8]) {
    let mut digits = [0u8; 12];
    let mut count = 0;
    let mut rest = std::process::id();
    while rest > 0 {
        digits[count] = b'0' + (rest % 10) as u8;
        rest /= 10;
        count += 1;
    }
    for index in 0..count {
        text[LISTEN_PID.len() + index] = digits[count - 1 - index];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listen_pid_is_this_process() {
        let mut text = [LISTEN_PID, &[0; 12]].concat();
        write_own_pid(&mut text);
        let expected = format!("LISTEN_PID={}\0", std::process::id());
        assert!(text.starts_with(expected.as_bytes()));
    }
}
