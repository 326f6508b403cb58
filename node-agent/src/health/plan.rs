//! What the node's health means, for people.

use super::model::Observed;

/// One sentence for each thing that is wrong.
pub fn reasons(observed: &Observed) -> Vec<String> {
    observed.failed_units.iter().flatten().map(|name| format!("unit {name} failed")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failed_unit_is_named() {
        let failed = |names: &[&str]| Observed { failed_units: Some(names.iter().map(|&name| name.into()).collect()) };
        assert_eq!(reasons(&failed(&[])), [""; 0]);
        assert_eq!(reasons(&failed(&["a.service", "b.mount"])), ["unit a.service failed", "unit b.mount failed"]);
        assert_eq!(reasons(&Observed { failed_units: None }), [""; 0]);
    }
}
