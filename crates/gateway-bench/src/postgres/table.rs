//! What was measured, as a table.

use std::fmt::Write;

use super::{Who, ground::Tally};
use crate::table::median;

/// One run.
#[derive(Clone, Copy, Default)]
pub(super) struct Sample {
    pub(super) per_second: f64,
    /// Microseconds on a core for each update.
    pub(super) gateway_us: f64,
    pub(super) database_us: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) tally: Tally,
}

/// Runs of the same, one for each round.
pub(super) struct Series {
    pub(super) who: Who,
    pub(super) connections: usize,
    pub(super) samples: Vec<Sample>,
}

impl Series {
    fn median(&self, of: impl Fn(&Sample) -> f64) -> f64 {
        median(self.samples.iter().map(of).collect())
    }

    pub(super) fn tally(&self) -> Tally {
        self.samples.iter().fold(Tally::default(), |sum, sample| sum.plus(&sample.tally))
    }
}

/// Updates a second over pgbench's on as many connections, round by round: least, median, most.
pub(super) fn ratio(all: &[Series], who: Who, connections: usize) -> [f64; 3] {
    let samples = |who| {
        let of = move |series: &&Series| series.who == who && series.connections == connections;
        all.iter().find(of).map(|series| series.samples.as_slice()).unwrap_or_default()
    };
    let pairs = samples(who).iter().zip(samples(Who::Pgbench));
    let mut ratios: Vec<_> = pairs.map(|(own, peer)| own.per_second / peer.per_second).collect();
    ratios.sort_by(f64::total_cmp);
    let at = |place: Option<&f64>| place.copied().unwrap_or(f64::NAN);
    [at(ratios.first()), median(ratios.clone()), at(ratios.last())]
}

/// The header of the table.
pub(super) const HEADER: &str = "\
| connections | server | updates/s | ÷ pgbench [min..max] | gateway CPU µs/update | PostgreSQL CPU µs/update | p50 ms | p99 ms |
|--:|---|--:|--:|--:|--:|--:|--:|
";

/// Its rows.
pub(super) fn rows(all: &[Series]) -> String {
    let mut text = String::new();
    for series in all {
        let (name, connections) = (series.who.name(), series.connections);
        let [least, ratio, most] = ratio(all, series.who, connections);
        let ratio = if series.who == Who::Pgbench {
            "1".to_owned()
        } else {
            format!("{ratio:.2} [{least:.2}..{most:.2}]")
        };
        let of = |of: fn(&Sample) -> f64, scale: f64, digits: usize| match series.median(of) {
            known if known > 0.0 => format!("{:.digits$}", known / scale),
            _ => "–".to_owned(),
        };
        let [rate, gateway, database, p50, p99] = [
            of(|sample| sample.per_second, 1.0, 0),
            of(|sample| sample.gateway_us, 1.0, 1),
            of(|sample| sample.database_us, 1.0, 1),
            of(|sample| sample.p50_us, 1e3, 1),
            of(|sample| sample.p99_us, 1e3, 1),
        ];
        // Writing to a String cannot fail.
        let _infallible = writeln!(
            text,
            "| {connections} | {name} | {rate} | {ratio} | {gateway} | {database} | {p50} | {p99} |"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(who: Who, rates: &[f64]) -> Series {
        let sample = |per_second: &f64| Sample { per_second: *per_second, ..Sample::default() };
        Series { who, connections: 16, samples: rates.iter().map(sample).collect() }
    }

    #[test]
    fn ratios_are_of_rounds() {
        let all = [series(Who::Single, &[1.0, 30.0, 8.0]), series(Who::Pgbench, &[1.0, 10.0, 4.0])];
        assert_eq!(ratio(&all, Who::Single, 16), [1.0, 2.0, 3.0]);
        assert!(ratio(&all, Who::Single, 256)[1].is_nan());
        assert!(
            rows(&all)
                .starts_with("| 16 | interlingua, not coalescing | 8 | 2.00 [1.00..3.00] | – | – | – | – |")
        );
    }
}
