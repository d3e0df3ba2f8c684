//! The contract suite holds of the model, and fails a store for each way of being wrong.

mod broken;

use std::{collections::BTreeSet, sync::Arc};

use broken::{Broken, Flaw};
use gateway_core::UserStore;
use gateway_testkit::{
    contract::{self, Failure, Start},
    memory::MemoryStore,
};

#[tokio::test]
async fn the_model_holds_to_every_fact() {
    contract::assert_holds(Arc::new(MemoryStore::default())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_model_holds_to_every_fact_on_many_threads() {
    contract::assert_holds(Arc::new(MemoryStore::default())).await;
}

#[tokio::test]
async fn facts_run_in_any_order_and_again_with_another_seed() {
    let store = Arc::new(MemoryStore::default());
    for fact in contract::facts().iter().rev() {
        assert_eq!(fact.check(store.clone(), Start::default()).await, Ok(()));
    }
    let start = Start { seed: 1, ..Start::default() };
    assert_eq!(contract::check_from(store, start).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn facts_run_all_at_once() {
    let store = Arc::new(MemoryStore::default());
    let mut tasks = tokio::task::JoinSet::new();
    for fact in contract::facts() {
        let store = store.clone();
        tasks.spawn(async move { fact.check(store, Start::default()).await.err() });
    }
    let failures: Vec<Failure> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(failures, []);
}

#[test]
fn facts_have_names_and_sentences_of_their_own() {
    let facts = contract::facts::<MemoryStore>();
    let names: BTreeSet<_> = facts.iter().map(|fact| fact.name).collect();
    let sentences: BTreeSet<_> = facts.iter().map(|fact| fact.sentence).collect();
    assert_eq!((names.len(), sentences.len()), (facts.len(), facts.len()));
    assert!(facts.len() >= 60);
    for sentence in sentences {
        assert!(sentence.ends_with('.') && sentence.len() <= 90, "{sentence}");
    }
}

/// The names of the facts that do not hold of a store.
async fn failing<S: UserStore>(store: S) -> Vec<&'static str> {
    contract::check(Arc::new(store)).await.into_iter().map(|failure| failure.fact).collect()
}

/// A store with this flaw fails exactly these facts.
async fn assert_caught(flaw: Flaw, expected: &[&str]) {
    assert_eq!(failing(Broken::new(flaw)).await, expected, "{flaw:?}");
}

#[tokio::test]
async fn a_wrapper_without_a_flaw_holds() {
    assert_caught(Flaw::None, &[]).await;
}

#[tokio::test]
async fn ignoring_versions_is_caught() {
    assert_caught(Flaw::IgnoresVersions, &[]).await;
}

#[tokio::test]
async fn keeping_guards_of_refused_commits_is_caught() {
    assert_caught(Flaw::KeepsGuardsOfRefusedCommits, &[]).await;
}

#[tokio::test]
async fn forgetting_names_of_the_second_namespace_is_caught() {
    assert_caught(Flaw::ForgetsNamesOfTheSecondNamespace, &[]).await;
}

#[tokio::test]
async fn never_expiring_is_caught() {
    assert_caught(Flaw::NeverExpires, &[]).await;
}

#[tokio::test]
async fn reusing_the_ids_of_deleted_users_is_caught() {
    assert_caught(Flaw::ReusesTombstones, &[]).await;
}

#[tokio::test]
async fn ignoring_the_namespace_of_a_list_is_caught() {
    assert_caught(Flaw::IgnoresTheNamespaceOfAList, &[]).await;
}

#[tokio::test]
async fn keeping_answers_of_deleted_users_is_caught() {
    assert_caught(Flaw::KeepsAnswersOfDeletedUsers, &[]).await;
}

#[tokio::test]
async fn giving_out_a_stale_copy_is_caught() {
    assert_caught(Flaw::GivesOutStaleCopies, &[]).await;
}

#[tokio::test]
async fn losing_parts_of_a_second_is_caught() {
    assert_caught(Flaw::RoundsToMicroseconds, &[]).await;
}

#[tokio::test]
async fn failing_is_caught() {
    let store = MemoryStore::default();
    store.fail_next_commits(1, gateway_testkit::memory::Fault::Unavailable);
    assert_eq!(failing(store).await, ["a_created_user_reads_back"]);
}
