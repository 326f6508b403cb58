//! The command line as a client of skopeo says it.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

use std::process::{Command, Output, Stdio};

fn image_proxy(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_image-proxy"));
    command.args(arguments).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn the_image_proxy_takes_the_arguments_that_skopeo_would_get() {
    let no_socket =
        "image-proxy: taking the socket from descriptor 0 (--sockfd): Socket operation on non-socket (os error 88)\n";
    let table = [
        (&["experimental-image-proxy", "--debug", "--authfile", "/a"][..], 1, no_socket),
        (&["experimental-image-proxy", "--no-creds", "--cert-dir", "/a", "--tls-verify=false"], 1, no_socket),
        (&["--attempts", "2", "experimental-image-proxy", "--sockfd", "0"], 1, no_socket),
        (&["--sockfd", "77"], 1, "descriptor 77 (--sockfd): Bad file descriptor (os error 9)\n"),
        (&["--no-creds", "--authfile", "/a"], 2, "cannot be used with"),
        (&["inspect"], 2, "invalid value 'inspect'"),
    ];
    for (arguments, code, expected) in table {
        let output = image_proxy(arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(expected), "{arguments:?}: {text}");
        assert_eq!(output.status.code(), Some(code));
    }
    let help = image_proxy(&["--help"]);
    assert!(String::from_utf8(help.stdout).unwrap().contains("as `skopeo experimental-image-proxy` does"));
}
