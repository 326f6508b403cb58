//! Amounts as Kubernetes writes them: `500m`, `1.5`, `64Mi`, `1e3`
//! (kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity).

/// Thousandths of a CPU; rounded up.
pub(super) fn milli_cpu(text: &str) -> Option<u64> {
    thousandths(text).and_then(|amount| u64::try_from(amount).ok())
}

/// Bytes; rounded up.
pub(super) fn bytes(text: &str) -> Option<u64> {
    thousandths(text).and_then(|amount| u64::try_from(amount.div_ceil(1000)).ok())
}

fn thousandths(text: &str) -> Option<u128> {
    let number_end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(number_end);
    // As a fraction multiplier/divisor of thousandths.
    let (multiplier, divisor): (u128, u128) = match suffix {
        "n" => (1, 1_000_000),
        "u" => (1, 1_000),
        "m" => (1, 1),
        "" => (1_000, 1),
        "k" => (1_000_000, 1),
        "M" => (1_000_000_000, 1),
        "G" => (1_000_000_000_000, 1),
        "T" => (1_000_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1_000 << 10, 1),
        "Mi" => (1_000 << 20, 1),
        "Gi" => (1_000 << 30, 1),
        "Ti" => (1_000 << 40, 1),
        "Pi" => (1_000 << 50, 1),
        exponent => (1_000 * 10_u128.checked_pow(exponent.strip_prefix(['e', 'E'])?.parse().ok()?)?, 1),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?.checked_mul(divisor)?;
    Some(digits.checked_mul(multiplier)?.div_ceil(scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_kubernetes_reads_them() {
        let cpus = [("1", Some(1000)), ("500m", Some(500)), ("0.5", Some(500)), (".1", Some(100)), ("100u", Some(1))];
        for (text, expected) in cpus {
            assert_eq!(milli_cpu(text), expected, "{text}");
        }
        let memories = [
            ("64Mi", Some(64 << 20)),
            ("1G", Some(1_000_000_000)),
            ("1.5Ki", Some(1536)),
            ("1e3", Some(1000)),
            ("123", Some(123)),
            ("1500m", Some(2)),
        ];
        for (text, expected) in memories {
            assert_eq!(bytes(text), expected, "{text}");
        }
        for text in ["", ".", "m", "1.2.3", "-1", "1X", "1e", "1e99", "99999999999999999999999999999999999999999"] {
            assert_eq!((milli_cpu(text), bytes(text)), (None, None), "{text}");
        }
    }
}
