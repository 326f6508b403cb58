//! For the image (`-C target-feature=+crt-static`, release) the programs are `bare`: without std and without libc, a few
//! kB each. Otherwise, under tests and clippy, they are ordinary programs.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(bare)");
    let has = |name: &str, value: &str| std::env::var(name).is_ok_and(|list| list.split(',').any(|item| item == value));
    if has("CARGO_CFG_TARGET_FEATURE", "crt-static") && has("PROFILE", "release") {
        println!("cargo::rustc-cfg=bare");
        // -nostdlib: should code ever need libc, the link says so. -no-pie: nobody would relocate the program.
        for argument in
            ["-nostdlib", "-nostartfiles", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,-z,noseparate-code"]
        {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}
