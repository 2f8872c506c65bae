//! What is made of measured times.

use std::time::Duration;

/// The one in the middle.
pub fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The longest.
pub fn longest(times: &[Duration]) -> Duration {
    times.iter().max().copied().unwrap_or_default()
}

/// How many times as long; 0 where there is nothing to compare with.
pub fn ratio(time: Duration, yardstick: Duration) -> f64 {
    if yardstick.is_zero() { 0.0 } else { time.as_secs_f64() / yardstick.as_secs_f64() }
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
        assert_eq!(median(&[]), Duration::ZERO);
    }
}
