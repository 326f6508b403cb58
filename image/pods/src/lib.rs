//! What `pause` and `canary` stand on: a dozen system calls, and a start that needs no libc.

#![cfg_attr(not(test), no_std)]

pub mod start;
pub mod sys;
