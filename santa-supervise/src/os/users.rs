//! Users and groups by name or number, looked up in a child on its way to its
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
/// Something has run out; there may be such a user.
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
    let groups = name.map_or_else(|| vec![gid], |name| groups_of(&name, gid));
    Ok(Some(Credentials { uid, gid, groups }))
}

/// What is used of an entry: user, main group and name.
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

/// Room for the groups of one user; the kernel takes far fewer on macOS.
const MOST_GROUPS: usize = 256;

fn groups_of(name: &CStr, gid: u32) -> Vec<u32> {
    let mut groups = vec![0u32; MOST_GROUPS];
    let mut count = MOST_GROUPS as libc::c_int;
    // SAFETY: `count` says how many entries there is room for; the call sets it
    // to how many there are and writes no more than the room. macOS calls the
    // same 32 bits of a group number signed.
    let done = unsafe {
        libc::getgrouplist(name.as_ptr(), gid as _, groups.as_mut_ptr().cast(), &raw mut count)
    };
    if done < 0 {
        return vec![gid];
    }
    groups.truncate(usize::try_from(count).unwrap_or(0));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_by_name_and_by_number() {
        let by_name = look_up("root").expect("room").expect("every system has root");
        assert_eq!((by_name.uid, by_name.gid), (0, 0));
        assert_eq!(look_up("0").expect("room").expect("by number"), by_name);
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
