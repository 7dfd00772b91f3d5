//! Kubernetes quantities, exactly: `2`, `500m`, `1.5Gi`, `1e3`.
//!
//! Computed in integers. The crates at hand go through floats, or cut the fraction before the unit.

use crate::plan::desired::Limits;
use crate::sandbox::text::shown;
use crate::sandbox::{Quantity, ResourceLimits, Resources};

use super::Findings;

const NANO: u32 = 9;
/// The kernel takes no quota below 1 ms in a period of 100 ms; Docker's start fails below it.
const MIN_NANO_CPUS: i64 = 10_000_000;
/// More than any host has.
const MAX_NANO_CPUS: i64 = 65_536 * 1_000_000_000;
/// Docker's minimum.
const MIN_MEMORY: i64 = 6 * 1024 * 1024;
/// One Pi: more than any host has.
const MAX_MEMORY: i64 = 1 << 50;

/// The limits that a running container can be given.
pub(super) fn limits(resources: Option<&Resources>, findings: &mut Findings) -> Limits {
    let Some(limits) = of(resources) else { return Limits::default() };
    let mut checked = |name: &str, quantity: Option<&Quantity>, bounds: &Bounds| {
        let field = format!("spec.resources.limits.{name}");
        Some(findings.take(&field, within(quantity?, bounds)))
    };
    let cpu = Bounds { decimals: NANO, min: MIN_NANO_CPUS, least: "10m", max: MAX_NANO_CPUS };
    let nano_cpus = checked("cpu", limits.cpu.as_ref(), &cpu);
    let bytes = Bounds { decimals: 0, min: MIN_MEMORY, least: "6Mi", max: MAX_MEMORY };
    let memory = checked("memory", limits.memory.as_ref(), &bytes);
    if limits.pids == Some(0) {
        findings.problem("spec.resources.limits.pids", "must be at least 1");
    }
    Limits { nano_cpus, memory, pids: limits.pids.map(i64::from) }
}

/// The size of `/dev/shm`.
pub(super) fn shared_memory(resources: Option<&Resources>, findings: &mut Findings) -> Option<i64> {
    let quantity = of(resources)?.shared_memory.as_ref()?;
    let field = "spec.resources.limits.sharedMemory";
    let bytes = Bounds { decimals: 0, min: 1, least: "1", max: MAX_MEMORY };
    Some(findings.take(field, within(quantity, &bytes)))
}

fn of(resources: Option<&Resources>) -> Option<&ResourceLimits> {
    resources?.limits.as_ref()
}

/// What a quantity may be, in units of 10^-decimals.
struct Bounds {
    decimals: u32,
    min: i64,
    /// The minimum as a user writes it.
    least: &'static str,
    max: i64,
}

fn within(quantity: &Quantity, bounds: &Bounds) -> Result<i64, String> {
    let text = quantity.0.as_str();
    match parse(text, bounds.decimals) {
        Err(Wrong::Grammar) => {
            Err(format!("{} is not a quantity; write it as in 2, 500m or 1Gi", shown(text)))
        }
        Ok(value) if value < bounds.min => {
            Err(format!("must be at least {}, found {}", bounds.least, shown(text)))
        }
        Ok(value) if value <= bounds.max => Ok(value),
        Err(Wrong::TooLarge) | Ok(_) => Err(format!("{} is more than any host has", shown(text))),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    Grammar,
    TooLarge,
}

/// The quantity in units of 10^-decimals, rounded up as Kubernetes rounds.
fn parse(text: &str, decimals: u32) -> Result<i64, Wrong> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let number = |character: char| character.is_ascii_digit() || character == '.';
    let end = unsigned.find(|character| !number(character)).unwrap_or(unsigned.len());
    let (digits, suffix) = unsigned.split_at(end);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(Wrong::Grammar);
    }
    let unit = unit(suffix).ok_or(Wrong::Grammar)?;
    let mantissa = format!("{whole}{}", fraction.trim_end_matches('0'));
    let fraction =
        u32::try_from(fraction.trim_end_matches('0').len()).map_err(|_| Wrong::TooLarge)?;
    let mantissa = mantissa.trim_start_matches('0');
    let mantissa: i128 = match mantissa {
        "" => 0,
        digits => digits.parse().map_err(|_| Wrong::TooLarge)?,
    };
    let magnitude = scale(mantissa, unit, i64::from(decimals) - i64::from(fraction), negative)?;
    i64::try_from(if negative { -magnitude } else { magnitude }).map_err(|_| Wrong::TooLarge)
}

/// A unit as 2^binary × 10^decimal.
#[derive(Clone, Copy)]
struct Unit {
    binary: u32,
    decimal: i64,
}

