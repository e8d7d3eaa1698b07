//! The numbers of users and groups, by their names: getpwnam(3), getgrnam(3). `rustix` has no part in it: names are libc's.

use std::ffi::{CStr, CString, c_char, c_int};
use std::mem::MaybeUninit;
use std::{io, ptr};

/// An entry is asked for with so much room first; most fit.
const ROOM: usize = 1024;

/// And with so much last: a group of tens of thousands of members.
const MOST_ROOM: usize = 1 << 20;

/// Returns a user's number, by name or number.
pub(crate) fn user(name: &str) -> io::Result<u32> {
    find("user", name, |name, room| {
        let mut entry = MaybeUninit::<libc::passwd>::uninit();
        let mut found = ptr::null_mut();
        // SAFETY: the name ends with a zero, and what is written lies in `entry`, `found` and `room`, whose size is stated.
        let error = unsafe {
            libc::getpwnam_r(
                name.as_ptr(),
                entry.as_mut_ptr(),
                room.as_mut_ptr(),
                room.len(),
                &raw mut found,
            )
        };
        // SAFETY: null, or the address of `entry`, which is filled then.
        let found = unsafe { found.as_ref() };
        (error, found.map(|entry| entry.pw_uid))
    })
}

/// Returns a group's number, by name or number.
pub(crate) fn group(name: &str) -> io::Result<u32> {
    find("group", name, |name, room| {
        let mut entry = MaybeUninit::<libc::group>::uninit();
        let mut found = ptr::null_mut();
        // SAFETY: the name ends with a zero, and what is written lies in `entry`, `found` and `room`, whose size is stated.
        let error = unsafe {
            libc::getgrnam_r(
                name.as_ptr(),
                entry.as_mut_ptr(),
                room.as_mut_ptr(),
                room.len(),
                &raw mut found,
            )
        };
        // SAFETY: null, or the address of `entry`, which is filled then.
        let found = unsafe { found.as_ref() };
        (error, found.map(|entry| entry.gr_gid))
    })
}

/// Asks with more room until the entry fits.
fn find(
    what: &str,
    name: &str,
    ask: impl Fn(&CStr, &mut [c_char]) -> (c_int, Option<u32>),
) -> io::Result<u32> {
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
        // The largest number means "nobody" to chown(2), which would change nothing.
        let number = name.parse().ok().filter(|&number| number != u32::MAX);
        return number.ok_or_else(|| unknown(what, name));
    }
    let text = CString::new(name).map_err(|_| unknown(what, name))?;
    let mut room = vec![0; ROOM];
    loop {
        match ask(&text, &mut room) {
            (0, Some(number)) => return Ok(number),
            (libc::EINTR, _) => {}
            (libc::ERANGE, _) if room.len() < MOST_ROOM => room.resize(room.len() * 4, 0),
            // Not there, in the words of the various libraries: getpwnam(3), "Errors".
            (0 | libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM, _) => {
                return Err(unknown(what, name));
            }
            (error, _) => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

fn unknown(what: &str, name: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("no {what} `{name}` on this machine"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(user("root").ok(), Some(0));
        assert_eq!(group("root").ok(), Some(0));
        assert_eq!(user("1234").ok(), Some(1234));
        for name in [
            "",
            "+5",
            "-1",
            "4294967295",
            "99999999999",
            "no such one",
            "a\0b",
        ] {
            let error = user(name).expect_err(name).to_string();
            assert_eq!(error, format!("no user `{name}` on this machine"));
        }
        let error = group("no such one").expect_err("none has a space");
        assert_eq!(error.to_string(), "no group `no such one` on this machine");
    }
}
