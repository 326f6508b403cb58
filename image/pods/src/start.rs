//! How the programs start and end. Built for the image they have no libc, so this is where the kernel enters them.

/// Makes `$run`, a `fn() -> i32`, the program; it ends with that exit code.
#[macro_export]
macro_rules! program {
    ($run:path) => {
        // The kernel enters with the stack pointer at argc; a function wants it 16 bytes aligned before a call.
        #[cfg(bare)]
        core::arch::global_asm!(".globl _start", "_start:", "xor ebp, ebp", "and rsp, -16", "call {}", "ud2", sym start);

        #[cfg(bare)]
        extern "C" fn start() -> ! {
            $crate::sys::exit($run())
        }

        #[cfg(not(bare))]
        fn main() {
            std::process::exit($run())
        }
    };
}

#[cfg(bare)]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    crate::sys::exit(101)
}
