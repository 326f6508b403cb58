//! pause: holds a pod's namespaces. It collects what is orphaned in them, and ends when it is asked to.

#![cfg_attr(bare, no_std, no_main)]

use ballast_pods::sys::{SIGCHLD, SIGINT, SIGTERM, Signals, reap};

ballast_pods::program!(run);

fn run() -> i32 {
    let signals = Signals::block(&[SIGTERM, SIGINT, SIGCHLD]);
    while signals.wait() == SIGCHLD {
        reap();
    }
    0
}
