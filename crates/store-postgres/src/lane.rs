//! A connection for commits: takes what may go, sends it, and sees every commit to its end.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use gateway_core::{Committed, StoreError};
use tokio::time::{self, MissedTickBehavior};

use crate::{
    Shared,
    backoff::Backoff,
    connect::{Link, refused},
    error::{AWAY, Failure, OpenError, SLOW},
    queue::{Answer, Job},
    resolve,
    statement::{self, Statements, Verdict},
    stats::count,
};

/// How often a commit is sent that others get in the way of.
const TRIES: u32 = 10;
/// How much longer than the database we wait for its answer.
const GRACE: Duration = Duration::from_secs(1);
/// How often those who wait for a connection are looked at.
const TICK: Duration = Duration::from_millis(50);

/// A connection with its statement prepared.
pub(crate) struct Lane {
    pub(crate) link: Link,
    commits: Statements,
}

/// Runs until the queue is closed and drained.
pub(crate) async fn run(shared: &Shared, mut lane: Option<Lane>) {
    loop {
        match &lane {
            None => match connect_at_leisure(shared).await {
                None => return,
                connected => lane = connected,
            },
            Some(open) => tokio::select! {
                jobs = shared.queue.take() => match jobs {
                    Some(jobs) => serve_all(shared, &mut lane, jobs).await,
                    None => return,
                },
                () = open.link.closed() => drop_lane(shared, &mut lane),
            },
        }
    }
}

/// Connects while nobody's commit depends on it yet, for as long as it takes; `None` once the queue is closed
/// and all that it held is answered.
async fn connect_at_leisure(shared: &Shared) -> Option<Lane> {
    let mut tick = time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut attempt = std::pin::pin!(connect_patiently(shared));
    loop {
        tokio::select! {
            lane = &mut attempt => return Some(lane),
            _ = tick.tick() => {
                shared.queue.expire(shared.options.wait);
                if shared.queue.has_ended() {
                    return None;
                }
            }
        }
    }
}

/// Connects as soon as somebody is there.
async fn connect_patiently(shared: &Shared) -> Lane {
    let mut backoff = Backoff::new();
    loop {
        if let Ok(link) = shared.connector.connect().await
            && let Ok(lane) = Lane::over(shared, link).await
        {
            return lane;
        }
        backoff.pause().await;
    }
}

impl Lane {
    /// Over a connection, if it takes the statement in time.
    pub(crate) async fn over(shared: &Shared, link: Link) -> Result<Self, OpenError> {
        let prepared = time::timeout(shared.options.connect_timeout, statement::prepare(&link.client)).await;
        let commits = prepared.or(Err(OpenError::Unreachable))?.map_err(|error| refused(&error))?;
        shared.open.fetch_add(1, Ordering::Relaxed);
        Ok(Self { link, commits })
    }
}

fn drop_lane(shared: &Shared, lane: &mut Option<Lane>) {
    if let Some(lane) = lane.take() {
        lane.link.cut();
        shared.open.fetch_sub(1, Ordering::Relaxed);
        shared.cache.clear();
    }
}

/// Sees commits that share nothing to their end: together, and where that fails each alone.
async fn serve_all(shared: &Shared, lane: &mut Option<Lane>, jobs: Vec<Job>) {
    let claims: Vec<_> = jobs.iter().flat_map(|job| job.pack.claims.iter().copied()).collect();
    let mut alone = serve(shared, lane, jobs).await;
    while let Some(mut job) = alone.pop() {
        count(&shared.counters.collisions);
        job.collisions += 1;
        if job.collisions > TRIES {
            give_up(shared, job, Failure::Collided.into());
            continue;
        }
        // Where the database was slow, those behind are not to wait for each of these in turn.
        if deadline(shared, std::slice::from_ref(&job)) < Instant::now() {
            give_up(shared, job, StoreError::Unavailable(SLOW));
            continue;
        }
        if job.collisions > 1 {
            Backoff::after(job.collisions).pause().await;
        }
        alone.extend(serve(shared, lane, vec![job]).await);
    }
    shared.queue.release(&claims);
}

