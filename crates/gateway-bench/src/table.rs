//! Medians, ratios and the table.

use std::fmt::Write;

/// One run of one server.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// Microseconds on a core for each request, user and system.
    pub(crate) cpu_us: f64,
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// A server's runs in a scenario, one for each round.
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) samples: Vec<Sample>,
}

impl Series {
    pub(crate) fn median(&self, of: impl Fn(&Sample) -> f64) -> f64 {
        median(self.samples.iter().map(of).collect())
    }

    /// CPU for each request over another server's, round by round: least, median, most.
    pub(crate) fn ratio(&self, floor: &Self) -> [f64; 3] {
        let pairs = self.samples.iter().zip(&floor.samples);
        let mut ratios: Vec<_> = pairs.map(|(own, floor)| own.cpu_us / floor.cpu_us).collect();
        ratios.sort_by(f64::total_cmp);
        let at = |index: usize| ratios.get(index).copied().unwrap_or(f64::NAN);
        [at(0), median(ratios.clone()), at(ratios.len().saturating_sub(1))]
    }
}

/// The middle of some values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    match (values.get(low), values.get(high)) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        _ => f64::NAN,
    }
}

/// The header of a table whose servers are compared with one.
pub(crate) fn header(floor: &str) -> String {
    format!(
        "| request | server | CPU µs/request | ÷ {floor} [min..max] | requests/s | p50 µs | p99 µs |\n\
         |---|---|--:|--:|--:|--:|--:|\n"
    )
}

/// The rows of a scenario; the first series is what the others are compared with.
pub(crate) fn rows(scenario: &str, series: &[Series]) -> String {
    let mut text = String::new();
    let Some(floor) = series.first() else { return text };
    for one in series {
        let [least, ratio, most] = one.ratio(floor);
        let ratio = if one.name == floor.name {
            "1".to_owned()
        } else {
            format!("{ratio:.2} [{least:.2}..{most:.2}]")
        };
        // Writing to a String cannot fail.
        let _infallible = writeln!(
            text,
            "| {scenario} | {} | {:.1} | {ratio} | {:.0} | {:.0} | {:.0} |",
            one.name,
            one.median(|sample| sample.cpu_us),
            one.median(|sample| sample.per_second),
            one.median(|sample| sample.p50_us),
            one.median(|sample| sample.p99_us),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &'static str, cpu: &[f64]) -> Series {
        let sample = |cpu_us: &f64| Sample { cpu_us: *cpu_us, per_second: 1.0, p50_us: 1.0, p99_us: 1.0 };
        Series { name, samples: cpu.iter().map(sample).collect() }
    }

    #[test]
    fn ratios_are_of_pairs_not_of_medians() {
        let (floor, own) = (series("bare", &[1.0, 10.0, 2.0]), series("own", &[2.0, 10.0, 6.0]));
        assert_eq!(own.ratio(&floor), [1.0, 2.0, 3.0]);
        assert!((own.median(|sample| sample.cpu_us) - 6.0).abs() < f64::EPSILON);
        assert!((median(vec![1.0, 2.0, 4.0, 9.0]) - 3.0).abs() < f64::EPSILON);
        assert!(rows("GET", &[floor, own]).contains("| GET | own | 6.0 | 2.00 [1.00..3.00] |"));
    }
}
