//! Values as they are written on a command line, and how they are shown.

use std::time::Duration;

use bytes::Bytes;

use crate::cli::units;
use crate::options::{Accept, OnFull};

/// How values of one type are written.
pub(super) trait Written<T> {
    /// What stands for a value in the help.
    const NAME: &'static str;

    /// Reads a value; the error says what to write.
    fn read(text: &str) -> Result<T, String>;

    /// Returns the text that is read as this value.
    fn show(value: &T) -> String;
}

/// As the type alone says.
pub(super) enum Plain {}

/// A whole number, at least this one.
pub(super) enum Number<const LEAST: u64> {}

/// Bytes, at least so many: `65536` or `"64 KiB"`.
pub(super) enum Size<const LEAST: u64> {}

/// Bytes a second: `1024` or `"1 KiB/s"`.
pub(super) enum Rate {}

/// Permissions: `660`, always octal.
pub(super) enum Mode {}

/// A duration of at least so many nanoseconds.
pub(super) enum Time<const LEAST: u64> {}

macro_rules! numbers {
    ($($ty:ty)*) => {$(
        impl<const LEAST: u64> Written<$ty> for Number<LEAST> {
            const NAME: &'static str = "NUMBER";

            fn read(text: &str) -> Result<$ty, String> {
                let number = text.parse().ok().filter(|&number: &$ty| number as u64 >= LEAST);
                number.ok_or_else(|| format!("write a whole number from {LEAST} to {}", <$ty>::MAX))
            }

            fn show(value: &$ty) -> String {
                value.to_string()
            }
        }
    )*};
}
numbers!(u32 u64 usize);

impl<const LEAST: u64> Written<usize> for Size<LEAST> {
    const NAME: &'static str = "SIZE";

    fn read(text: &str) -> Result<usize, String> {
        let bytes = text.parse().ok().or_else(|| units::size(text));
        let bytes = bytes.filter(|&bytes| bytes >= LEAST);
        let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
        bytes.ok_or_else(|| {
            format!("write a number of bytes from {LEAST}, or a size: `8 KiB`, `16 MiB`, `1 GiB`")
        })
    }

    fn show(value: &usize) -> String {
        show_size(*value as u64)
    }
}

impl Written<u64> for Rate {
    const NAME: &'static str = "RATE";

    fn read(text: &str) -> Result<u64, String> {
        let rate = text.parse().ok().or_else(|| units::rate(text));
        let rate = rate.filter(|&rate: &u64| rate > 0);
        rate.ok_or_else(|| "write bytes a second, as a number or as in `1 KiB/s`".to_owned())
    }

    fn show(value: &u64) -> String {
        match show_size(*value) {
            bytes if bytes.ends_with('B') => format!("{bytes}/s"),
            bytes => bytes,
        }
    }
}

impl Written<u32> for Mode {
    const NAME: &'static str = "MODE";

    fn read(text: &str) -> Result<u32, String> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        let mode = u32::from_str_radix(digits, 8).ok();
        mode.filter(|&mode| mode <= 0o777)
            .ok_or_else(|| "write permissions in octal, as in `660`".to_owned())
    }

    fn show(value: &u32) -> String {
        format!("{value:o}")
    }
}

impl<const LEAST: u64> Written<Duration> for Time<LEAST> {
    const NAME: &'static str = "DURATION";

    fn read(text: &str) -> Result<Duration, String> {
        match units::duration(text) {
            Some(time) if time >= Duration::from_nanos(LEAST) => Ok(time),
            Some(_) => Err("write more than no time: `30s`, `500ms`, `5 min`".to_owned()),
            None => Err("write `30s`, `500ms` or `5 min`".to_owned()),
        }
    }

    fn show(value: &Duration) -> String {
        show_duration(*value)
    }
}

impl Written<bool> for Plain {
    const NAME: &'static str = "true|false";

    fn read(text: &str) -> Result<bool, String> {
        text.parse()
            .map_err(|_| "write `true` or `false`".to_owned())
    }

    fn show(value: &bool) -> String {
        value.to_string()
    }
}

impl Written<OnFull> for Plain {
    const NAME: &'static str = "wait|refuse";

    fn read(text: &str) -> Result<OnFull, String> {
        match text {
            "wait" => Ok(OnFull::Wait),
            "refuse" => Ok(OnFull::Refuse),
            _ => Err("write `wait` or `refuse`".to_owned()),
        }
    }

    fn show(value: &OnFull) -> String {
        match value {
            OnFull::Wait => "wait",
            OnFull::Refuse => "refuse",
        }
        .to_owned()
    }
}

impl Written<Accept> for Plain {
    const NAME: &'static str = "shared|reuse_port";

