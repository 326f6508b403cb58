//! The table `[images]`.

use toml_edit::Table;

use super::{put, put_number};
use crate::{model::Images, values::duration_text};

pub(super) fn images(images: &Images) -> Table {
    let mut table = Table::new();
    put_number(&mut table, "gc_high_percent", Some(images.gc_high_percent));
    put_number(&mut table, "gc_low_percent", Some(images.gc_low_percent));
    put(&mut table, "gc_minimum_age", Some(duration_text(images.gc_minimum_age)));
    table
}
