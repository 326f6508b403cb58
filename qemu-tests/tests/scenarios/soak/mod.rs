//! What `make test` has no time for and `make soak` has, besides what stands under `soak` in the other files.

mod api;
mod disks;
mod kernel_arguments;
mod pool;
mod registries;
mod side_by_side;
mod space;
mod state;
mod upgrade;
