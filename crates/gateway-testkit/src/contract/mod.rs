//! The contract of a store as facts: each is one sentence and one function that holds the store to it.
//!
//! Every fact uses ids, namespaces and ledger keys of its own, so that all can run on one instance, in
//! any order, at once, and again with another seed. Instants lie within a day after
//! [`Start::now`]: a store with a clock of its own must not purge what was committed then.

mod atomic;
mod find;
mod fixture;
mod ledger;
mod lifetime;
mod membership;
mod names;
mod pages;
mod races;
mod selections;
mod shapes;
mod suggestions;
mod unique;
mod users;

use std::{any::Any, fmt, future::Future, pin::Pin, sync::Arc};

use gateway_core::{Timestamp, UserStore};
use time::macros::utc_datetime;

use fixture::Fixture;

/// Where a run of the facts starts from. Two runs on one store need two seeds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Start {
    /// What ids, namespaces and ledger keys are made from.
    pub seed: u32,
    /// The clock reading of the commits.
    pub now: Timestamp,
}

impl Default for Start {
    fn default() -> Self {
        Self { seed: 0, now: utc_datetime!(2026-01-01 09:30:15.123_456_789) }
    }
}

/// One fact about a store.
pub struct Fact<S> {
    /// Its name: that of the function.
    pub name: &'static str,
    /// What holds, in a sentence.
    pub sentence: &'static str,
    number: u16,
    run: Run<S>,
}

type Run<S> = fn(Fixture<S>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// A fact that does not hold of a store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The name of the fact.
    pub fact: &'static str,
    /// What should hold.
    pub sentence: &'static str,
    /// What was found instead.
    pub found: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fact, sentence, found } = self;
        write!(f, "{fact}: {sentence}\n    {}", found.replace('\n', "\n    "))
    }
}

/// Every fact, in the order in which [`check`] runs them.
#[must_use]
pub fn facts<S: UserStore>() -> Vec<Fact<S>> {
    let mut facts = users::facts();
    facts.extend(atomic::facts());
    facts.extend(unique::facts());
    facts.extend(names::facts());
    facts.extend(find::facts());
    facts.extend(ledger::facts());
    facts.extend(lifetime::facts());
    facts.extend(pages::facts());
    facts.extend(suggestions::facts());
    facts.extend(membership::facts());
    facts.extend(selections::facts());
    facts.extend(shapes::facts());
    facts.extend(races::facts());
    for (number, fact) in (0..).zip(&mut facts) {
        fact.number = number;
    }
    facts
}

/// Runs every fact on one store; what is returned does not hold of it. Needs a tokio runtime.
pub async fn check<S: UserStore>(store: Arc<S>) -> Vec<Failure> {
    check_from(store, Start::default()).await
}

/// [`check`] with a seed and a clock reading.
pub async fn check_from<S: UserStore>(store: Arc<S>, start: Start) -> Vec<Failure> {
    let mut failures = Vec::new();
    for fact in facts() {
        failures.extend(fact.check(store.clone(), start).await.err());
    }
    failures
}

/// Runs every fact on one store.
///
/// # Panics
/// With the sentences of all facts that do not hold.
pub async fn assert_holds<S: UserStore>(store: Arc<S>) {
    let failures = check(store).await;
    let list: Vec<_> = failures.iter().map(Failure::to_string).collect();
    let count = facts::<S>().len();
    assert!(list.is_empty(), "{} of {count} facts do not hold:\n{}", list.len(), list.join("\n"));
}

impl<S: UserStore> Fact<S> {
    fn new(name: &'static str, sentence: &'static str, run: Run<S>) -> Self {
        Self { name, sentence, number: 0, run }
    }

    /// Holds a store to this fact; a store that panics fails it. Needs a tokio runtime.
    ///
    /// # Errors
    /// What was found instead.
    pub async fn check(&self, store: Arc<S>, start: Start) -> Result<(), Failure> {
        let run = (self.run)(Fixture::new(store, start, self.number));
        let ended = tokio::spawn(run).await;
        ended.map_err(|error| Failure {
            fact: self.name,
            sentence: self.sentence,
            found: error.try_into_panic().map_or_else(|error| error.to_string(), message),
        })
    }
}

/// What a panic said.
fn message(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast::<&str>().map_or_else(|_| "a panic".into(), |text| (*text).into()),
    }
}

/// The table of a module: the name of each fact's function, and what holds.
macro_rules! table {
    ($($name:ident: $sentence:literal,)+) => {
        pub(super) fn facts<S: gateway_core::UserStore>() -> Vec<$crate::contract::Fact<S>> {
            vec![$($crate::contract::Fact::new(
                stringify!($name),
                $sentence,
                |fixture| Box::pin($name(fixture)),
            )),+]
        }
    };
}
use table;
