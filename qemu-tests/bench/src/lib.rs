//! The figures of the README: how much work a boot is, how long it takes beside others, how large the image is.
//!
//! ```text
//!  subject (ours | stock | floor) ──boot──> console line ──> instructions (icount) and wall seconds
//!  ours (`ballast boot`), stock (systemctl) with the command channel ──> timeline ──> boot.svg
//!  manifests ──> sizes, an idle node ──> memory                                             all of it ──> boot.json
//! ```

pub mod budget;
mod floor;
mod instructions;
mod pods;
mod report;
mod session;
mod sizes;
mod stock;
mod subject;
mod svg;
mod table;
mod timeline;
mod upgrade;
mod wall;

pub use session::{pods, redraw, run, upgrade};
pub(crate) use sizes::image_size;
pub(crate) use subject::count;
