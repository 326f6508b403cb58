//! The system calls that the programs use, straight to the kernel (x86-64).

use core::arch::asm;
use core::ffi::CStr;

/// An error number, as in errno(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

/// See signal(7).
pub const SIGINT: u32 = 2;
/// See signal(7).
pub const SIGTERM: u32 = 15;
/// See signal(7).
pub const SIGCHLD: u32 = 17;

const READ: usize = 0;
const WRITE: usize = 1;
const OPEN: usize = 2;
const CLOSE: usize = 3;
const RT_SIGPROCMASK: usize = 14;
const WAIT4: usize = 61;
const RENAME: usize = 82;
const RT_SIGTIMEDWAIT: usize = 128;
const EXIT_GROUP: usize = 231;

const SIG_BLOCK: usize = 0;
const WNOHANG: usize = 1;
const O_RDONLY: usize = 0;
const O_WRONLY_CREAT_TRUNC: usize = 0o1101;
/// The bytes of the kernel's sigset_t.
const SIGSET_BYTES: usize = 8;

/// Signals to wait for.
#[derive(Debug, Clone, Copy)]
pub struct Signals(u64);

impl Signals {
    /// Holds these signals back for `wait`. Also PID 1 of a container, which the kernel spares signals that nobody
    /// handles, gets those that it holds back.
    pub fn block(signals: &[u32]) -> Self {
        let set = signals.iter().fold(0_u64, |set, signal| set | 1 << (signal - 1));
        // It can only fail for a bad address.
        let _ = call(RT_SIGPROCMASK, [SIG_BLOCK, &raw const set as usize, 0, SIGSET_BYTES]);
        Self(set)
    }

    /// Waits for one of them.
    pub fn wait(self) -> u32 {
        loop {
            // Interrupted by a stop and a continue: wait on.
            if let Ok(signal) = call(RT_SIGTIMEDWAIT, [&raw const self.0 as usize, 0, 0, SIGSET_BYTES]) {
                return u32::try_from(signal).unwrap_or(0);
            }
        }
    }
}

/// Collects all children that have ended.
pub fn reap() {
    let any_child = usize::MAX;
    while call(WAIT4, [any_child, 0, WNOHANG, 0]).is_ok_and(|child| child > 0) {}
}

/// Reads a small file, as much as the buffer takes.
///
/// # Errors
/// What the kernel says.
pub fn read_file<'a>(path: &CStr, buffer: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    let file = call(OPEN, [path.as_ptr() as usize, O_RDONLY, 0, 0])?;
    let count = call(READ, [file, buffer.as_mut_ptr() as usize, buffer.len(), 0]);
    call(CLOSE, [file, 0, 0, 0])?;
    buffer.get(..count?).ok_or(Errno(0))
}

/// Writes a small file, readable by all.
///
/// # Errors
/// What the kernel says.
pub fn write_file(path: &CStr, content: &[u8]) -> Result<(), Errno> {
    let file = call(OPEN, [path.as_ptr() as usize, O_WRONLY_CREAT_TRUNC, 0o644, 0])?;
    let written = call(WRITE, [file, content.as_ptr() as usize, content.len(), 0]);
    call(CLOSE, [file, 0, 0, 0])?;
    written.map(drop)
}

/// Renames a file, over another if need be.
///
/// # Errors
/// What the kernel says.
pub fn rename(from: &CStr, to: &CStr) -> Result<(), Errno> {
    call(RENAME, [from.as_ptr() as usize, to.as_ptr() as usize, 0, 0]).map(drop)
}

/// Writes to the container's log.
pub fn print(text: &[u8]) {
    // There is nobody left to report to.
    let _ = call(WRITE, [1, text.as_ptr() as usize, text.len(), 0]);
}

/// Ends the program.
pub fn exit(code: i32) -> ! {
    loop {
        let _ = call(EXIT_GROUP, [code.unsigned_abs() as usize, 0, 0, 0]);
    }
}

fn call(number: usize, arguments: [usize; 4]) -> Result<usize, Errno> {
    let [a, b, c, d] = arguments;
    let result: isize;
    #[expect(unsafe_code, reason = "there is no libc beneath")]
    // SAFETY: the kernel's convention for x86-64; every caller above passes addresses of live values and their true sizes.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
            lateout("rcx") _, lateout("r11") _,
            options(nostack)
        );
    }
    usize::try_from(result).map_err(|_| Errno(i32::try_from(-result).unwrap_or(i32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;

    #[test]
    fn files() {
        let folder = std::env::temp_dir().join(format!("ballast-pods-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let path = |name: &str| CString::new(folder.join(name).to_str().unwrap()).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(read_file(&path("a"), &mut buffer), Err(Errno(2)), "ENOENT");
        write_file(&path("a"), b"longer than this").unwrap();
        write_file(&path("a"), b"short").unwrap();
        rename(&path("a"), &path("b")).unwrap();
        assert_eq!(read_file(&path("b"), &mut buffer), Ok(&b"short"[..]));
        assert_eq!(read_file(&path("b"), &mut buffer[..2]), Ok(&b"sh"[..]));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn reaps_what_has_ended() {
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let entry = std::path::PathBuf::from(format!("/proc/{}", child.id()));
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while entry.exists() {
            assert!(std::time::Instant::now() < deadline, "it is still there");
            std::thread::sleep(std::time::Duration::from_millis(1));
            reap();
        }
        assert!(child.wait().is_err(), "nothing is left to wait for");
    }
}