fn unit(suffix: &str) -> Option<Unit> {
    let decimal = |decimal| Some(Unit { binary: 0, decimal });
    let binary = |binary| Some(Unit { binary, decimal: 0 });
    match suffix {
        "" => decimal(0),
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            // An exponent too long for an integer is out of range whatever it says.
            plain.then(|| Unit {
                binary: 0,
                decimal: exponent.parse().unwrap_or(i64::from(i32::MAX)),
            })
        }
    }
}

/// `mantissa × 2^binary × 10^(decimal + shift)`, rounded away from zero (towards it when negative).
fn scale(mantissa: i128, unit: Unit, shift: i64, negative: bool) -> Result<i128, Wrong> {
    if mantissa == 0 {
        return Ok(0);
    }
    let value = mantissa.checked_mul(1 << unit.binary).ok_or(Wrong::TooLarge)?;
    let exponent = unit.decimal.saturating_add(shift);
    let power = u32::try_from(exponent.unsigned_abs()).ok().and_then(|it| 10_i128.checked_pow(it));
    match (exponent >= 0, power) {
        (true, Some(power)) => value.checked_mul(power).ok_or(Wrong::TooLarge),
        (true, None) => Err(Wrong::TooLarge),
        (false, Some(power)) => {
            let rest = i128::from(value % power != 0 && !negative);
            Ok(value / power + rest)
        }
        // Smaller than the smallest unit, but not nothing.
        (false, None) => Ok(i128::from(!negative)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities_mean_what_they_mean_in_kubernetes() {
        let table = [
            ("0", 0, Ok(0)),
            ("2", NANO, Ok(2_000_000_000)),
            ("500m", NANO, Ok(500_000_000)),
            ("0.1", NANO, Ok(100_000_000)),
            (".5", NANO, Ok(500_000_000)),
            ("5.", NANO, Ok(5_000_000_000)),
            ("1n", NANO, Ok(1)),
            ("0.5n", NANO, Ok(1)),
            ("1u", NANO, Ok(1000)),
            ("+1", 0, Ok(1)),
            ("1Ki", 0, Ok(1024)),
            ("1.5Gi", 0, Ok(1_610_612_736)),
            ("128974848", 0, Ok(128_974_848)),
            ("129e6", 0, Ok(129_000_000)),
            ("1E3", 0, Ok(1000)),
            ("1e-3", NANO, Ok(1_000_000)),
            ("1k", 0, Ok(1000)),
            ("1M", 0, Ok(1_000_000)),
            ("1G", 0, Ok(1_000_000_000)),
            ("1T", 0, Ok(1_000_000_000_000)),
            ("1P", 0, Ok(1_000_000_000_000_000)),
            ("1E", 0, Ok(1_000_000_000_000_000_000)),
            ("1Mi", 0, Ok(1 << 20)),
            ("1Ti", 0, Ok(1 << 40)),
            ("1Pi", 0, Ok(1 << 50)),
            ("1Ei", 0, Ok(1 << 60)),
            ("100m", 0, Ok(1)),
            ("-1", 0, Ok(-1)),
            ("-0.5", 0, Ok(0)),
            ("1.0000000000000000000000000000000000000000000", 0, Ok(1)),
            ("000000000000000000000000000000000000000000000001", 0, Ok(1)),
            ("9999Ti", 0, Ok(10_994_016_766_132_224)),
            ("9999Ei", 0, Err(Wrong::TooLarge)),
            ("1e99", 0, Err(Wrong::TooLarge)),
            ("1e99999999999999999999", 0, Err(Wrong::TooLarge)),
            ("1e-99999", 0, Ok(1)),
            ("9223372036854775807", 0, Ok(i64::MAX)),
            ("9223372036854775808", 0, Err(Wrong::TooLarge)),
        ];
        for (text, decimals, expected) in table {
            assert_eq!(parse(text, decimals), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_quantity_is_refused() {
        for text in [
            "", "-", "+-1", "NaN", "inf", "1 Gi", "1GiB", "1K", "1g", "1.2.3", "e3", "1e", "1e+",
            "Ki", "0x1", "1_000", "١",
        ] {
            assert_eq!(parse(text, 0), Err(Wrong::Grammar), "{text}");
        }
    }

    proptest! {
        /// The ecosystem's own parser, where it is exact: whole numbers of small size.
        #[test]
        fn whole_quantities_agree_with_kube_quantity(number in 0i64..1_000_000, suffix in "(|k|M|G|Ki|Mi|Gi)") {
            let text = format!("{number}{suffix}");
            let theirs = kube_quantity::ParsedQuantity::try_from(text.as_str()).unwrap();
            prop_assert_eq!(parse(&text, 0).ok(), theirs.to_bytes_i64());
        }

        #[test]
        fn parsing_never_panics(text in "[-+.0-9a-zA-Z]{0,60}", decimals in 0u32..10) {
            let _ = parse(&text, decimals);
        }
    }
}
