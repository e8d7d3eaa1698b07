//! Durations and sizes as people write them.

use std::time::Duration;

/// Reads `30s`, `500ms`, `5 min` or `1h 30min`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    sum(text, |unit| match unit {
        "ns" => Some(1),
        "us" | "µs" => Some(1_000),
        "ms" => Some(1_000_000),
        "s" | "sec" => Some(1_000_000_000),
        "min" => Some(60 * 1_000_000_000),
        "h" => Some(3_600 * 1_000_000_000),
        _ => None,
    })
    .map(Duration::from_nanos)
}

/// Reads `64 KiB`, `16 MiB`, `1 GiB` or `512 B`.
pub(crate) fn size(text: &str) -> Option<u64> {
    sum(text, |unit| match unit {
        "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    })
}

/// Reads `1 KiB/s`, or `1 KiB`: bytes a second.
pub(crate) fn rate(text: &str) -> Option<u64> {
    let text = text.trim_end();
    size(text.strip_suffix("/s").unwrap_or(text))
}

/// Adds up numbers, each with its unit; nothing if there is no number, or too many bits.
fn sum(text: &str, unit: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    let mut rest = text.trim();
    let mut sum = None;
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let behind = behind.trim_start();
        let end = behind
            .find(|c: char| c.is_ascii_digit() || c == ' ')
            .unwrap_or(behind.len());
        let (word, behind) = behind.split_at(end);
        let part = number.parse::<u64>().ok()?.checked_mul(unit(word)?)?;
        sum = Some(sum.unwrap_or(0_u64).checked_add(part)?);
        rest = behind.trim_start();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("30s"), Some(Duration::from_secs(30)));
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration(" 5 min "), Some(Duration::from_secs(300)));
        assert_eq!(duration("1h 30min"), Some(Duration::from_secs(5400)));
        assert_eq!(duration("1min30s"), Some(Duration::from_secs(90)));
        for bad in [
            "",
            "30",
            "s",
            "30 parsecs",
            "-1s",
            "1.5s",
            "5m",
            "99999999999h",
            "s30",
        ] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("64 KiB"), Some(65_536));
        assert_eq!(size("16MiB"), Some(1 << 24));
        assert_eq!(size("512 B"), Some(512));
        for bad in ["", "64", "64 KB", "KiB", "-1 KiB", "99999999999999 GiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn rates_are_sizes_a_second() {
        assert_eq!(rate("1 KiB/s"), Some(1024));
        assert_eq!(rate("1 KiB /s "), Some(1024));
        assert_eq!(rate("10 B"), Some(10));
        for bad in ["", "/s", "1 KiB/min", "1 KiB/s/s", "1 KB/s", "8/s"] {
            assert_eq!(rate(bad), None, "{bad}");
        }
    }
}
