//! Made-up users as lines, for `interlingua import`: the same for the same seed.

use std::io::{BufWriter, Write};

use clap::Args;
use uuid::Builder;

use crate::Failure;

/// How many, and which.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct People {
    /// How many
    count: u64,
    /// Others for another number
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Without ids: the gateway makes them
    #[arg(long)]
    no_ids: bool,
}

const GIVEN: [&str; 8] = ["Jane", "José", "Zoë", "Mohammed", "Nguyễn", "Anna", "Olu", "Søren"];
const FAMILY: [&str; 8] = ["Doe", "O’Neil", "Müller", "García", "Okafor", "Smith", "Østergård", "Tremblay"];
const STREETS: [&str; 4] = ["Main Street", "Queen Street", "Elm Avenue", "King Road"];
/// Country, region, city, postal code, locale, time zone.
const PLACES: [[&str; 6]; 4] = [
    ["CA", "ON", "Toronto", "M5V 2T6", "en-CA", "America/Toronto"],
    ["US", "OH", "Perrysburg", "43551-9331", "en-US", "America/New_York"],
    ["DE", "BW", "Karlsruhe", "76131", "de-DE", "Europe/Berlin"],
    ["BE", "VOV", "Ghent", "9000", "nl-BE", "Europe/Brussels"],
];

/// Writes them to stdout.
pub(crate) fn write(people: People) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let mut random = Random(people.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for number in 0..people.count {
        writeln!(out, "{}", person(number, people, &mut random))?;
    }
    Ok(out.flush()?)
}

fn person(number: u64, people: People, random: &mut Random) -> String {
    let seed = people.seed;
    let (given, family) = (random.of(&GIVEN), random.of(&FAMILY));
    let [country, region, city, postal_code, locale, time_zone] = *random.of(&PLACES);
    let id = u128::from(random.next()) << 64 | u128::from(number);
    let id = Builder::from_random_bytes(id.to_be_bytes()).into_uuid();
    let id = if people.no_ids { String::new() } else { format!(r#""id":"{id}","#) };
    let username = match random.next() % 3 {
        0 => format!(r#""username":"user.{seed}.{number}","#),
        _ => String::new(),
    };
    let links = ["crm", "billing"].iter().take(usize::from(random.next() % 4 == 0) + 1);
    let links: Vec<_> = links
        .map(|namespace| format!(r#"{{"namespace":"{namespace}","externalId":"{seed}-{number}"}}"#))
        .collect();
    let (year, day) = (1940 + random.next() % 65, 1 + random.next() % 28);
    format!(
        concat!(
            r#"{{{}"status":"active",{}"givenName":"{}","familyName":"{}","email":"user.{}.{}@example.com","#,
            r#""phone":"+1 555 {:07}","birthDate":"{}-05-{:02}","address":{{"line1":"{} {}","city":"{}","#,
            r#""region":"{}","postalCode":"{}","country":"{}"}},"locale":"{}","timeZone":"{}","#,
            r#""occupation":"Software Engineer","ciroAffiliate":{},"metadata":{{"plan":"gold","visits":{}}},"#,
            r#""links":[{}],"createdAt":"2021-03-01T10:30:00.000Z","updatedAt":"2024-07-{:02}T08:15:00.250Z"}}"#,
        ),
        id,
        username,
        given,
        family,
        seed,
        number,
        random.next() % 10_000_000,
        year,
        day,
        1 + random.next() % 999,
        random.of(&STREETS),
        city,
        region,
        postal_code,
        country,
        locale,
        time_zone,
        random.next() % 2 == 0,
        random.next() % 1000,
        links.join(","),
        day,
    )
}

/// Xorshift: no more is needed to look scattered.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn of<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        let at = usize::try_from(self.next() % all.len() as u64).unwrap_or_default();
        &all[at]
    }
}
