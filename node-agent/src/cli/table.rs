//! Tables, as kubectl's: columns as wide as they need to be, three blanks between.

/// The columns `titles` with `rows`.
pub(super) fn render<const N: usize>(titles: &[&str; N], rows: &[[String; N]]) -> String {
    let titles = titles.map(str::to_owned);
    let all = || std::iter::once(&titles).chain(rows);
    let mut out = String::new();
    for row in all() {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width =
                all().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default();
            line.push_str(&format!("{cell:<width$}   "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