/// Sends commits in one statement until it is known how it ended; those to be sent again alone.
async fn serve(shared: &Shared, lane: &mut Option<Lane>, mut jobs: Vec<Job>) -> Vec<Job> {
    for tries in 0.. {
        let deadline = deadline(shared, &jobs);
        // One that comes to a connection late has a chance, too.
        let soon = Instant::now() + Duration::from_millis(1);
        if tries > 0 && deadline < soon {
            break;
        }
        let Some(open) = ensure(shared, lane, deadline.max(soon)).await else { break };
        match attempt(shared, open, &jobs).await {
            Ok(verdicts) => return settle_all(shared, lane, jobs, verdicts).await,
            Err(Failure::Lost) => {
                let until = Instant::now() + shared.options.resolve_for;
                jobs.iter_mut().for_each(|job| {
                    job.doubtful_until.get_or_insert(until);
                });
                drop_lane(shared, lane);
            }
            Err(Failure::NotSent | Failure::ReadOnly) => drop_lane(shared, lane),
            Err(Failure::Refused(why)) if jobs.len() == 1 => {
                jobs.into_iter().for_each(|job| give_up(shared, job, StoreError::Unavailable(why)));
                return Vec::new();
            }
            Err(Failure::Collided | Failure::Refused(_)) => return jobs,
        }
    }
    jobs.into_iter().for_each(|job| give_up(shared, job, StoreError::Unavailable(AWAY)));
    Vec::new()
}

/// Until when commits are tried: those in doubt a while from then, others a while from their coming.
fn deadline(shared: &Shared, jobs: &[Job]) -> Instant {
    let ends = jobs.iter().map(|job| job.doubtful_until.unwrap_or(job.since + shared.options.wait));
    ends.max().unwrap_or_else(Instant::now)
}

/// The lane, connected anew where it has to be, before the deadline.
async fn ensure<'a>(shared: &Shared, lane: &'a mut Option<Lane>, deadline: Instant) -> Option<&'a Lane> {
    if lane.as_ref().is_some_and(|lane| lane.link.client.is_closed()) {
        drop_lane(shared, lane);
    }
    if lane.is_none() {
        let connected = time::timeout_at(deadline.into(), connect_patiently(shared));
        *lane = connected.await.ok();
    }
    lane.as_ref()
}

/// One statement, one round trip.
async fn attempt(shared: &Shared, lane: &Lane, jobs: &[Job]) -> Result<Vec<Verdict>, Failure> {
    let packs: Vec<_> = jobs.iter().map(|job| &job.pack).collect();
    let doubt = jobs.iter().filter_map(|job| job.doubtful_until).max();
    let patience = Instant::now() + shared.options.statement_timeout + GRACE;
    let limit = doubt.map_or(patience, |doubt| doubt.min(patience));
    let warnings = lane.link.warnings();
    shared.counters.statement(jobs.len());
    let answered = time::timeout_at(limit.into(), statement::run(&lane.link.client, &lane.commits, &packs));
    let verdicts = answered.await.unwrap_or(Err(Failure::Lost))?;
    // Committed, but said not to be safe: as good as no answer.
    if lane.link.warnings() == warnings { Ok(verdicts) } else { Err(Failure::Lost) }
}

/// Answers each commit by its verdict; those to be sent again.
async fn settle_all(
    shared: &Shared,
    lane: &mut Option<Lane>,
    jobs: Vec<Job>,
    verdicts: Vec<Verdict>,
) -> Vec<Job> {
    let mut raced = Vec::new();
    for (job, verdict) in jobs.into_iter().zip(verdicts) {
        let committed = match verdict {
            Verdict::Raced => {
                raced.push(job);
                continue;
            }
            Verdict::Done => Some(Committed::Done),
            Verdict::Stale => Some(Committed::Stale),
            Verdict::KeyTaken(at) => job.commit.guards.get(at).map(|guard| Committed::KeyTaken(guard.key)),
            Verdict::Taken(at) => job.pack.new_keys.get(at).cloned().map(Committed::Taken),
        };
        let committed = committed.unwrap_or(Committed::Unknown);
        let committed = match (job.doubtful_until, lane.as_ref()) {
            (None, _) => committed,
            (Some(until), Some(lane)) => {
                let resolved = resolve::resolve(&lane.link, &job, committed);
                time::timeout_at(until.into(), resolved).await.unwrap_or(Committed::Unknown)
            }
            (Some(_), None) => Committed::Unknown,
        };
        answer(shared, job, Ok(committed));
    }
    raced
}

/// The end of a commit that cannot be tried any longer: one in doubt is never said to have failed.
fn give_up(shared: &Shared, job: Job, why: StoreError) {
    let verdict = if job.doubtful_until.is_some() { Ok(Committed::Unknown) } else { Err(why) };
    answer(shared, job, verdict);
}

fn answer(shared: &Shared, job: Job, verdict: Answer) {
    let counters = &shared.counters;
    match &verdict {
        Ok(Committed::Done) => count(&counters.commits),
        Ok(Committed::Unknown) => count(&counters.unknown),
        Ok(Committed::Stale | Committed::Taken(_) | Committed::KeyTaken(_)) => count(&counters.rejected),
        Err(_) => {}
    }
    if job.doubtful_until.is_some() && matches!(&verdict, Ok(committed) if *committed != Committed::Unknown) {
        count(&counters.resolved);
    }
    shared.published(&job, &verdict);
    // A waiter that went away is no fault: its commit stands.
    job.answer.send(verdict).ok();
}
