//! Users and groups by name or number, looked up in a child before it runs its
//! program.
#![expect(unsafe_code, reason = "getpwnam_r and getgrouplist have no safe form")]

use std::ffi::{CStr, CString};
use std::io;

/// What a service runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User.
    pub uid: u32,
    /// Main group.
    pub gid: u32,
    /// All groups, the main one among them.
    pub groups: Vec<u32>,
}

/// Looks up `user`: a name, a number, or `NUMBER:GROUPNUMBER`.
///
/// # Errors
/// The system's refusal; there may be such a user.
pub fn look_up(user: &str) -> io::Result<Option<Credentials>> {
    let (name, group) = match user.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (user, None),
    };
    let Ok(group) = group.map(str::parse::<u32>).transpose() else { return Ok(None) };
    let entry = match name.parse::<u32>() {
        Ok(uid) => entry_by(|record, buffer, found| {
            // SAFETY: see `entry_by`.
            unsafe {
                libc::getpwuid_r(uid, record, buffer.as_mut_ptr().cast(), buffer.len(), found)
            }
        })?
        .or_else(|| group.map(|gid| (uid, gid, None))),
        Err(_) => {
            let Ok(name) = CString::new(name) else { return Ok(None) };
            entry_by(|record, buffer, found| {
                // SAFETY: see `entry_by`; the name ends with NUL.
                unsafe {
                    libc::getpwnam_r(
                        name.as_ptr(),
                        record,
                        buffer.as_mut_ptr().cast(),
                        buffer.len(),
                        found,
                    )
                }
            })?
        }
    };
    let Some((uid, own_gid, name)) = entry else { return Ok(None) };
    let gid = group.unwrap_or(own_gid);
    let groups = name.map_or_else(|| Ok(vec![gid]), |name| groups_of(&name, gid))?;
    Ok(Some(Credentials { uid, gid, groups }))
}

/// The fields of an entry that are used: user, main group and name.
type Entry = (u32, u32, Option<CString>);

/// Runs a `getpw…_r` call with room for its texts.
fn entry_by(
    call: impl Fn(*mut libc::passwd, &mut Vec<u8>, *mut *mut libc::passwd) -> i32,
) -> io::Result<Option<Entry>> {
    let mut buffer = vec![0u8; 16 * 1024];
    // SAFETY: an all-zero passwd is valid to be written to. When the call
    // succeeds with a result, `record` is filled and its texts lie in `buffer`,
    // which outlives their use here.
    unsafe {
        let mut record: libc::passwd = std::mem::zeroed();
        let mut found = std::ptr::null_mut();
        let error = call(&raw mut record, &mut buffer, &raw mut found);
        if error != 0 || found.is_null() {
            // Where there is no such entry, systems give several other errors.
            let error = io::Error::from_raw_os_error(error);
            return if super::is_shortage(&error) { Err(error) } else { Ok(None) };
        }
        Ok(Some((record.pw_uid, record.pw_gid, Some(CStr::from_ptr(record.pw_name).to_owned()))))
    }
}

/// Room for the groups of one user at first, and at most.
const GROUPS: usize = 64;
const MOST_GROUPS: usize = 65_536;

/// All groups of a user. A shortage is an error: a service with fewer groups than
/// it should have would run, and fail at something else.
fn groups_of(name: &CStr, gid: u32) -> io::Result<Vec<u32>> {
    let mut room = GROUPS;
    loop {
        let mut groups = vec![0u32; room];
        let mut count = room as libc::c_int;
        // SAFETY: `count` says how many entries there is room for; the call sets it
        // to how many there are and writes no more than the room. macOS calls the
        // same 32 bits of a group number signed.
        let done = unsafe {
            *errno() = 0;
            libc::getgrouplist(name.as_ptr(), gid as _, groups.as_mut_ptr().cast(), &raw mut count)
        };
        // glibc gives the main group alone when it cannot read the others, and only
        // errno tells.
        let error = io::Error::last_os_error();
        let found = usize::try_from(count).unwrap_or(0);
        let failed = done < 0 && found <= room && error.raw_os_error() != Some(0);
        if failed || super::is_shortage(&error) {
            return Err(error);
        }
        if done >= 0 {
            groups.truncate(found);
            return Ok(groups);
        }
        // Systems that do not say how many there are leave the number as it was.
        room = found.max(room * 2);
        if room > MOST_GROUPS {
            return Err(io::Error::other(format!("more than {MOST_GROUPS} groups")));
        }
    }
}

#[cfg(target_os = "linux")]
unsafe fn errno() -> *mut libc::c_int {
    // SAFETY: the address is this thread's own.
    unsafe { libc::__errno_location() }
}

#[cfg(not(target_os = "linux"))]
unsafe fn errno() -> *mut libc::c_int {
    // SAFETY: the address is this thread's own.
    unsafe { libc::__error() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use std::io::{Read as _, Write as _};

    #[test]
    fn root_is_found_by_name_and_by_number() {
        let by_name = look_up("root").expect("room").expect("every system has root");
        assert_eq!((by_name.uid, by_name.gid), (0, 0));
        assert_eq!(look_up("0").expect("room").expect("by number"), by_name);
    }

    #[test]
    fn groups_that_cannot_be_read_are_a_shortage_and_not_no_groups() {
        let all = groups_of(c"root", 0).expect("room");
        assert!(all.contains(&0));
        let worker = super::super::fork_worker(&[], &|output, _| {
            // No descriptor is left in this process.
            let before = getrlimit(Resource::Nofile);
            let limited = setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..before });
            let found = limited.map_err(io::Error::from).and_then(|()| groups_of(c"root", 0));
            let number = found.map_or_else(|error| error.raw_os_error().unwrap_or(-1), |_| 0);
            output.write_all(&number.to_ne_bytes()).expect("our end is open");
        });
        let worker = worker.expect("room");
        rustix::io::ioctl_fionbio(&worker.output, false).expect("blocking");
        let mut buffer = [0; 4];
        std::fs::File::from(worker.output).read_exact(&mut buffer).expect("an answer");
        assert_eq!(i32::from_ne_bytes(buffer), libc::EMFILE);
    }

    #[test]
    fn numbers_without_an_entry_need_their_group() {
        assert_eq!(
            look_up("54321:54322").expect("room"),
            Some(Credentials { uid: 54_321, gid: 54_322, groups: vec![54_322] })
        );
        for unknown in ["54321", "no-such-user", "no-such-user:0", "0:no-such-group"] {
            assert_eq!(look_up(unknown).expect("room"), None, "{unknown}");
        }
    }
}