    fn read(text: &str) -> Result<Accept, String> {
        match text {
            "shared" => Ok(Accept::Shared),
            "reuse_port" => Ok(Accept::ReusePort),
            _ => Err("write `shared` or `reuse_port`".to_owned()),
        }
    }

    fn show(value: &Accept) -> String {
        match value {
            Accept::Shared => "shared",
            Accept::ReusePort => "reuse_port",
        }
        .to_owned()
    }
}

impl Written<Bytes> for Plain {
    const NAME: &'static str = "TEXT";

    /// A shell has no line end to offer, so `\\r`, `\\n`, `\\t`, `\\xFF` and the like are written as in Rust.
    fn read(text: &str) -> Result<Bytes, String> {
        let mut bytes = Vec::new();
        let mut rest = text;
        while let Some((plain, behind)) = rest.split_once('\\') {
            bytes.extend_from_slice(plain.as_bytes());
            let (byte, behind) = escaped(behind).ok_or_else(|| {
                "behind `\\` stands `r`, `n`, `t`, `x` with two digits, a quote, or `\\`".to_owned()
            })?;
            bytes.push(byte);
            rest = behind;
        }
        bytes.extend_from_slice(rest.as_bytes());
        Ok(bytes.into())
    }

    fn show(value: &Bytes) -> String {
        value.escape_ascii().to_string()
    }
}

impl Written<String> for Plain {
    const NAME: &'static str = "NAME";

    fn read(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }

    fn show(value: &String) -> String {
        value.clone()
    }
}

/// What stands behind a backslash, and what comes after it.
fn escaped(text: &str) -> Option<(u8, &str)> {
    let (first, behind) = text.split_at_checked(1)?;
    let byte = match first {
        "r" => b'\r',
        "n" => b'\n',
        "t" => b'\t',
        "\\" | "'" | "\"" => first.as_bytes()[0],
        "x" => {
            let (digits, behind) = behind.split_at_checked(2)?;
            if digits.starts_with('+') {
                return None; // A number may have it.
            }
            return Some((u8::from_str_radix(digits, 16).ok()?, behind));
        }
        _ => return None,
    };
    Some((byte, behind))
}

fn show_size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let fitting = units
        .into_iter()
        .find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit));
    match fitting {
        Some((unit, name)) => format!("{} {name}", bytes / unit),
        None => bytes.to_string(),
    }
}

/// As [`units::duration`] reads it: each unit that occurs.
fn show_duration(time: Duration) -> String {
    let mut left = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let units = [
        (3_600_000_000_000, "h"),
        (60_000_000_000, "min"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
        (1, "ns"),
    ];
    let mut parts = Vec::new();
    for (unit, name) in units {
        if left >= unit {
            parts.push(format!("{}{name}", left / unit));
            left %= unit;
        }
    }
    match parts.is_empty() {
        true => "0s".to_owned(),
        false => parts.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_read_again<T: PartialEq, W: Written<T>>(values: impl IntoIterator<Item = T>) {
        for value in values {
            let text = W::show(&value);
            assert!(W::read(&text) == Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_shown_is_read_again() {
        is_read_again::<_, Number<0>>([0_u32, 7, u32::MAX]);
        is_read_again::<_, Number<1>>([1_u64, u64::MAX]);
        is_read_again::<_, Size<0>>([0_usize, 1, 1023, 1024, 65_536, 16 << 20, 3 << 30]);
        is_read_again::<_, Rate>([1_u64, 1024, 1500]);
        is_read_again::<_, Mode>([0o660_u32, 0]);
        let times = [0, 1, 999, 1_000_000, 30_000_000_000, 5_400_000_000_001];
        is_read_again::<_, Time<0>>(times.map(Duration::from_nanos));
        is_read_again::<_, Plain>([true, false]);
        is_read_again::<_, Plain>([OnFull::Wait, OnFull::Refuse]);
        is_read_again::<_, Plain>([Accept::Shared, Accept::ReusePort]);
        is_read_again::<_, Plain>(["421 busy\r\n", "a\\b\t", "\"it's\" \u{e9}"].map(Bytes::from));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        assert!(<Number<1> as Written<usize>>::read("0").is_err());
        assert!(Size::<1>::read("0").is_err());
        assert!(Rate::read("0").is_err());
        assert!(Size::<0>::read("8 KB").is_err());
        assert!(Time::<1>::read("0s").is_err());
        assert!(Time::<0>::read("30").is_err());
        assert!(Mode::read("888").is_err());
        assert!(Mode::read("7777").is_err());
        for text in ["\\x", "\\x+1"] {
            assert!(<Plain as Written<Bytes>>::read(text).is_err(), "{text}");
        }
    }
}
