//! What goes: pure.

use ballast_types::Digest;

/// The versions in the store that go when those of `keep` stay.
pub fn surplus(present: &[Digest], keep: &[Digest]) -> Vec<Digest> {
    present.iter().filter(|digest| !keep.contains(digest)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_keeps_goes() {
        let digest = |byte: &str| format!("sha256:{}", byte.repeat(32)).parse::<Digest>().unwrap();
        let (one, two, gone) = (digest("aa"), digest("bb"), digest("cc"));
        assert_eq!(surplus(&[one.clone(), two.clone()], &[two.clone(), gone]), [one]);
        assert_eq!(surplus(std::slice::from_ref(&two), std::slice::from_ref(&two)), []);
    }
}
