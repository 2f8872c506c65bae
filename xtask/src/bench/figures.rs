//! What is made of measured times.

use std::time::Duration;

/// The one in the middle, or half-way between the two that are.
pub fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    let at = |place: usize| times.get(place).copied().unwrap_or_default();
    (at(times.len().saturating_sub(1) / 2) + at(times.len() / 2)) / 2
}

/// The longest.
pub fn longest(times: &[Duration]) -> Duration {
    times.iter().max().copied().unwrap_or_default()
}

/// How many times as long; 0 where there is nothing to compare with.
pub fn ratio(time: Duration, yardstick: Duration) -> f64 {
    if yardstick.is_zero() { 0.0 } else { time.as_secs_f64() / yardstick.as_secs_f64() }
}

/// The smallest and the largest ratio of what was measured in the same rounds.
pub fn range_of_ratios(times: &[Duration], yardsticks: &[Duration]) -> (f64, f64) {
    let ratios = times.iter().zip(yardsticks).map(|(time, yardstick)| ratio(*time, *yardstick));
    ratios.fold((f64::INFINITY, 0.0), |(least, most), ratio| (least.min(ratio), most.max(ratio)))
}

pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(numbers: &[u64]) -> Vec<Duration> {
        numbers.iter().copied().map(Duration::from_secs).collect()
    }

    #[test]
    fn the_median_is_the_one_in_the_middle_whatever_the_order() {
        assert_eq!(median(&seconds(&[9, 1, 4])), Duration::from_secs(4));
        assert_eq!(median(&seconds(&[9, 1, 4, 6])), Duration::from_secs(5));
        assert_eq!(median(&[]), Duration::ZERO);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let (least, most) = range_of_ratios(&seconds(&[2, 9]), &seconds(&[1, 3]));
        assert!((least - 2.0).abs() < 1e-9 && (most - 3.0).abs() < 1e-9);
    }
}
