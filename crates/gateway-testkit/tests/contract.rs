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

/// A store with this flaw fails these facts at least.
async fn assert_caught(flaw: Flaw, expected: &[&str]) {
    let failing = failing(Broken::new(flaw)).await;
    let missed: Vec<_> = expected.iter().filter(|fact| !failing.contains(fact)).collect();
    assert!(missed.is_empty(), "{flaw:?} passes {missed:?}, and fails only {failing:?}");
}

#[tokio::test]
async fn a_wrapper_without_a_flaw_holds() {
    contract::assert_holds(Arc::new(Broken::new(Flaw::None))).await;
}

#[tokio::test]
async fn ignoring_versions_is_caught() {
    let facts = [
        "a_stale_update_is_refused",
        "a_stale_delete_is_refused",
        "a_stale_update_frees_no_key",
        "one_of_many_updates_is_done",
    ];
    assert_caught(Flaw::IgnoresVersions, &facts).await;
}

#[tokio::test]
async fn keeping_guards_of_refused_commits_is_caught() {
    let facts = [
        "a_stale_create_leaves_no_trace",
        "a_stale_delete_leaves_no_trace",
        "a_taken_link_leaves_no_trace",
        "a_refused_commit_can_be_mended",
    ];
    assert_caught(Flaw::KeepsGuardsOfRefusedCommits, &facts).await;
}

#[tokio::test]
async fn forgetting_names_of_the_second_namespace_is_caught() {
    let facts =
        ["a_name_is_taken_in_every_linked_namespace", "a_created_user_is_found", "a_new_link_is_found"];
    assert_caught(Flaw::ForgetsNamesOfTheSecondNamespace, &facts).await;
}

#[tokio::test]
async fn never_expiring_is_caught() {
    let facts = [
        "a_key_is_free_at_24_hours",
        "a_free_key_can_be_taken_again",
        "the_instant_counts_to_the_nanosecond",
    ];
    assert_caught(Flaw::NeverExpires, &facts).await;
}

#[tokio::test]
async fn reusing_the_ids_of_deleted_users_is_caught() {
    let facts = ["a_create_over_a_tombstone_is_stale"];
    assert_caught(Flaw::ReusesTombstones, &facts).await;
}

#[tokio::test]
async fn ignoring_the_namespace_of_a_list_is_caught() {
    let facts = [
        "an_empty_namespace_lists_nobody",
        "a_namespace_lists_its_members_only",
        "filtered_pages_skip_others",
    ];
    assert_caught(Flaw::IgnoresTheNamespaceOfAList, &facts).await;
}

#[tokio::test]
async fn ignoring_the_status_of_a_list_is_caught() {
    let facts =
        ["an_empty_selection_lists_nobody", "a_selection_lists_its_own_only", "a_user_has_one_status"];
    assert_caught(Flaw::IgnoresTheStatusOfAList, &facts).await;
}

#[tokio::test]
async fn selecting_texts_as_they_are_written_is_caught() {
    assert_caught(
        Flaw::SelectsTextsAsTheyAreWritten,
        &["a_text_is_selected_folded", "a_new_case_moves_nobody"],
    )
    .await;
}

#[tokio::test]
async fn keeping_who_left_a_selection_is_caught() {
    let facts = ["an_update_moves_a_user", "a_user_has_one_status", "past_suspensions_count"];
    assert_caught(Flaw::KeepsWhoLeftASelection, &facts).await;
}

#[tokio::test]
async fn repeating_the_last_of_a_page_is_caught() {
    let facts = [
        "a_page_starts_after_an_id",
        "a_selection_starts_after_an_id",
        "pages_of_a_selection_cover_all_once",
        "who_stays_is_on_one_page",
    ];
    assert_caught(Flaw::RepeatsTheLastOfAPage, &facts).await;
}

#[tokio::test]
async fn overlooking_past_suspensions_is_caught() {
    assert_caught(Flaw::OverlooksPastSuspensions, &["past_suspensions_count"]).await;
}

#[tokio::test]
async fn keeping_answers_of_deleted_users_is_caught() {
    let facts = ["a_deletion_takes_the_answers", "a_deletion_takes_every_answer"];
    assert_caught(Flaw::KeepsAnswersOfDeletedUsers, &facts).await;
}

#[tokio::test]
async fn giving_out_a_stale_copy_is_caught() {
    let facts = ["a_user_needs_no_links", "no_update_is_lost", "a_user_is_never_seen_half"];
    assert_caught(Flaw::GivesOutStaleCopies, &facts).await;
}

#[tokio::test]
async fn losing_parts_of_a_second_is_caught() {
    let facts = ["a_full_profile_is_kept", "instants_are_kept"];
    assert_caught(Flaw::RoundsToMicroseconds, &facts).await;
}

#[tokio::test]
async fn failing_is_caught() {
    let store = MemoryStore::default();
    store.fail_next_commits(1, gateway_testkit::memory::Fault::Unavailable);
    assert_eq!(failing(store).await, ["a_created_user_reads_back"]);
}
